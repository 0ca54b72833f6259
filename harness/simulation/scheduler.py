"""Runs an async program so that a seed decides all of it: who runs next, and what time it is.

Theory: without threads, sockets and a clock of its own a program is a function of the order in
which its ready tasks run. Trio draws that order from a private generator, and has a private switch
that first sorts them by birth. Here its loop is replaced for the time of a run by one that does the
same and nothing else: no wait for the kernel, no signals; where nobody is ready, the clock moves to
the next deadline. That saves a fifth of a run. So do, on a smaller scale, a sleep, a look at time
and a cancel scope that go past trio's generality. The names all this rests on are private, so
`specs/unit/harness/test_sim_scheduler.py` says that they are there.
Source: trio 0.35 `_core/_run.py` (`unrolled_run`).
"""

from __future__ import annotations

import gc
import random
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from math import inf
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

import outcome
import trio

T = TypeVar("T")
Nap: TypeAlias = tuple[float, int, Any]  # until when; how many came before it; whose
EPOCH_MS = 1_800_000_000_000  # when every simulated world begins
_birth = attrgetter("_counter")
INNER: Any = trio._core._run  # noqa: SLF001  trio offers no other way
MOVED = "_might_change_registered_deadline"


class VirtualClock:
    """The wall's clock: it moves with trio's, and may be set forward or back."""

    def __init__(self) -> None:
        self.leapt_ms = self._latest_ms = 0

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return EPOCH_MS + self.leapt_ms + int(trio.current_time() * 1000)

    def latest_ms(self) -> int:
        """Return the latest time that it has ever shown."""
        return max(self._latest_ms, self.now_ms())

    def leap(self, ms: int) -> None:
        """Set it forward, or back."""
        self._latest_ms = self.latest_ms()
        self.leapt_ms += ms


class Leaping(trio.abc.Clock):
    """Trio's clock: it stands still until the loop sets it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.naps: list[Nap] = []  # a heap; who was cancelled lies there until the time comes
        self._count = count()

    async def nap(self, seconds: float) -> None:
        """Wait as `trio.sleep` does, without a scope: that is a third of what it costs."""
        if seconds <= 0:
            await trio.lowlevel.checkpoint()
            return
        task = trio.lowlevel.current_task()
        task.custom_sleep_data = nap = (self.now_s + seconds, next(self._count), task)
        heappush(self.naps, nap)
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)

    def wake(self) -> None:
        """Let those go on whose time has come."""
        while self.naps and self.naps[0][0] <= self.now_s:
            nap = heappop(self.naps)
            if nap[2].custom_sleep_data is nap:  # trio forgets it where the task goes on
                trio.lowlevel.reschedule(nap[2])

    def start_clock(self) -> None:
        """Nothing moves by itself."""

    def current_time(self) -> float:
        """Virtual seconds since the run began."""
        return self.now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Nobody sleeps."""
        return max(0.0, deadline - self.now_s)


class Deadlock(Exception):
    """Nobody is ready and nobody waits for a time."""


def run(program: Callable[[], Awaitable[T]], seed: int, *, seeds_trio: bool = True) -> T:
    """Run `program` in a trio loop of its own and return what it returns.

    Args:
        seeds_trio: False leaves the order of ready tasks to chance, for the control.
    """
    chance = random.Random(seed) if seeds_trio else random.SystemRandom()  # noqa: S311
    clock = Leaping()
    with _our_loop(chance, clock), uncollected():
        return trio.run(program, clock=clock)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let garbage lie until the end: a run is short, and looking for it a twentieth of one."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _our_loop(chance: random.Random, clock: Leaping) -> Iterator[None]:
    def loop(runner: Any, program: Any, args: Any, *_: Any) -> Generator[float, Any, None]:
        return _turns(runner, program, args, chance)

    ours: tuple[tuple[Any, str, Any], ...] = (
        (INNER, "unrolled_run", loop),
        (INNER, "current_time", clock.current_time),
        (trio, "current_time", clock.current_time),
        (trio, "sleep", clock.nap),
        (INNER.CancelScope, MOVED, _moved),
    )
    theirs = [getattr(place, name) for place, name, _ in ours]
    for place, name, value in ours:
        setattr(place, name, value)
    try:
        yield
    finally:
        for (place, name, _), value in zip(ours, theirs, strict=True):
            setattr(place, name, value)


def _moved(scope: Any) -> Moved:
    return Moved(scope)


class Moved:
    """Registers a scope's deadline after a change, as trio does, but is no generator."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Any) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        """Wait for the change."""

    def __exit__(self, *_: object) -> None:
        scope = self._scope
        alive = scope._cancel_status is not None and not scope._cancel_called  # noqa: SLF001
        before, now = scope._registered_deadline, scope._deadline if alive else inf  # noqa: SLF001
        if before != now:
            scope._registered_deadline = now  # noqa: SLF001
            due = INNER.GLOBAL_RUN_CONTEXT.runner.deadlines
            if before != inf:
                due.remove(before, scope)
            if now != inf:
                due.add(now, scope)


@trio.lowlevel.enable_ki_protection
def _turns(
    runner: Any, program: Any, args: Any, chance: random.Random
) -> Generator[float, Any, None]:
    """Let all ready tasks take a turn, again and again, until no task is left."""
    clock, queue, due = runner.clock, runner.entry_queue, runner.deadlines._heap  # noqa: SLF001
    try:
        runner.init_task = runner.spawn_impl(
            runner.init, (program, args), None, "<init>", system_task=True
        )
        while runner.tasks:
            if queue.queue or queue.idempotent_queue:  # called from a finalizer
                runner.io_manager.process_events((yield 0.0))
            elif not runner.runq:
                _leap(runner, clock)
            if due and due[0][0] <= clock.now_s:
                runner.deadlines.expire(clock.now_s)
            ready = list(runner.runq)
            runner.runq.clear()
            if len(ready) > 1:
                ready.sort(key=_birth)
                chance.shuffle(ready)
            for task in ready:
                _take_turn(runner, task)
    finally:
        runner.close()
        INNER.GLOBAL_RUN_CONTEXT.__dict__.clear()


def _leap(runner: Any, clock: Leaping) -> None:
    """Move the clock to where somebody has something to do."""
    deadline = runner.deadlines.next_deadline()
    if clock.naps:
        deadline = min(deadline, clock.naps[0][0])
    if deadline == inf:
        raise Deadlock
    clock.now_s = max(clock.now_s, deadline)
    clock.wake()


def _take_turn(runner: Any, task: Any) -> None:
    """Run one task until it waits or ends."""
    INNER.GLOBAL_RUN_CONTEXT.task = task
    send, value = task._next_send_fn, task._next_send  # noqa: SLF001
    task._next_send_fn = task._next_send = None  # noqa: SLF001
    ended: Any = None
    try:
        trap = task.context.run(send, value)
    except StopIteration as stop:
        ended = outcome.Value(stop.value)
    except BaseException as error:  # noqa: BLE001  it belongs to whoever waits for the task
        ended = outcome.Error(error)
    if ended is not None:
        runner.task_exited(task, ended)
    elif trap is SHIELDED:
        runner.reschedule(task)
    elif type(trap) is WAITS:
        task._abort_func = trap.abort_func  # noqa: SLF001
        task._attempt_delivery_of_any_pending_cancel()  # noqa: SLF001
    else:
        raise TypeError(trap)
    del INNER.GLOBAL_RUN_CONTEXT.task


SHIELDED: Any = INNER.CancelShieldedCheckpoint
WAITS: Any = INNER.WaitTaskRescheduled
