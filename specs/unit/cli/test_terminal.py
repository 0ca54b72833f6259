"""The spinner: only for a person, gone with the first word."""

from __future__ import annotations

import io

import pytest
import trio
from trio.testing import MockClock

from transports.ingress.cli.terminal import Terminal


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


async def drawn(err: io.StringIO, environ: dict[str, str], autojump_clock: MockClock) -> str:
    """What stands on stderr after a second of silence and a word."""
    terminal = Terminal(io.BytesIO(), err, environ)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(terminal.spin)
        await trio.sleep(1)
        terminal.say_answer("word")
        nursery.cancel_scope.cancel()
    return err.getvalue()


async def test_it_turns_until_the_first_word(autojump_clock: MockClock) -> None:
    shown = await drawn(Tty(), {}, autojump_clock)
    assert shown.startswith("\r\x1b[2m⠋\x1b[0m\r\x1b[2m⠙\x1b[0m")
    assert shown.endswith("\r\x1b[K")
    assert shown.count("\x1b[K") == 1


async def test_without_colours_it_is_plain(autojump_clock: MockClock) -> None:
    shown = await drawn(Tty(), {"NO_COLOR": "1"}, autojump_clock)
    assert shown.startswith("\r⠋\r⠙")


@pytest.mark.parametrize(("err", "environ"), [(io.StringIO(), {}), (Tty(), {"TERM": "dumb"})])
async def test_nobody_who_cannot_see_it_gets_one(
    err: io.StringIO, environ: dict[str, str], autojump_clock: MockClock
) -> None:
    assert await drawn(err, environ, autojump_clock) == ""
