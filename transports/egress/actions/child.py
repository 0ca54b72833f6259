"""The program that reads one document, alone, so that what a document does costs only itself.

    python -I child.py BYTES SECONDS

In: a line of JSON with what is wanted (`making.Choice`), then the document to the end of the input.
Out: one JSON value, `{"preview": ..., "actions": ...}` or `{"rule": ..., "words": ...}`. It bounds
its own memory and time before it reads anything, and has the lowest priority but one.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

NICE = 10


def main() -> None:
    """Read a document and say what it comes to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then ends us
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with suppress(OSError):
        os.nice(NICE)
    memory, seconds = int(sys.argv[1]), int(sys.argv[2])
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a system that cannot, or has a lower bound already
            resource.setrlimit(what, (most, most))
    sys.path.insert(0, str(Path(__file__).parents[3]))
    answer = _answer()
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    os._exit(0)  # a million small objects need not be taken apart one by one


def _answer() -> bytes:
    import gc  # noqa: PLC0415

    import orjson  # noqa: PLC0415

    from transports.egress.actions.making import Choice, made  # noqa: PLC0415
    from transports.egress.actions.reading import Unusable  # noqa: PLC0415

    gc.disable()  # a document has no cycles, and looking for them takes half the time
    refused: dict[str, Any]
    try:
        wanted = orjson.loads(sys.stdin.buffer.readline())
        return orjson.dumps(made(sys.stdin.buffer.read(), Choice(**wanted)))
    except Unusable as problem:
        refused = {"rule": problem.rule, "words": str(problem)}
    except MemoryError:
        refused = {"rule": "memory", "words": "It takes more memory than an import may have."}
    except RecursionError:
        refused = {"rule": "too-deep", "words": "It nests too deep."}
    return orjson.dumps(refused)


if __name__ == "__main__":
    main()
