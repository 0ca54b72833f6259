"""Supervisor: keeps one actor a key alive, one-for-one, and lets the idle ones go.

Each life has a nursery of its own, so a crash in the actor or in a task it started ends that life
and nothing else. The same object, ref and mailbox go on in the next life, after a pause that
doubles and is jittered over its whole length; `started` rebuilds what the actor knew. Past its
crash budget the actor is given up: who waits is told, `gave_up` records it, and the next `find`
starts afresh. One task a key runs all its lives, and never two of one key at a time.

An actor whose first `started` raises a Problem has not crashed: there is nothing by that key, and
whoever looked for it gets the Problem. In a later life that is a crash: what has lived is not
dropped in silence. Source: Erlang's `supervisor` (one_for_one, intensity); AWS, "Exponential
backoff and jitter" (full jitter).
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeAlias

import structlog
import trio
from pykka import ActorDeadError

from runtime import limits
from runtime.actor import TrioActor, TrioRef
from runtime.problems import Problem, ShuttingDown

log = structlog.get_logger(__name__)

State: TypeAlias = Literal["starting", "running", "restarting", "leaving", "gone"]
GaveUp: TypeAlias = Callable[[str, BaseException], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorReport:
    """How one actor fares, for /api/health/actors."""

    supervisor: str
    key: str
    state: State
    lives: int
    waiting: int  # messages and parts in the mailbox


@dataclass(slots=True, eq=False)
class Kept:
    """One key's actor and where it is between its lives."""

    key: str
    actor: TrioActor
    state: State = "starting"
    lives: int = 0
    crashes: tuple[float, ...] = ()  # when, by trio's clock; those within the window
    ending: bool = False  # asked to end, by stop_all
    scope: trio.CancelScope | None = None  # what to cancel to end the present life or pause
    refusal: BaseException | None = None  # why it never came to life
    turn: trio.Event | None = field(default=None, repr=False)  # made by who waits for a new state

    @property
    def open(self) -> bool:
        """Whether it can be sent messages."""
        return self.state in ("running", "restarting") and not self.actor.actor_inbox.closed

    def become(self, state: State) -> None:
        """Enter a state, and tell those who wait for one."""
        self.state = state
        if self.turn is not None:
            self.turn.set()
            self.turn = None

    async def turned(self) -> None:
        """Wait until it enters another state."""
        if self.turn is None:
            self.turn = trio.Event()
        await self.turn.wait()


class Supervisor:
    """Finds, starts, restarts and ends the actors of one kind. Used from the trio thread only."""

    def __init__(
        self,
        nursery: trio.Nursery,
        start: Callable[[str], TrioActor],
        *,
        name: str,
        random: Random,
        idle_s: float | None = None,
        gave_up: GaveUp | None = None,
    ) -> None:
        """Begin with no actor.

        Args:
            start: builds the actor of a key; called once a key until it has left.
            name: of the kind of actor, `jobs`; in logs, reports and urns.
            random: `Ids.random`, for the jitter.
            idle_s: an idle actor leaves after this, at most a quarter later; None: never.
            gave_up: awaited after a give-up, again and again until it returns.
        """
        self.name = name
        self.restarts = 0  # in all; read by the metrics
        self._nursery, self._start, self._random = nursery, start, random
        self._idle_s, self._gave_up = idle_s, gave_up
        self._kept: dict[str, Kept] = {}
        self._chores: set[trio.CancelScope] = set()  # the sweep and the farewells
        self._sweeping = False
        self._stopping = False
        # actors are started here, or each would carry the log context of whoever found it first
        self._context = contextvars.copy_context()

    async def find(self, key: str) -> TrioRef:
        """Return the ref of the actor of `key`, brought to life where it is not.

        It is alive when this returns: no task has run since it was looked at.

        Raises:
            Problem: the actor's `started` refused; nothing is kept by that key.
            ActorDeadError: it crashed past its budget before it ever served.
            ShuttingDown: `stop_all` has been called.
        """
        while True:
            if self._stopping:
                raise ShuttingDown(f"The {self.name} are stopping")
            kept = self._kept.get(key) or self._begin(key)
            if kept.open:
                ref: TrioRef = kept.actor.actor_ref
                return ref
            await kept.turned()
            if kept.refusal is not None and not self._stopping:
                raise kept.refusal

    async def tell(self, key: str, message: Any) -> None:
        """Find the actor of `key` and tell it; also raises what `find` does."""
        (await self.find(key)).tell(message)

    async def ask(self, key: str, message: Any) -> Any:
        """Find the actor of `key`, ask it and await the answer; also raises what `find` does."""
        return await (await self.find(key)).request(message)

    def alive(self, key: str) -> TrioRef | None:
        """Return the ref of the actor of `key` where it can be sent messages now."""
        kept = self._kept.get(key)
        return kept.actor.actor_ref if kept is not None and kept.open else None

    def report(self) -> list[ActorReport]:
        """Return how every actor fares, oldest first."""
        return [
            ActorReport(
                supervisor=self.name,
                key=kept.key,
                state=kept.state,
                lives=kept.lives,
                waiting=len(kept.actor.actor_inbox),
            )
            for kept in self._kept.values()
        ]

    async def stop_all(self) -> None:
        """End every life, waiting at most limits.STOP_GRACE_S; nothing starts any more."""
        self._stopping = True
        for scope in self._chores:
            scope.cancel()
        for kept in self._kept.values():
            kept.ending = True
            if kept.scope is not None:
                kept.scope.cancel()
        with trio.move_on_after(limits.STOP_GRACE_S):
            while self._kept:
                await next(iter(self._kept.values())).turned()
        if self._kept:
            log.warning("actors_linger", supervisor=self.name, keys=list(self._kept))

    def _begin(self, key: str) -> Kept:
        actor = self._start(key)
        actor.named(f"urn:runchat:{self.name}:{key}")
        kept = Kept(key, actor)
        self._context.run(self._spawn, kept)
        self._kept[key] = kept
        return kept

    def _spawn(self, kept: Kept) -> None:
        self._nursery.start_soon(self._keep, kept, name=kept.actor.actor_urn)
        if self._idle_s is not None and not self._sweeping:
            self._sweeping = True
            self._nursery.start_soon(self._sweep, self._idle_s)

    async def _keep(self, kept: Kept) -> None:
        """Run the lives of one actor, one after the other, until it has ended for good."""
        try:
            while not kept.ending:
                error = await self._live(kept)
                if error is None or not await self._go_on(kept, error):
                    break
        finally:
            del self._kept[kept.key]
            kept.actor.bury(kept.refusal)
            if kept.refusal is None and kept.state == "starting":
                kept.refusal = ActorDeadError(f"{kept.actor} ended before it served")
            kept.become("gone")

    async def _live(self, kept: Kept) -> BaseException | None:
        """Run one life; return what crashed it, None where it ended as it should."""
        kept.lives += 1
        error: BaseException | None = None
        try:
            async with trio.open_nursery() as life:
                kept.scope, kept.actor.life = life.cancel_scope, life
                if await self._born(kept):
                    await kept.actor.serve()
                if kept.actor.actor_inbox.closed:
                    kept.become("leaving")
                life.cancel_scope.cancel()
        except* Exception as group:  # noqa: BLE001  but no cancellation that comes beside it
            error = cause(group)
        return error

    async def _born(self, kept: Kept) -> bool:
        try:
            await kept.actor.started()
        except Problem as problem:
            if kept.state == "restarting":
                raise
            kept.refusal = problem
            return False
        kept.become("running")
        return True

    async def _go_on(self, kept: Kept, error: BaseException) -> bool:
        """Pause after a crash and return True, or give up and return False."""
        closed = kept.actor.actor_inbox.closed
        log.error(
            "actor_crashed",
            supervisor=self.name,
            key=kept.key,
            life=kept.lives,
            exc_info=error,
        )
        if closed or kept.ending:  # it was ending anyway, and crashed as it cleaned up
            return False
        now = trio.current_time()
        since = now - limits.CRASHES_WINDOW_S
        kept.crashes = (*(at for at in kept.crashes if at > since), now)
        if len(kept.crashes) > limits.CRASHES_MAX:
            self._give_up(kept, error)
            return False
        self.restarts += 1
        if kept.state == "running":
            kept.become("restarting")
        with trio.CancelScope() as kept.scope:
            await trio.sleep(self._pause_s(len(kept.crashes)))
        return True

    def _pause_s(self, crashes: int) -> float:
        longest_s = min(limits.RESTART_CAP_S, limits.RESTART_BASE_S * 2 ** (crashes - 1))
        return self._random.uniform(0, longest_s)

    def _give_up(self, kept: Kept, error: BaseException) -> None:
        log.error("actor_given_up", supervisor=self.name, key=kept.key, lives=kept.lives)
        if kept.state == "starting":
            kept.refusal = ActorDeadError(f"{kept.actor} crashed before it served")
            kept.refusal.__cause__ = error
        if self._gave_up is not None:
            self._nursery.start_soon(self._farewell, self._gave_up, kept.key, error)

    async def _farewell(self, gave_up: GaveUp, key: str, error: BaseException) -> None:
        """Call `gave_up` until it returns: what it records must not be lost to a full disk.

        It does not hold up the next `find`, which `gave_up` itself may need.
        """
        failures = 0
        with self._chore():
            while True:
                try:
                    await gave_up(key, error)
                except Exception as failure:
                    failures += 1
                    log.error(  # noqa: TRY400  the traceback goes through exc_info
                        "give_up_not_recorded", supervisor=self.name, key=key, exc_info=failure
                    )
                    await trio.sleep(self._pause_s(failures))
                else:
                    return

    async def _sweep(self, idle_s: float) -> None:
        """Let the idle leave, for as long as there is anybody."""
        try:
            with self._chore():
                while self._kept:
                    await trio.sleep(idle_s / 4)
                    since = trio.current_time() - idle_s
                    for kept in tuple(self._kept.values()):
                        self._let_go(kept, since)
        finally:
            self._sweeping = False

    def _let_go(self, kept: Kept, since: float) -> None:
        """Let one actor leave if it has rested since then; atomic with its mailbox being empty."""
        mailbox = kept.actor.actor_inbox
        if kept.state != "running" or mailbox.rested_at > since:
            return
        try:
            idle = kept.actor.idle()
        except Exception as error:  # a bug of one actor must not end its siblings
            log.error("idle_crashed", supervisor=self.name, key=kept.key, exc_info=error)  # noqa: TRY400
            return
        if idle and mailbox.close_if_idle():
            kept.become("leaving")

    @contextmanager
    def _chore(self) -> Iterator[None]:
        """A piece of work that `stop_all` cancels."""
        with trio.CancelScope() as scope:
            self._chores.add(scope)
            try:
                yield
            finally:
                self._chores.discard(scope)


def cause(error: BaseException) -> BaseException:
    """Return the one exception inside the groups that nurseries make, or the group of several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
