"""The methods of dataclasses, compiled once and not at each start.

A dataclass writes its methods as source and has them compiled whenever its module is imported: of
three hundred of them that is a quarter of a start. Python keeps the code of a module beside it, and
here the same is done with what `dataclasses` gives to `exec`. Code is found by the whole of its
source, so that it is never out of date; what was missing is kept for the next start. Where nothing
can be read or written all is compiled as ever. Source: dataclasses.py, `exec(txt, globals, ns)`.
"""

from __future__ import annotations

import dataclasses
import marshal
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any, TypeAlias

Methods: TypeAlias = dict[str, CodeType]  # by their source


@contextmanager
def kept_code(
    file: Path | None = None, *, writes: bool = not sys.dont_write_bytecode
) -> Iterator[None]:
    """Let dataclasses that are made within the block take their code from a file.

    Args:
        file: None is one beside this module's own code.
        writes: what was missing is kept.
    """
    file = file or Path(cache_from_source(__file__)).with_suffix(".methods")
    found, used = _read(file), Methods()

    def run(source: str, *names: Any) -> None:
        code = used[source] = found.get(source) or compile(source, "<string>", "exec")
        exec(code, *names)  # noqa: S102  what dataclasses would do

    vars(dataclasses)["exec"] = run
    try:
        yield
    finally:
        del vars(dataclasses)["exec"]
    if writes and used.keys() - found.keys():
        _write(file, used)


def _read(file: Path) -> Methods:
    """Return what is kept; nothing where it was made by another Python, or is damaged."""
    try:
        data = file.read_bytes()
        magic, rest = data[: len(MAGIC_NUMBER)], data[len(MAGIC_NUMBER) :]
        methods: Methods = marshal.loads(rest) if magic == MAGIC_NUMBER else {}  # noqa: S302
    except (OSError, ValueError, TypeError, EOFError):
        return {}
    return methods


def _write(file: Path, methods: Methods) -> None:
    """Keep the methods, all or none of them; without leave to write, none."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError):
        part.write_bytes(MAGIC_NUMBER + marshal.dumps(methods))
        part.replace(file)


if __name__ == "__main__":  # of the set-up, which compiles what a start would
    with kept_code(writes=True):
        from transports import compose  # noqa: F401
