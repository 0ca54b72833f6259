"""One session's actor: pauses grow, the circuit opens, and it rests when nobody waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from runtime import limits
from runtime.problems import UpstreamLost
from specs.requirements import requirement
from specs.support.mcp_sessions import sessions_over
from transports.egress.mcp.words import Session


async def nobody(changed: Callable[[], None]) -> Session:
    del changed
    raise UpstreamLost("Nobody is there.")


@requirement("mcp.circuit")
async def test_a_server_that_cannot_be_reached_is_left_alone_for_a_while(
    autojump_clock: MockClock,
) -> None:
    tried_at: list[float] = []

    @asynccontextmanager
    async def refusing(changed: Callable[[], None]) -> AsyncIterator[Session]:
        tried_at.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        yield await nobody(changed)

    async with sessions_over(refusing) as sessions:
        for _ in range(limits.MCP_FAILURES_MAX + 2):
            with pytest.raises(UpstreamLost, match="Nobody is there"):
                await sessions.list()
        pauses = [later - sooner for sooner, later in pairwise(tried_at)]

        assert len(tried_at) == limits.MCP_FAILURES_MAX
        assert pauses == sorted(pauses)


async def test_a_session_that_takes_too_long_to_open_is_given_up(
    autojump_clock: MockClock,
) -> None:
    @asynccontextmanager
    async def hanging(changed: Callable[[], None]) -> AsyncIterator[Session]:
        del changed
        await trio.sleep_forever()
        yield

    async with sessions_over(hanging) as sessions:
        began = trio.current_time()
        with pytest.raises(UpstreamLost, match="too long to open"):
            await sessions.list()

        assert trio.current_time() - began == limits.MCP_CONNECT_S
