"""Jobs: accepted, bounded, refused, listed and shown; and what their model is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
import trio

from runtime import limits
from specs.requirements import requirement
from specs.support import talk
from specs.support.scripted import Scripted
from specs.support.server import service
from transports.egress.providers.base import End, Usage


@requirement("jobs.accepted", "jobs.get")
async def test_a_job_is_accepted_with_its_message_and_its_place() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        answer = await talk.ask(client, await talk.begin(client))

        view = answer.json()
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/api/jobs/{view['id']}"
        assert view["message_id"].startswith("msg_")
        assert sorted(view) == sorted(
            [
                "id",
                "conversation_id",
                "message_id",
                "status",
                "reason",
                "model",
                "head",
                "items",
                "usage",
                "error",
                "superseded_by",
                "created_at",
                "started_at",
                "ended_at",
                "approvals",
            ]
        )
        assert (view["status"], view["model"], view["ended_at"]) == ("running", "scripted", None)


@requirement("grammar.fold-is-get", "grammar.usage", "grammar.event-form", "grammar.started")
async def test_get_shows_what_the_log_tells() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(client, conversation)
        call = await model.next_call()
        await call.text("one ", "two")
        usage = Usage(source="provider", input=3, output=2, raw={"prompt": 3, "completion": 2})
        await call.say.send(usage)
        await call.end()
        events = await talk.follow(client, job_id)
        view = await talk.job(client, job_id)

        started, done, ended = events[0], events[-2], events[-1]
        assert [sorted(each) for each in events] == [["at", "data", "kind", "sequence"]] * len(
            events
        )
        assert started["data"] == {
            "model": "scripted",
            "endpoint": "scripted",
            "conversation_id": conversation,
            "message_id": view["message_id"],
        }
        assert view["items"] == [done["data"]["item"]]
        assert view["usage"] == {
            "source": "provider",
            "input": 3,
            "output": 2,
            "raw": {"prompt": 3, "completion": 2},
        }
        assert (view["status"], view["reason"]) == (
            ended["data"]["status"],
            ended["data"]["reason"],
        )
        assert (view["head"], view["ended_at"]) == (ended["sequence"], ended["at"])


@requirement("jobs.get")
async def test_get_shows_a_running_answer_as_far_as_its_log_goes() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await call.text("so far")
        seen = await talk.until(client, f"jobs/{job_id}", "item.delta")
        view = await talk.job(client, job_id)

        assert (view["status"], view["head"]) == ("running", seen[-1]["sequence"])
        assert talk.text_of(view) == "so far"
        assert view["items"][0]["status"] == "in_progress"


@requirement("jobs.input-text-or-parts")
async def test_a_text_and_a_list_of_parts_ask_the_same() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        parts = [{"type": "text", "text": "two "}, {"type": "text", "text": "words"}]
        said = []
        for given in ("two words", parts):
            answer = await talk.ask(client, conversation, model="echo", input=given)
            await talk.follow(client, answer.json()["id"])
            said.append(talk.text_of(await talk.job(client, answer.json()["id"])))

        assert said == ["two words", "two words"]


@requirement("jobs.input-bounds")
@pytest.mark.parametrize(
    "given",
    ["", [], [{"type": "text", "text": ""}], "x" * (limits.INPUT_BYTES_MAX + 1)],
    ids=["empty", "no part", "empty part", "too long"],
)
async def test_an_input_out_of_bounds_is_refused_with_its_place(given: Any) -> None:
    async with service() as running:
        client = await running.client()
        answer = await talk.ask(client, await talk.begin(client), model="echo", input=given)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith("/input")


@requirement("jobs.input-bounds")
async def test_the_longest_input_is_answered_whole() -> None:
    said = "lamp " * (limits.INPUT_BYTES_MAX // 5)
    async with service() as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client), said, model="echo")
        await talk.follow(client, job_id)

        assert talk.text_of(await talk.job(client, job_id)) == said


@requirement("jobs.unknown-model", "jobs.options", "jobs.replaces-needs-replace")
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"model": "oracle"}, "/model"),
        ({"model": "echo", "options": {"count": 3}}, "/options/count"),
        ({"model": "echo", "options": {"temperature": "hot"}}, "/options/temperature"),
        ({"model": "synthetic/tokens", "options": {"count": -1}}, "/options/count"),
        ({"model": "synthetic/tokens", "options": {"count": 1_000_001}}, "/options/count"),
        ({"model": "synthetic/tokens", "options": {"size": 65_537}}, "/options/size"),
        ({"model": "echo", "replaces": "job_0"}, "/replaces"),
        ({"model": "echo", "on_active": "shout"}, "/on_active"),
        ({"model": "echo", "colour": "red"}, "/colour"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(body: dict[str, Any], pointer: str) -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        answer = await talk.ask(client, conversation, **body)

        assert answer.status_code == 422
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
        assert await talk.messages(client, conversation) == []


@requirement("jobs.default-model")
async def test_without_a_model_the_default_answers() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        answer = await client.post(f"/api/conversations/{conversation}/jobs", json={"input": "hi"})

        assert answer.json()["model"] == "echo"


@requirement("jobs.list")
async def test_jobs_are_listed_by_status_and_conversation() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        here, there = await talk.begin(client), await talk.begin(client)
        ended = await talk.asked(client, there, model="echo")
        await talk.follow(client, ended)
        runs = await talk.asked(client, here)
        waits = await talk.asked(client, here, on_active="queue")

        async def listed(**params: str) -> list[str]:
            page = await client.get("/api/jobs", params=params)
            return [each["id"] for each in page.json()["items"]]

        assert await listed() == [waits, runs, ended]
        assert await listed(status="active") == [waits, runs]
        assert await listed(status="queued") == [waits]
        assert await listed(status="completed") == [ended]
        assert await listed(conversation_id=there) == [ended]
        assert await listed(conversation_id=here, status="running") == [runs]


@requirement("jobs.refuse-one-wins")
async def test_of_many_racing_one_wins_and_the_others_are_told_which() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        answers = await together(client, conversation, 20)

        [winner] = [each.json()["id"] for each in answers if each.status_code == 202]
        losers = [each.json() for each in answers if each.status_code == 409]
        assert len(losers) == 19
        assert {each["type"] for each in losers} == {"urn:runchat:problem:job-active"}
        assert {each["job_id"] for each in losers} == {winner}


@requirement("jobs.thousand-at-once")
async def test_a_thousand_submissions_at_once_are_each_answered() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        body = {"model": "synthetic/tokens", "options": {"end": "stall", "fail_after": 1}}
        answers = await together(client, conversation, 1000, **body)

        assert Counter(each.status_code for each in answers) == {202: 1, 409: 999}
        assert len(await talk.messages(client, conversation)) == 1


async def together(
    client: httpx.AsyncClient, conversation: str, count: int, **body: Any
) -> list[httpx.Response]:
    """Ask `count` times at once."""
    answers: list[httpx.Response] = []

    async def one() -> None:
        answers.append(await talk.ask(client, conversation, **body))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return answers


@requirement("jobs.prompt")
async def test_a_second_question_sees_the_first() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        for question, answer in (("my name is Ann", "hello Ann"), ("what is it?", "Ann")):
            job_id = await talk.asked(client, conversation, question)
            call = await model.next_call()
            await call.text(answer)
            await call.end()
            await talk.follow(client, job_id)

        told = [(each.role, each.text) for each in model.calls[1].request.messages]
        assert told == [
            ("user", "my name is Ann"),
            ("assistant", "hello Ann"),
            ("user", "what is it?"),
        ]


@requirement("jobs.prompt")
async def test_the_oldest_messages_give_way_to_the_window() -> None:
    model = Scripted(context=600)
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        for question in ("a" * 600, "b" * 300, "c" * 300):
            job_id = await talk.asked(client, conversation, question)
            await (await model.next_call()).end()
            await talk.follow(client, job_id)

        told = [each.text[:1] for each in model.calls[2].request.messages if each.role == "user"]
        assert told == ["b", "c"]


@requirement("jobs.prompt-leaves-out-superseded")
async def test_what_a_superseded_job_said_is_not_told_again() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(client, conversation, "first try")
        await (await model.next_call()).text("not this")
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        await talk.asked(client, conversation, "second try", on_active="replace")
        call = await model.next_call()

        told = [each.text for each in call.request.messages]
        assert told == ["first try", "second try"]


@requirement("jobs.run-without-readers")
async def test_a_job_runs_on_when_every_reader_has_left() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await call.text("heard, ")
        await talk.until(client, f"jobs/{job_id}", "item.delta")  # reads, and leaves
        await call.text("and unheard")
        await call.end()
        await talk.follow(client, job_id)

        assert talk.text_of(await talk.job(client, job_id)) == "heard, and unheard"


@requirement("jobs.log-per-job")
async def test_ids_of_jobs_are_never_used_twice() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        ids = []
        for _ in range(20):
            ids.append(await talk.asked(client, conversation, model="echo"))
            await talk.follow(client, ids[-1])

        assert len({*ids, conversation}) == 21
        assert ids == sorted(ids)


@requirement("end.finished", "end.length-or-filter", "end.no-reason", "end.provider-error")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (End(), "completed"),
        (End(reason="length"), "incomplete"),
        (End(end_state="finished_no_reason", reason="unknown"), "completed"),
        (End(end_state="provider_error", reason="provider-error"), "failed"),
    ],
)
async def test_the_end_of_the_wire_is_the_end_of_the_job(end: End, status: str) -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await call.text("said")
        await call.end(end)
        events = await talk.follow(client, job_id)
        view = await talk.job(client, job_id)

        assert (view["status"], events[-1]["data"]["end_state"]) == (status, end.end_state)
        assert talk.text_of(view) == "said"
