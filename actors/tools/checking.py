"""The door to `actors.tools.arguments`: a short check is made on the loop, a long one on a thread.

Most checks take less than it takes to ask a thread. Which will not, nobody can tell beforehand: so
each has a few steps on the loop first, and begins again on a thread where these were not enough.
The first of a process is on a thread, too, which imports what checks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import trio

from runtime import limits

CHECKS: Final = "actors.tools.arguments"
Found: TypeAlias = tuple[str, dict[str, Any]]


async def read(schema: Mapping[str, Any], text: str) -> Found:
    """Return what is wrong with the arguments that a model wrote, "" for nothing, and them."""
    return await _soon(lambda steps_max: _read(schema, text, steps_max), len(text))


async def problem_with(schema: Mapping[str, Any], value: Any) -> str:
    """Return what is wrong with a value, "" for nothing."""
    problem, _ = await _soon(lambda steps_max: _check(schema, value, steps_max), 0)
    return problem


async def _soon(check: Callable[[int], Found | None], size_bytes: int) -> Found:
    here = CHECKS in sys.modules and size_bytes <= limits.INLINE_ARGUMENTS_BYTES
    if here and (found := check(limits.SCHEMA_STEPS_INLINE)) is not None:
        return found
    found = await trio.to_thread.run_sync(check, limits.SCHEMA_STEPS_MAX, abandon_on_cancel=True)
    return found or ("The tool's schema takes too long to check.", {})


def _read(schema: Mapping[str, Any], text: str, steps_max: int) -> Found | None:
    from actors.tools import arguments  # noqa: PLC0415  see the module

    try:
        return "", arguments.read(schema, text, steps_max)
    except arguments.BadArguments as problem:
        return str(problem), {}
    except arguments.TooMuch:
        return None


def _check(schema: Mapping[str, Any], value: Any, steps_max: int) -> Found | None:
    from actors.tools import arguments  # noqa: PLC0415  see the module

    try:
        arguments.check(schema, value, steps_max)
    except arguments.BadArguments as problem:
        return str(problem), {}
    except arguments.TooMuch:
        return None
    return "", {}
