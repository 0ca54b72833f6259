"""Death at every point, of an actor, of the process, of a real one: the log reads as one story.

The first two kinds run in the simulation, where each run also holds every law of
`harness.simulation.oracle`; the last one kills a real service with SIGKILL.
"""

import os
import random
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from actors.job import PrepareEnd
from actors.job_state import verdict_for
from harness.faults import Act, Side
from harness.simulation.machine import Build
from harness.simulation.plan import Plan
from harness.simulation.scripted import Script
from harness.simulation.world import Outcome, World, simulate
from runtime.actor import TrioActor
from specs.requirements import requirement
from specs.support.process import Served, served
from transports.egress.providers.echo import Echo

PLAN = Plan(seed=11, steps=(), faults=frozenset())
SCRIPT = Script(seed=4, words=5, pause_ms=30, counts=True)
WHOLE = ["job.started", "item.started", "item.delta", "usage", "item.done", "job.ended"]
KILLS = int(os.environ.get("HARNESS_KILLS", "10"))  # 50 on demand


def one_answer(act: Act, kind: str, side: Side, k: int) -> Outcome:
    """One job and its reader, where an actor dies once, at the k-th act of its kind."""

    async def story(world: World) -> None:
        talk = await world.clients.begin()
        assert talk is not None
        world.faults.arm(act, kind, side, k)
        job = await world.clients.ask(talk, SCRIPT)
        if job is None:  # its conversation died with the order in its hands: the caller asks again
            job = await world.clients.ask(talk, SCRIPT, "replace")
        assert job is not None
        await world.clients.follower(job).run(world.clients.connect)

    return simulate(PLAN, story=story)


def said_at_last(log: list[dict[str, Any]]) -> str:
    """What a reader of a log is left with: the deltas of the items that were not taken back."""
    items: dict[str, str] = {}
    for event in log:
        data = event["data"]
        if event["kind"] == "item.delta":
            items[data["item_id"]] = items.get(data["item_id"], "") + data["text"]
        if event["kind"] == "item.retracted":
            items.pop(data["item_id"], None)
    return "".join(items.values())


def crashes_of(act: Act, kind: str, side: Side) -> list[Outcome]:
    """One run for each k at which the fault strikes; and no wrong in any of them."""
    outcomes: list[Outcome] = []
    while True:
        outcome = one_answer(act, kind, side, len(outcomes))
        assert outcome.wrongs == (), f"{act} {kind} {side} {len(outcomes)}"
        if outcome.crashes == 0:
            return outcomes
        outcomes.append(outcome)


def test_an_answer_without_a_crash_is_the_story_to_compare_with() -> None:
    outcome = one_answer("write", "nobody", "after", 0)
    assert outcome.wrongs == ()
    (job,) = outcome.statuses()
    kinds = [event["kind"] for event in outcome.log(job)]
    assert [kind for kind, _ in groupby(kinds)] == WHOLE
    assert said_at_last(outcome.log(job)) == SCRIPT.text()
    assert outcome.statuses() == {job: "completed"}


@requirement("grammar.retracted")
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_job_that_dies_at_any_of_its_commits_takes_back_what_it_said_and_says_it_again(
    side: Side,
) -> None:
    outcomes = crashes_of("write", "jobs", side)
    assert len(outcomes) >= 5  # each event after job.started, but those that go together
    for outcome in outcomes:
        ((job, status),) = outcome.statuses().items()
        log = outcome.log(job)
        assert (status, said_at_last(log)) == ("completed", SCRIPT.text())
        kinds = Counter(event["kind"] for event in log)
        assert (kinds["job.started"], kinds["job.ended"]) == (1, 1)
        assert kinds["item.started"] - kinds["item.retracted"] == 1


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("kind", ["jobs", "conversations", "providers"])
def test_an_actor_that_dies_at_any_message_leaves_one_story(kind: str, side: Side) -> None:
    outcomes = crashes_of("message", kind, side)
    assert len(outcomes) >= 2
    for outcome in outcomes:
        *replaced, job = outcome.statuses()
        log = outcome.log(job)
        lost = kind == "providers" and log[-1]["data"]["reason"] == "provider-restarted"
        ends = dict.fromkeys(replaced, "superseded") | {job: "incomplete" if lost else "completed"}
        assert outcome.statuses() == ends
        assert said_at_last(log) == SCRIPT.text()[: len(said_at_last(log)) if lost else None]


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_conversation_that_dies_at_any_commit_leaves_all_of_it_or_nothing(side: Side) -> None:
    outcomes = crashes_of("write", "conversations", side)
    assert len(outcomes) == 2  # the start and the end
    for outcome in outcomes:
        *replaced, job = outcome.statuses()
        assert outcome.statuses() == dict.fromkeys(replaced, "superseded") | {job: "completed"}


@requirement("end.crashed")
def test_a_job_that_dies_again_and_again_ends_as_crashed_and_the_next_one_runs() -> None:
    def dies(actor: TrioActor) -> None:
        if actor.actor_urn.startswith("urn:runchat:Job"):
            doomed.append(actor)
            if len(doomed) == 1:
                actor.handle_parts = crash  # type: ignore[method-assign]

    async def crash(parts: list[Any]) -> None:
        raise ZeroDivisionError

    async def story(world: World) -> None:
        talk = await world.clients.begin()
        assert talk is not None
        first = await world.clients.ask(talk, SCRIPT)
        await world.clients.ask(talk, SCRIPT, "queue")
        assert first is not None
        await world.clients.follower(first).run(world.clients.connect)

    doomed: list[TrioActor] = []
    outcome = simulate(PLAN, story=story, build=Build(on_actor=dies))
    assert outcome.wrongs == ()
    first, second = outcome.statuses()
    assert outcome.statuses() == {first: "failed", second: "completed"}
    end = outcome.log(first)[-1]["data"]
    assert (end["reason"], end["end_state"]) == ("crashed", None)


async def session(world: World) -> None:
    """A recorded session: answers, a queue, replacements, an abort; lost answers are borne."""
    clients = world.clients
    talk = await clients.begin(number=3)
    if talk is None:
        await world.until_up()
        talk = await clients.begin(number=3)  # the same key: it is made once
    assert talk is not None
    slow = Script(seed=2, words=5, pause_ms=40)
    await clients.ask(talk, slow)
    await world.until_up()
    await clients.ask(talk, SCRIPT, "queue")
    await world.until_up()
    newest = await clients.ask(talk, slow, "replace")
    await world.until_up()
    if newest is not None:
        await clients.follower(newest).run(clients.connect)
        await world.until_up()
    last = await clients.ask(talk, slow, "replace", number=6)
    await world.until_up()
    if last is not None:
        await clients.abort(last)


@requirement("end.process-died", "recovery.interrupted", "recovery.queued-go-on")
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_process_that_dies_at_any_commit_of_a_session_interrupts_what_ran_and_goes_on(
    side: Side,
) -> None:
    deaths = 0
    while True:
        k = deaths

        async def story(world: World, k: int = k) -> None:
            world.faults.arm("commit", "", side, k)
            await session(world)

        outcome = simulate(PLAN, story=story)
        assert outcome.wrongs == (), f"{side} commit {k}"
        if outcome.lives == 1:
            break
        deaths += 1
        interrupted = {job for job, status in outcome.statuses().items() if status == "interrupted"}
        assert (outcome.lives, interrupted) == (2, set(outcome.orphans))
        for job in interrupted:
            assert outcome.log(job)[-1]["data"]["end_state"] is None
    assert deaths >= 12


def test_an_abort_that_comes_after_the_provider_had_ended_is_refused_and_not_audited() -> None:
    async def story(world: World) -> None:
        talk = await world.clients.begin()
        assert talk is not None
        world.faults.arm("write", "conversations", "before", 1)  # the end; it is told again
        job = await world.clients.ask(talk, SCRIPT)
        assert job is not None
        await world.until(lambda: world.faults.crashes == 1)
        await world.clients.abort(job)

    outcome = simulate(PLAN, story=story)
    assert (outcome.wrongs, outcome.crashes) == ((), 1)
    assert list(outcome.statuses().values()) == ["completed"]


def test_an_end_that_was_prepared_and_never_committed_is_given_up_by_the_job() -> None:
    async def story(world: World) -> None:
        talk = await world.clients.begin()
        assert talk is not None
        job = await world.clients.ask(talk, SCRIPT)
        assert job is not None
        assert world.process.core is not None
        prepare = PrepareEnd(verdict=verdict_for("aborted"))  # by a life that dies right then
        await world.process.core.spine.jobs.ask(job.id, prepare)
        world.faults.arm("message", "conversations", "before", 0)
        await world.clients.ask(talk, SCRIPT)

    outcome = simulate(PLAN, story=story)
    assert (outcome.wrongs, outcome.crashes) == ((), 1)
    assert list(outcome.statuses().values()) == ["completed"]


def test_a_queued_job_whose_model_is_gone_at_the_next_start_fails_and_the_service_starts() -> None:
    async def story(world: World) -> None:
        talk = await world.clients.begin()
        assert talk is not None
        await world.clients.ask(talk, SCRIPT)
        await world.clients.ask(talk, SCRIPT, "queue")
        world.machine.instead = (Echo(),)
        world.process.kill()
        await world.until_up()

    outcome = simulate(PLAN, story=story)
    assert outcome.wrongs == ()
    running, queued = outcome.statuses()
    assert outcome.statuses() == {running: "interrupted", queued: "failed"}
    assert outcome.log(queued)[-1]["data"]["reason"] == "request-refused"


def follow_until(service: Served, job: str, events: int) -> list[bytes]:
    """Read a job's stream until it has shown so many events; return their bytes."""
    seen: list[bytes] = []
    headers = {"Accept": "text/event-stream"}
    with service.api.stream("GET", f"/api/jobs/{job}/events", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                seen.append(line.removeprefix("data: ").encode())
            if len(seen) >= events:
                service.kill()
                break
    return seen


def page_of(service: Served, job: str) -> bytes:
    """The whole log of a job that has ended, as the bytes of a page."""
    answer = service.api.get(f"/api/jobs/{job}/events?limit=1000")
    assert answer.status_code == 200
    return answer.content


@requirement("kill.loses-nothing-seen", "sse.survives-kill", "sse.never-before-commit")
@pytest.mark.parametrize("seed", [8, 9])  # each has half of the kills, one after the other
def test_kill_9_at_random_points_loses_nothing_that_a_reader_had_seen(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  it repeats
    with served(tmp_path / "data") as service:
        talk, ended = service.conversation(), dict[str, bytes]()
        for _ in range(KILLS // 2):
            job = service.slow(talk, count=900, interval_ms=1)
            queued = service.ask(talk, input="after the kill", on_active="queue")
            seen = follow_until(service, job, chance.randrange(1, 400))
            service.start()
            assert [each["kind"] for each in service.whole(queued)][-1] == "job.ended"
            page = page_of(service, job)
            assert page.startswith(b'{"events":[' + b",".join(seen))
            end = service.events(job)[-1]
            assert (end["kind"], end["data"]["status"]) == ("job.ended", "interrupted")
            assert page.count(b'"kind":"job.ended"') == 1
            assert service.job(job)["status"] == "interrupted"
            counted = service.api.get("/metrics").text.splitlines()
            assert 'runchat_jobs_total{status="interrupted"} 1' in counted
            assert service.job(queued)["status"] == "completed"
            ended |= {job: page, queued: page_of(service, queued)}
        assert {job: page_of(service, job) for job in ended} == ended
