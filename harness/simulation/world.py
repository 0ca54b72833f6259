"""One run: a plan carried out against the whole product, with the laws looked at after every step.

Theory: all that can differ between two runs comes from the seed: the plan, trio's choices, the ids
and the jitter. The process may die and start again as often as the plan says; the store, the vendor
and the clients' cursors stay. At the end nothing more goes wrong, everything comes to rest, every
reader reads to the end, and the store is compared with all that was ever seen.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import orjson
import trio

from harness.faults import Faults, FaultyConnection, Side
from harness.recorder import Recorder
from harness.simulation import badges, last_look, scheduler, watch
from harness.simulation.acts import Acts
from harness.simulation.clients import Clients
from harness.simulation.machine import Build, Machine
from harness.simulation.oracle import Oracle
from harness.simulation.plan import Plan, Step, pick
from harness.simulation.process import Process
from harness.simulation.renewed import open_store
from harness.simulation.scheduler import VirtualClock
from harness.simulation.scripted import Scripted
from store import recovery

DISK_PAUSES_S: Final = (0.0, 0.0, 0.0, 0.001, 0.004, 0.02)
WOKEN_S: Final = 3.0  # virtual; shorter than a heartbeat, after which a reader looks by itself
REST_S: Final = 1500.0  # virtual; a stall ends after 120 s, and several may wait in one queue
RESTART_S: Final = 0.01  # from the end of a life to the next; a real one takes longer
REFUSED_S: Final = 1.0  # the same where it could not start, for want of space
REVOKED_S: Final = 62.0  # a stream whose token has been revoked ends within 60
GRACE_S: Final = 20.0  # for what was still asked to be answered
HOUR_MS: Final = 3600 * 1000
LEAPS_MS: Final = (
    1,
    5000,
    HOUR_MS,
    3 * HOUR_MS,
    25 * HOUR_MS,
    -1,
    -5000,
    -HOUR_MS,
    -25 * HOUR_MS,
    -720 * HOUR_MS,
)
READERS: Final = ("follow", "resume", "stall")
SIDES: Final[tuple[Side, Side]] = ("before", "after")

Story: TypeAlias = "Callable[[World], Awaitable[None]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run went."""

    plan: Plan
    digest: str  # of the trace
    wrongs: tuple[str, ...]
    lines: tuple[str, ...]  # of the trace, where they were kept
    commits: int
    seen: int  # events that clients have read
    completed: int  # jobs whose answer was heard to its end
    lives: int  # of the process
    virtual_s: float
    crashes: int  # of actors, on purpose
    orphans: frozenset[str]  # jobs that ran when a life of the process ended
    logs: Mapping[str, Sequence[bytes]]  # every event's bytes, by stream

    def log(self, job_id: str) -> list[dict[str, Any]]:
        """Return a job's log, decoded."""
        return [orjson.loads(body) for body in self.logs.get(f"jobs/{job_id}", ())]

    def statuses(self) -> dict[str, str]:
        """Return how each job ended, in the order they were made."""
        jobs = sorted(each for each in self.logs if each.startswith("jobs/"))  # ids sort by birth
        return {
            each.partition("/")[2]: orjson.loads(self.logs[each][-1])["data"]["status"]
            for each in jobs
        }


def simulate(
    plan: Plan,
    *,
    story: Story | None = None,
    build: Build | None = None,
    keeps_lines: bool = False,
    seeds_trio: bool = True,
) -> Outcome:
    """Carry out a plan in a loop of its own and say how it went.

    Args:
        story: what happens in place of the plan's steps.
        seeds_trio: False leaves the order of ready tasks to chance, for the control.
    """
    recorder = Recorder(keeps_lines=keeps_lines)

    async def program() -> Outcome:
        async with trio.open_nursery() as nursery:
            world = World(plan, recorder, build or Build(), nursery)
            outcome = await world.run(story)
            nursery.cancel_scope.cancel()
        world.machine.store.writer.conn.close()
        return outcome

    with recorder.taking_logs():
        return scheduler.run(program, plan.seed, seeds_trio=seeds_trio)


class World:
    """Everything in one run."""

    def __init__(self, plan: Plan, recorder: Recorder, build: Build, nursery: trio.Nursery) -> None:
        self.plan, self.recorder, self.nursery = plan, recorder, nursery
        note = recorder.note
        self.vendor = Scripted()
        self.oracle = Oracle(note, self.vendor)
        self.faults = Faults(note)
        self.wall, store = VirtualClock(), open_store(guarded=plan.speaks_http)
        store.writer.conn = cast("Any", FaultyConnection(store.writer.conn, self.faults))
        build.on_store(store)
        chance = random.Random(f"ids {plan.seed}")  # noqa: S311  it repeats, that is its point
        disk = random.Random(f"disk {plan.seed}")  # noqa: S311
        self.machine = Machine(
            store=store,
            vendor=self.vendor,
            wall=self.wall,
            chance=chance,
            speaks_http=plan.speaks_http,
            tasks=nursery,
            disk_pause_s=lambda: disk.choice(DISK_PAUSES_S),
            faults=self.faults,
            oracle=self.oracle,
            note=note,
            build=build,
        )
        self.process = Process(self.machine)
        self.lives = 0
        self.clients = Clients(
            faults=self.faults,
            oracle=self.oracle,
            note=note,
            process=lambda: self.process,
            badges=badges.Badges(store.writer, self.wall, self.faults),
            speaks_http=plan.speaks_http,
        )
        self.acts = Acts(self.clients, bad_vendor="provider" in plan.faults)
        self.orphans: set[str] = set()

    async def run(self, story: Story | None = None) -> Outcome:
        """Carry out the plan, or a story, and let everything come to rest."""
        self.nursery.start_soon(self._keep_alive)
        await self.until_up()
        await (self._take_steps() if story is None else story(self))
        if not self.oracle.wrongs:
            await self._come_to_rest()
        return self._outcome()

    async def _take_steps(self) -> None:
        for place, step in enumerate(self.plan.steps):
            await self.until_up()
            self.recorder.note("step", place, step.kind)
            await self._take(step)
            await trio.sleep(step.pause_ms / 1000)
            self._look()
            if self.oracle.wrongs:
                return

    def _look(self) -> None:
        """Look at the laws that hold at any time."""
        watch.look_at_readers(self.clients, WOKEN_S)
        if self.faults.written_after:
            self.oracle.wrong("nothing is written after a failed fsync")

    def _outcome(self) -> Outcome:
        return Outcome(
            plan=self.plan,
            digest=self.recorder.digest(),
            wrongs=tuple(self.oracle.wrongs),
            lines=tuple(self.recorder.lines),
            commits=self.oracle.commits,
            seen=self.oracle.seen,
            completed=self.oracle.completed,
            lives=self.lives,
            virtual_s=trio.current_time(),
            crashes=self.faults.crashes,
            orphans=frozenset(self.orphans),
            logs=self.oracle.logs,
        )

    async def _keep_alive(self) -> None:
        """Start the process again whenever it has ended, as a supervisor of services does."""
        while True:
            self.lives += 1
            self.oracle.restarted()
            await self.process.run()
            self.orphans |= set(self.oracle.running.values())
            self._look()
            self._check_disk()
            refused = not self.process.up.is_set()
            self.process = Process(self.machine)
            await trio.sleep(REFUSED_S if refused else RESTART_S)

    def _check_disk(self) -> None:
        """Look at what a dead process has left, as the next one does before it serves."""
        db = self.machine.store.reader
        if self.faults.fsync_failed and (damaged := recovery.damaged_tails(db)):
            self.oracle.wrong("the tail is sound after a failed fsync", damaged)
        self.faults.fsync_failed = False
        last_look.compare_store(self.oracle, db)

    async def until_up(self) -> None:
        """Wait until the process takes connections."""
        while not self.process.is_up:
            await self.process.up_or_ended()
            if self.process.ended.is_set():
                await trio.sleep(RESTART_S)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait, looking every virtual millisecond, until something holds."""
        while not holds():  # noqa: ASYNC110  what is waited for has no event of its own
            await trio.sleep(0.001)

    async def _take(self, step: Step) -> None:
        if (act := self.acts.of(step)) is None:
            await self._go_wrong(step)
        elif step.waits and step.kind not in READERS:
            await act()
        else:
            self.nursery.start_soon(act, name=f"client {step.kind}")

    async def _go_wrong(self, step: Step) -> None:  # noqa: C901  a table of faults
        first, second, third = step.numbers[:3]
        match step.kind:
            case "drop":
                connected = [each for each in self.clients.followers if each.connected]
                if connected:
                    connected[first % len(connected)].drop()
            case "crash_message":
                kind = pick(("jobs", "jobs", "conversations", "providers"), first)
                self.faults.arm("message", kind, SIDES[second % 2], third % 6)
            case "crash_write":
                kind = pick(("jobs", "jobs", "conversations"), first)
                self.faults.arm("write", kind, SIDES[second % 2], third % 5)
            case "kill":
                self.process.kill()
            case "kill_commit":
                self.faults.arm("commit", "", SIDES[second % 2], third % 6)
            case "stop":
                self.process.stop(first % 3 / 2)
            case "disk_once":
                self.faults.fill_disk_once(second % 12)
            case "fsync":
                self.faults.fail_fsync(second % 6, keeps=third % 2 == 0)
            case "leap":
                self.wall.leap(LEAPS_MS[first % len(LEAPS_MS)])
                self.recorder.note("wall", self.wall.now_ms())
            case "disk":
                self.nursery.start_soon(self._fill_disk, (0.05, 0.5, 3.0, 20.0)[first % 4])

    async def _fill_disk(self, seconds: float) -> None:
        self.faults.fill_disk()
        await trio.sleep(seconds)
        self.faults.disk_full = False

    async def _come_to_rest(self) -> None:
        self.faults.disarm()
        await self.until_up()
        await self.clients.abort_silent()
        with trio.move_on_after(REST_S):
            while not self.oracle.wrongs:
                await self._until_all_ended()
                with trio.move_on_after(GRACE_S):
                    await self.until(lambda: not self.clients.under_way)
                if not self.oracle.unfinished():
                    break
        for job_id in self.oracle.unfinished():
            self.oracle.wrong("every job ends", job_id)
        if not self.oracle.wrongs:
            await self._look_at_all()

    async def _until_all_ended(self) -> None:
        while self.oracle.unfinished() and not self.oracle.wrongs:
            await trio.sleep(0.5)
            await self.until_up()
        await trio.sleep(2 * WOKEN_S)
        self._look()
        if watch.some_must_end(self.clients):
            await trio.sleep(REVOKED_S)
            self._look()

    async def _look_at_all(self) -> None:
        for follower in self.clients.followers:
            follower.drop()
        await trio.sleep(0.001)
        for follower in self.clients.followers:
            if not follower.ended:
                with trio.move_on_after(1.0):  # a conversation's log has no end
                    await follower.run(self.clients.connect)
            length = len(self.oracle.logs.get(follower.stream, ()))
            if follower.cursor != length:
                self.oracle.wrong(
                    "a reader gets to the end", follower.name, follower.cursor, length
                )
        for job_id in self.vendor.calls:
            if self.vendor.open_calls(job_id):
                self.oracle.wrong("no connection to a provider is left", job_id)
        db = self.machine.store.reader
        last_look.compare_store(self.oracle, db)
        last_look.compare_audit(self.oracle, self.clients, db)
        await last_look.compare_answers(self.oracle, self.clients)
