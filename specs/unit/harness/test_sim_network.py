"""The network and the vendor of the simulation: what is sent comes, or breaks after any byte."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from harness.simulation.direct import Direct
from harness.simulation.network import ROOM_BYTES, pair
from harness.simulation.scripted import HEAD, Script, speech
from harness.simulation.wire import Lost

PATIENCE_S = 5.0
SCRIPT = Script(words=4, thinks=True, counts=True, splits=8)


async def test_a_full_line_holds_its_writer_until_the_reader_takes_something(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = pair(room=10)
    told: list[str] = []

    async def write() -> None:
        await theirs.send_all(b"x" * 30)
        told.append("written")

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await trio.sleep(1)
            assert (told, ours.incoming.full_since) == ([], 0.0)
            assert await ours.receive_some(25) == b"x" * 25
            await trio.sleep(0.01)
            assert (told, ours.incoming.full_since) == (["written"], None)
            assert await ours.receive_some(25) == b"x" * 5


async def test_a_piece_that_may_not_wait_goes_as_far_as_there_is_room() -> None:
    ours, theirs = pair(room=10)
    with trio.fail_after(PATIENCE_S):
        assert theirs.write_now(b"0123456") == 7
        assert theirs.write_now(b"789ab") == 3
        with pytest.raises(BlockingIOError):
            theirs.write_now(b"ab")
        assert await ours.receive_some() == b"0123456789"
        assert theirs.write_now(memoryview(b"ab")) == 2
        ours.hang_up()
        with pytest.raises(ConnectionError):
            theirs.write_now(b"c")


async def test_who_hangs_up_is_heard_to_the_end_and_reads_nothing_more() -> None:
    ours, theirs = pair()
    with trio.fail_after(PATIENCE_S):
        await theirs.send_all(b"last words")
        theirs.hang_up()
        assert await ours.receive_some() == b"last words"
        assert await ours.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError):
            await ours.send_all(b"too late")


async def test_a_reset_loses_what_is_on_the_way() -> None:
    ours, theirs = pair()
    with trio.fail_after(PATIENCE_S):
        await theirs.send_all(b"lost")
        theirs.reset()
        with pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()


async def test_a_write_ends_when_its_reader_leaves() -> None:
    ours, theirs = pair(room=1)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.aclose)
            with pytest.raises(trio.BrokenResourceError):
                await theirs.send_all(b"more than there is room for")


@pytest.mark.parametrize("framed", [True, False])
def test_an_answer_is_cut_after_any_byte_and_nothing_else_changes(framed: bool) -> None:
    whole = b"".join(piece for _, piece in speech(SCRIPT, framed=framed).pieces)
    ends = {"close", "reset", "stall"}
    for at in range(len(whole) - 5 * framed):
        for end, then in (("truncate", "close"), ("reset", "reset"), ("stall", "stall")):
            script = Script(words=4, thinks=True, counts=True, splits=8, end=end, at=at)  # type: ignore[arg-type]
            said = speech(script, framed=framed)
            assert said.then == then
            assert b"".join(piece for _, piece in said.pieces) == whole[:at]
            ends.discard(then)
    assert ends == set()
    assert whole.startswith(HEAD) is framed


def test_the_mark_is_in_the_bytes_that_are_said_to_hold_it() -> None:
    said = speech(SCRIPT, framed=False)
    whole = b"".join(piece for _, piece in said.pieces)
    assert whole[: int(said.mark)].endswith(b'"finish_reason":"stop"}]}')
    assert speech(Script(end="truncate"), framed=False).mark == float("inf")


def test_pieces_end_inside_characters_too() -> None:
    inside = 0
    for seed in range(60):
        said = speech(Script(seed=seed, words=6, splits=8), framed=False)
        inside += sum(0x80 <= piece[0] < 0xC0 for _, piece in said.pieces if piece)
    assert inside > 10


async def test_what_a_process_says_once_it_is_dead_reaches_nobody() -> None:
    async def app(_scope: object, _receive: object, send: Callable[..., Awaitable[None]]) -> None:
        asked.cut()
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            asked = Direct(app, "one/alice", nursery, ROOM_BYTES)
            with pytest.raises(Lost):
                await asked.answer("GET", "/api/health")
            asked = Direct(app, "one/alice", nursery, ROOM_BYTES)
            await asked.send("GET", "/api/health")
            with pytest.raises(Lost):
                await asked.head()
