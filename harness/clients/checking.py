"""How a program of a real client says what it saw: a line a check. Runs beside that client alone.

Source: the runner reads lines that begin with `passed `.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

TEXT, THOUGHT = "Hello from upstream.", "Let me think."
ARGUMENTS = {"location": "Berlin"}
INPUT, OUTPUT, CACHED, REASONING = 11, 7, 3, 4
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"location": {"type": "string"}},
    "required": ["location"],
}
QUESTION = "What is the weather in Berlin?"


def equal(seen: object, wanted: object) -> None:
    """Check one thing.

    Raises:
        ValueError: it is another.
    """
    if seen != wanted:
        msg = f"saw {seen!r}, wanted {wanted!r}"
        raise ValueError(msg)


def of_both(said: Callable[..., Any], looped: Callable[[str], Any]) -> list[Callable[[], Any]]:
    """Return the checks of a client of both APIs, named by API and by what they check.

    Args:
        said: is told the API, and by `streams` whether the answer comes in pieces.
        looped: is told the API; a tool is called and answered.
    """

    def named(name: str, check: Callable[[], Any]) -> Callable[[], Any]:
        def checked() -> Any:
            return check()

        checked.__name__ = name
        return checked

    return [
        named(f"{api}_{name}", check)
        for api in ("chat", "responses")
        for name, check in (
            ("whole", partial(said, api, streams=False)),
            ("streamed", partial(said, api, streams=True)),
            ("tools", partial(looped, api)),
        )
    ]


def run(client: str, *checks: Callable[[], Any]) -> int:
    """Run each check; print a line for it, and where it failed, why."""
    failed = 0
    with asyncio.Runner() as runner:  # one loop: a client's connections outlive a check
        for check in checks:
            name = f"{client}: {check.__name__.replace('_', ' ')}"
            try:
                made = check()
                if inspect.iscoroutine(made):
                    runner.run(made)
            except Exception as error:  # noqa: BLE001 - a check may fail in any way of its client's
                failed += 1
                why = traceback.format_exception_only(error)[-1].strip()[:600]
                print(f"FAILED {name}: {why}", flush=True)
            else:
                print(f"passed {name}", flush=True)
    return 1 if failed else 0
