"""A child that speaks the local model's protocol, and fails as the question tells it to.

The words of a question are commands: `say TEXT`, `stall`, `deaf` (stall and hear no cancel),
`crash`, `garbage`, `long`, `error CODE`, `nothing`. Anything else is said back.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

LIFE_S = 300.0  # longer than any spec


def main() -> None:
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode == "stillborn":
        sys.exit(3)
    if mode == "mute":
        threading.Event().wait(timeout=LIFE_S)
    say({"ready": True})
    cancelled = threading.Event()
    asked: list[dict[str, Any]] = []
    arrived = threading.Semaphore(0)

    def listen() -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "cancel" in message:
                cancelled.set()
            else:
                asked.append(message)
                arrived.release()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        arrived.acquire(timeout=LIFE_S)
        cancelled.clear()
        answer(asked.pop(), cancelled)


def answer(question: dict[str, Any], cancelled: threading.Event) -> None:
    asked_id = question["id"]
    if len(question["messages"]) > 2:
        error = {"code": "exceed_context_size_error", "message": "too long"}
        say({"id": asked_id, "end": "none", "error": error})
        return
    word, _, rest = question["messages"][-1]["content"].partition(" ")
    match word:
        case "stall" | "deaf":
            say({"id": asked_id, "text": "begun"})
            (threading.Event() if word == "deaf" else cancelled).wait(timeout=LIFE_S)
            say({"id": asked_id, "end": "none"})
        case "crash":
            say({"id": asked_id, "text": "begun"})
            sys.stderr.write("secret words of the user\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        case "garbage":
            sys.stdout.write("[]\n")
            sys.stdout.flush()
        case "long":
            sys.stdout.write("x" * 3_000_000)
            sys.stdout.flush()
        case "error":
            say({"id": asked_id, "end": "none", "error": {"code": rest, "message": "No."}})
        case "nothing":
            say({"id": asked_id, "end": "stop"})
        case _:
            for piece in question["messages"][-1]["content"].split():
                say({"id": asked_id, "text": piece})
            usage = {"prompt_tokens": 1, "completion_tokens": 2}
            say({"id": asked_id, "end": "length", "usage": usage})


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
