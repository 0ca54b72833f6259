"""The load of a soak: conversations that start, follow, abort, replace and queue jobs for ever.

Each talker has one job going at a time, or two where it replaces or queues, and readers on each;
a reader drops at random places, by hanging up, and resumes by `Last-Event-ID`. When the time is
over the jobs still going are aborted, so that what is left drains at once. What each reader heard
is held against the others and against the log (`judging`). Choices come from one seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from harness.bench.crowd import bodies
from harness.bench.wire import Target
from harness.soak.client import Line
from harness.soak.judging import END, Log, Wrong

ACTS = {"follow": 5, "abort": 2, "replace": 2, "queue": 2}
ENDS = {"finish": 8, "truncate": 1, "error": 1}
PACES_MS = (100, 250, 500, 1000, 2000)
DROP_SHARE = 0.3  # of the connections of a reader: so many are dropped by it
DROP_AFTER_EVENTS = 12  # at most
PAUSE_S = 1.0  # a reader that dropped stays away for so long, at most
ASIDE_S = 30.0  # beyond thrice its own time a job may be silent so long on a busy machine
PAGE = 1000
CONFLICT = 409
FLAWS = ("lost", "doubled")
GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@dataclass(slots=True, kw_only=True)
class Soak:
    """What all talkers share."""

    target: Target
    chance: random.Random
    longest_s: float  # of one job
    done: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)
    over: trio.Event = field(default_factory=trio.Event)
    drops: bool = True
    flaw: str = ""  # of FLAWS: what a reader is made to mishear once, to see it found

    @asynccontextmanager
    async def line(self) -> AsyncGenerator[Line, None]:
        """Give a connection that is closed at the end."""
        line = Line(self.target)
        try:
            yield line
        finally:
            self.done["busy"] += line.busy
            await line.aclose()

    async def noting(self, act: Any, *args: Any) -> None:
        """Do something; note what was wrong with it."""
        try:
            await act(*args)
        except* Wrong as wrongs:
            self.wrongs += map(str, leaves(wrongs))
        except* GONE as losses:
            self.wrongs += (f"{act.__name__} lost a connection: {e!r}" for e in leaves(losses))


def leaves(group: BaseExceptionGroup) -> Iterator[BaseException]:
    """Return the errors of a group and of its groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


async def talk(soak: Soak, readers: int) -> None:
    """Have conversations until the time is over."""
    await trio.sleep(soak.chance.random() * soak.longest_s / 2)
    while not soak.over.is_set():
        await soak.noting(converse, soak, readers)


async def converse(soak: Soak, readers: int) -> None:
    """Have one conversation of one job or two."""
    act = soak.chance.choices(list(ACTS), list(ACTS.values()))[0]
    async with soak.line() as line, trio.open_nursery() as nursery:
        conversation = (await line.good("POST", "/api/conversations", {}))["id"]
        path = f"/api/conversations/{conversation}/jobs"
        first = await start(soak, line, path)
        shares = (
            (readers, 0) if act in ("follow", "abort") else (readers - readers // 2, readers // 2)
        )
        nursery.start_soon(soak.noting, follow, soak, first, shares[0])
        if act == "abort":
            nursery.start_soon(soak.noting, abort, soak, first)
        if act in ("replace", "queue"):
            await trio.sleep(soak.chance.random() * soak.longest_s / 4)
            second = await start(soak, line, path, on_active=act)
            nursery.start_soon(soak.noting, follow, soak, second, shares[1])
        soak.done[act] += 1


async def start(soak: Soak, line: Line, path: str, **how: str) -> str:
    """Start a job of a random length, and return its id."""
    seconds = soak.longest_s * (0.2 + 0.8 * soak.chance.random())
    interval_ms = soak.chance.choice(PACES_MS)
    count = max(1, int(1000 * seconds / interval_ms))
    options = {
        "count": count,
        "interval_ms": interval_ms,
        "size": soak.chance.choice((16, 64, 400)),
        "seed": soak.chance.randrange(1000),
        "end": soak.chance.choices(list(ENDS), list(ENDS.values()))[0],
        "fail_after": soak.chance.randrange(1, count + 1),
    }
    order = {"input": "go on", "model": "synthetic/tokens", "options": options, **how}
    return str((await line.good("POST", path, order))["id"])


async def follow(soak: Soak, job: str, readers: int) -> None:
    """Have a job followed to its end by several; then hold what they heard against its log."""
    log, silence_s = Log(name=job), 3 * soak.longest_s + ASIDE_S
    with trio.move_on_after(silence_s) as patience:
        async with trio.open_nursery() as nursery:
            for _ in range(max(1, readers)):
                nursery.start_soon(soak.noting, read, soak, log, patience, silence_s)
            nursery.start_soon(abort_when_over, soak, job, nursery)
        async with soak.line() as line:
            log.compare(await kept(line, job))
    if patience.cancelled_caught:
        raise Wrong(f"{job}: nothing more was heard in {silence_s} s")
    soak.done["jobs"] += 1


async def abort_when_over(soak: Soak, job: str, readers: trio.Nursery) -> None:
    """Abort a job that still goes when the time is over; leave once its readers have left."""
    while len(readers.child_tasks) > 1:
        with trio.move_on_after(1):
            await soak.over.wait()
            await end(soak, job)
            return


async def abort(soak: Soak, job: str) -> None:
    """Abort a job after a while."""
    await trio.sleep(soak.chance.random() * soak.longest_s / 2)
    await end(soak, job)


async def end(soak: Soak, job: str) -> None:
    """Abort a job, which may have ended already."""
    async with soak.line() as line:
        said = await line.ask("POST", f"/api/jobs/{job}/abort", b"{}")
    if said.status != CONFLICT and said.json().get("status") != "aborted":
        raise Wrong(f"{job}: an abort was answered {said.status} {said.body[:200]!r}")


async def read(soak: Soak, log: Log, patience: trio.CancelScope, silence_s: float) -> None:
    """Follow a log to its end over as many connections as it takes.

    Each event moves the patience on: a busy machine may be late, but not silent.
    """
    cursor, path = 0, f"/api/jobs/{log.name}/events"
    while cursor == 0 or cursor != log.end:
        drops = soak.drops and soak.chance.random() < DROP_SHARE
        left = soak.chance.randrange(DROP_AFTER_EVENTS) if drops else -1
        async with soak.line() as line:
            resume = str(cursor) if cursor else ""
            async with aclosing(line.frames(path, resume=resume)) as frames:
                async for frame in frames:
                    patience.deadline = trio.current_time() + silence_s
                    cursor = hear(soak, log, cursor, frame)
                    left -= 1
                    if left == 0:
                        break
        if drops:
            soak.done["drops"] += 1
            await trio.sleep(soak.chance.random() * PAUSE_S)
    soak.done["readers"] += 1


def hear(soak: Soak, log: Log, cursor: int, frame: dict[str, bytes]) -> int:
    """Take a frame to the log, misheard where that was planted."""
    kind, body = frame["event"].decode(), frame["data"]
    flaw = soak.flaw if cursor and kind != END else ""
    if flaw:
        soak.flaw = ""
    if flaw == "lost":
        return cursor
    soak.done["events"] += 1
    cursor = log.hear(cursor, int(frame["id"]), kind, body)
    return log.hear(cursor, int(frame["id"]), kind, body) if flaw == "doubled" else cursor


async def kept(line: Line, job: str) -> list[bytes]:
    """Return the bodies of all events of a log."""
    whole: list[bytes] = []
    while True:
        path = f"/api/jobs/{job}/events?after={len(whole)}&limit={PAGE}"
        page = bodies(await line.good("GET", path))
        whole += page
        if not page:
            return whole
