"""What a session keeps for a client that lost its connection."""

from __future__ import annotations

import trio
import trio.testing
from mcp.server.streamable_http import EventMessage
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCResponse

from runtime import limits
from transports.ingress.mcp.replay import Replay


def notice(words: str) -> JSONRPCMessage:
    return JSONRPCNotification(jsonrpc="2.0", method="notifications/x", params={"words": words})


def answer(id: int) -> JSONRPCMessage:
    return JSONRPCResponse(jsonrpc="2.0", id=id, result={})


async def heard_after(replay: Replay, cursor: str) -> list[str]:
    """Return the ids of what is replayed, until the stream's answer has come."""
    heard: list[str] = []

    async def take(message: EventMessage) -> None:
        heard.append(str(message.event_id))

    with trio.fail_after(5):
        assert await replay.replay_events_after(cursor, take) is None
    return heard


async def test_what_a_stream_said_after_an_event_is_told_and_no_other_streams() -> None:
    replay = Replay()
    first = await replay.store_event("1", None)
    await replay.store_event("2", notice("of another"))
    await replay.store_event("1", notice("mine"))
    await replay.store_event("1", answer(1))

    assert await heard_after(replay, first) == ["3", "4"]


async def test_who_comes_back_early_hears_what_is_said_later_each_once() -> None:
    replay = Replay()
    first = await replay.store_event("1", None)
    heard: list[str] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            heard.extend(await heard_after(replay, first))

        nursery.start_soon(follow)
        for words in ("one", "two"):
            await trio.testing.wait_all_tasks_blocked()
            await replay.store_event("1", notice(words))
        await replay.store_event("1", answer(1))

    assert heard == ["2", "3", "4"]


async def test_an_event_that_is_kept_no_more_replays_nothing() -> None:
    replay = Replay()
    first = await replay.store_event("1", None)
    for _ in range(limits.MCP_REPLAY_EVENTS_MAX):
        await replay.store_event("1", notice("more"))

    assert await heard_after(replay, first) == []


async def test_the_newest_event_is_kept_however_large() -> None:
    replay = Replay()
    small = await replay.store_event("1", None)
    large = await replay.store_event("1", notice("x" * limits.MCP_REPLAY_BYTES))
    before = await heard_after(replay, small)
    await replay.store_event("1", answer(1))

    assert (before, await heard_after(replay, large)) == ([], [])


async def test_a_session_that_ends_lets_its_followers_go() -> None:
    replay = Replay()
    first = await replay.store_event("1", None)
    told: list[list[str]] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            told.append(await heard_after(replay, first))

        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked()
        replay.close()

    assert told == [[]]
