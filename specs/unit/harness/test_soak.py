"""The judges of a soak: each is shown the wrong that it is there for, and finds it.

The soak itself is a part of the test run (`harness/checks.py`); here stands that it can fail.
"""

import random
from collections.abc import Sequence
from functools import partial

import pytest
import trio

from harness.bench.wire import Target
from harness.soak import main, talking
from harness.soak.client import BUSY_MAX, Line
from harness.soak.judging import (
    END,
    Log,
    Sample,
    Wrong,
    after_warm_up,
    left_behind,
    slope_kib_per_min,
)
from harness.soak.talking import Soak

KEPT = [b'{"sequence":1}', b'{"sequence":2}', b'{"sequence":3}']
KINDS = ["job.started", "item.delta", END]


def hear(log: Log, *sequences: int, kinds: list[str] = KINDS, cursor: int = 0) -> int:
    for sequence in sequences:
        cursor = log.hear(cursor, sequence, kinds[sequence - 1], KEPT[sequence - 1])
    return cursor


def test_readers_that_drop_anywhere_and_resume_agree_with_the_log() -> None:
    log = Log(name="job_1")

    assert hear(log, 1) == 1
    assert hear(log, 1, 2, 3) == 3
    assert hear(log, 2, 3, cursor=1) == 3
    log.compare(KEPT)


@pytest.mark.parametrize(
    ("sequences", "told"),
    [
        ((1, 3), "a reader at 1 was sent 3"),
        ((2,), "a reader at 0 was sent 2"),
        ((1, 1), "a reader at 1 was sent 1"),
        ((1, 2, 1), "a reader at 2 was sent 1"),
    ],
)
def test_a_lost_or_doubled_event_is_found(sequences: tuple[int, ...], told: str) -> None:
    with pytest.raises(Wrong, match=f"job_1: {told}"):
        hear(Log(name="job_1"), *sequences)


def test_two_readers_that_heard_different_events_are_found() -> None:
    log = Log(name="job_1")
    hear(log, 1)

    with pytest.raises(Wrong, match="two readers were sent two events 1"):
        log.hear(0, 1, "job.started", b"something else")


def test_a_second_end_and_what_follows_an_end_are_found() -> None:
    log = Log(name="job_1")
    hear(log, 1, 2, 3)

    with pytest.raises(Wrong, match="4 follows the end, which is 3"):
        log.hear(3, 4, "item.delta", b"late")
    with pytest.raises(Wrong, match="ends at 3 and again at 2"):
        log.hear(1, 2, END, KEPT[1])


@pytest.mark.parametrize(
    ("heard", "kept", "told"),
    [
        ((1, 2), KEPT, "2 events were heard, 3 others are kept"),
        ((1, 2, 3), KEPT[:2], "3 events were heard, 2 others are kept"),
        ((1, 2, 3), [*KEPT[:2], b"{}"], "3 events were heard, 3 others are kept"),
        ((1, 2), KEPT[:2], "its end is 0 of 2 events"),
    ],
)
def test_a_log_that_is_not_what_was_heard_is_found(
    heard: tuple[int, ...], kept: list[bytes], told: str
) -> None:
    log = Log(name="job_1")
    hear(log, *heard)

    with pytest.raises(Wrong, match=told):
        log.compare(kept)


@pytest.mark.parametrize(("flaw", "sent"), [("lost", 3), ("doubled", 2)])
def test_a_reader_that_is_made_to_mishear_is_found(flaw: str, sent: int) -> None:
    log = Log(name="job_1")
    chance = random.Random(1)  # noqa: S311
    soak = Soak(target=Target(1), chance=chance, longest_s=1, flaw=flaw)

    def tell(cursor: int, sequence: int) -> int:
        frame = {"id": b"%d" % sequence, "event": b"item.delta", "data": b"%d" % sequence}
        return talking.hear(soak, log, cursor, frame)

    def tell_all() -> None:
        cursor = 0
        for sequence in (1, 2, 3, 4):
            cursor = tell(cursor, sequence)

    with pytest.raises(Wrong, match=f"was sent {sent}$"):
        tell_all()
    assert soak.flaw == ""


def rising(kib_per_s: float, *, first: float = 100_000) -> list[Sample]:
    wobble = (0, 300, -200, 100)  # the same over and over: no rise
    return [
        Sample(at_s=at, resident_kib=first + kib_per_s * at + wobble[at % 4]) for at in range(120)
    ]


def test_the_slope_is_that_of_the_line_through_all_samples() -> None:
    assert slope_kib_per_min(rising(0)) == pytest.approx(0, abs=5)
    assert slope_kib_per_min(rising(512)) == pytest.approx(512 * 60, rel=0.001)
    assert slope_kib_per_min([]) == 0
    assert slope_kib_per_min(rising(0)[:1]) == 0


def test_what_fills_while_it_warms_up_is_not_growth() -> None:
    filling = [Sample(at_s=at, resident_kib=min(at, 20) * 1000.0) for at in range(60)]

    assert slope_kib_per_min(filling) > 10_000
    assert slope_kib_per_min(after_warm_up(filling, 20)) == 0


def test_a_planted_growth_of_memory_fails_the_soak(capsys: pytest.CaptureFixture[str]) -> None:
    planted = rising(512)  # 256 KiB every half second

    assert main.judge(planted, main.SMALL, {}, {}) == ["Memory grows by 30,717 KiB/min."]
    assert main.judge(rising(0), main.SMALL, {}, {}) == []
    assert "memory: +30,717 KiB/min by least squares over 80 samples" in capsys.readouterr().out


def test_a_soak_that_was_too_short_to_judge_memory_says_so() -> None:
    assert main.judge(rising(0)[:1], main.SMALL, {}, {}) == ["It was too short to judge memory."]


def test_whatever_is_left_behind_is_named() -> None:
    before = {"threads": 4, "tasks": 15, "descriptors of socket": 5, "readers": 0}
    after = {"threads": 4, "tasks": 14, "descriptors of socket": 7, "actors of jobs": 1}

    assert left_behind(before, before) == []
    assert left_behind(before, after) == [
        "1 actors of jobs left: 0 before the load, 1 once it had drained",
        "2 descriptors of socket left: 5 before the load, 7 once it had drained",
    ]


def test_the_scale_on_demand_is_the_one_that_was_asked_for() -> None:
    assert (main.FULL.jobs, main.FULL.readers) == (500, 2000)
    assert main._parser().parse_args([]).minutes == 60


BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}"
LOST = b"HTTP/1.1 503 Lost\r\nContent-Length: 2\r\n\r\n{}"
GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'


async def asked(answers: Sequence[bytes]) -> tuple[object, int]:
    """Ask a server that answers so, one after the other; return what came and how often again."""

    async def serve(stream: trio.SocketStream) -> None:
        for answer in answers:
            await stream.receive_some(4096)
            await stream.send_all(answer)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            line = Line(Target(listener.socket.getsockname()[1]))
            try:
                return await line.good("GET", "/"), line.busy
            finally:
                await line.aclose()
                nursery.cancel_scope.cancel()
    raise AssertionError


async def test_who_is_told_to_come_again_does_so_and_it_is_counted() -> None:
    assert await asked([BUSY, BUSY, GOOD]) == ({"a": 1}, 2)


@pytest.mark.parametrize("answers", [[LOST, GOOD], [BUSY] * (BUSY_MAX + 1) + [GOOD]])
async def test_a_service_that_does_not_say_when_or_says_so_for_ever_is_wrong(
    answers: list[bytes],
) -> None:
    with pytest.RaisesGroup(Wrong):
        await asked(answers)
