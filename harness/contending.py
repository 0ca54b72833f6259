"""Clients that contend for the same conversations, and the history of what each of them saw.

Theory: the whole product runs in the simulation, and each client speaks HTTP over a connection of
its own, so what is recorded is what the public door answered. Some break their connection in the
middle, and the process may be killed: such a call has no answer, and may have happened or not.
`harness.linearize` then says whether the history could have been, by `harness.current_job`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TypeAlias

import trio
import trio.lowlevel

from actors.job import Job
from harness import linearize
from harness.current_job import (
    Abort,
    Aborted,
    Accepted,
    Current,
    Dies,
    Do,
    Ends,
    GoesOn,
    Read,
    Refused,
    Said,
    Start,
    State,
    step,
)
from harness.linearize import Recorder, Verdict
from harness.simulation import plan as plans
from harness.simulation.machine import Build
from harness.simulation.scripted import MODEL, Script
from harness.simulation.wire import Answer, Exchange, Lost
from harness.simulation.world import Outcome, World, simulate
from runtime.actor import TrioActor
from transports.egress.providers.base import End

History: TypeAlias = "list[linearize.Call[Do, Said]]"
OWNER: Final = "one/alice"
CLIENTS: Final = 5
CALLS: Final = 12  # of each client
CONVERSATIONS: Final = 2
BREAKS: Final = 0.12  # how often a client hangs up before its answer
THINKS_S: Final = (0.0, 0.0, 0.001, 0.005, 0.03)
ON_ACTIVE: Final = ("refuse", "replace", "replace", "queue", "queue")


@dataclass(slots=True, kw_only=True)
class Contest:
    """One run: who asked what, and what was answered."""

    seed: int
    kills: bool
    recorder: Recorder[Do, Said] = field(default_factory=Recorder)
    seen: dict[str, list[str]] = field(default_factory=dict)  # jobs named so far, by conversation
    starts: int = 0

    async def story(self, world: World) -> None:
        """Let all clients do their part at once."""
        talks = [
            talk.id for _ in range(CONVERSATIONS) if (talk := await world.clients.begin(OWNER))
        ]
        self.seen = {talk: [] for talk in talks}
        async with trio.open_nursery() as nursery:
            for number in range(CLIENTS):
                nursery.start_soon(self._act, world, number)
            if self.kills:
                nursery.start_soon(self._kill, world)

    def watch(self, actor: TrioActor) -> None:
        """Note the moment at which a job's provider ends: from then on the job may end."""
        if isinstance(actor, Job):
            finish = actor._finish  # noqa: SLF001  the first to know

            def noted(end: End) -> None:
                self.recorder.begin(actor.row.conversation_id, Ends(job=actor.job_id))
                finish(end)

            actor._finish = noted  # type: ignore[method-assign]  # noqa: SLF001

    async def _act(self, world: World, number: int) -> None:
        chance = random.Random(f"client {self.seed} {number}")  # noqa: S311  it repeats
        for _ in range(CALLS):
            await trio.sleep(chance.choice(THINKS_S))
            await world.until_up()
            await self._call(world, chance, chance.choice(list(self.seen)))

    async def _call(self, world: World, chance: random.Random, talk: str) -> None:
        do, method, path, body = self._wish(chance, talk)
        stream = world.process.connect()
        if stream is None:
            return
        place = self.recorder.begin(talk, do)
        exchange = Exchange(stream, OWNER)
        patience_s = chance.choice(THINKS_S) if chance.random() < BREAKS else 100.0
        answer: Answer | None = None
        try:
            with trio.move_on_after(patience_s):
                answer = await exchange.answer(method, path, body=body)
        except Lost:
            return
        finally:
            await trio.aclose_forcefully(stream)
        said = None if answer is None else understood(do, answer)
        if said is not None:
            self.recorder.answer(place, said)
            self._learn(talk, said)

    def _wish(self, chance: random.Random, talk: str) -> tuple[Do, str, str, Any]:
        """Return what a client does next, and the request that says so."""
        seen = self.seen[talk]
        kind = chance.choice(("start", "start", "start", "abort", "read", "read"))
        if kind == "abort" and seen:
            job = chance.choice(seen[-3:])
            return Abort(job=job), "POST", f"/api/jobs/{job}/abort", {}
        if kind == "read":
            return Read(), "GET", f"/api/conversations/{talk}", None
        self.starts += 1
        do = Start(number=self.starts, on_active=chance.choice(ON_ACTIVE))
        if do.on_active == "replace" and seen and chance.random() < 0.5:  # noqa: PLR2004
            do = replace(do, replaces=chance.choice(seen[-2:]))
        script = Script(words=chance.randrange(3), end=chance.choice(("finish", "stall", "stall")))
        body = {"input": f"question {do.number}", "model": MODEL, "options": asdict(script)}
        body |= {"on_active": do.on_active} | ({"replaces": do.replaces} if do.replaces else {})
        return do, "POST", f"/api/conversations/{talk}/jobs", body

    def _learn(self, talk: str, said: Said) -> None:
        job = said.current if isinstance(said, Refused) else getattr(said, "job", None)
        if job is not None and job not in self.seen[talk]:
            self.seen[talk].append(job)

    async def _kill(self, world: World) -> None:
        await trio.sleep(0.06)
        for talk in self.seen:
            self.recorder.begin(talk, GoesOn())
        places = [self.recorder.begin(talk, Dies()) for talk in self.seen]
        world.process.kill()
        await trio.lowlevel.checkpoint()
        await world.until_up()
        for place in places:
            self.recorder.answer(place, Current(job=None))


def understood(do: Do, answer: Answer) -> Said | None:
    """Return what an answer says; None where it leaves open whether anything has happened."""
    said = answer.json()
    match do, answer.status:
        case Start(), 202:
            return Accepted(job=said["id"], status=said["status"])
        case Start(), 409:
            why = said["type"].rpartition(":")[2]
            named = said["job_id"] if why == "job-active" else said["current_job"]
            return Refused(why=why, current=named)
        case Start(), 429:
            return Refused(why="queue-full")
        case Abort(), (200 | 409):
            return Aborted(done=answer.status == 200)  # noqa: PLR2004
        case Read(), 200:
            return Current(job=said["current_job"])
        case _:
            return None  # 500 and 503: it may have happened


def record(
    seed: int, *, kills: bool = False, build: Build | None = None
) -> tuple[History, Outcome]:
    """Return the history of one contest, and how the run went otherwise.

    Args:
        kills: the process dies once in the middle, and starts again.
        build: plants a bug.
    """
    contest, built = Contest(seed=seed, kills=kills), build or Build()

    def on_actor(actor: TrioActor) -> None:
        built.on_actor(actor)
        contest.watch(actor)

    plan = plans.make(seed, (), 0)
    outcome = simulate(plan, story=contest.story, build=replace(built, on_actor=on_actor))
    return contest.recorder.history(), outcome


def judge(history: Sequence[linearize.Call[Do, Said]]) -> Verdict[Do, Said]:
    """Return whether the history of some conversations could have been."""
    return linearize.check(history, State(), step)
