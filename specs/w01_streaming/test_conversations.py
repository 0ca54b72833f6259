"""Conversations: made, listed, read, with their messages and a log of their own."""

from __future__ import annotations

import pytest

from specs.requirements import requirement
from specs.support import talk
from specs.support.scripted import Scripted
from specs.support.server import service


@requirement("conversations.create", "forms.times", "forms.ids")
async def test_a_conversation_is_made_with_its_title() -> None:
    async with service() as running:
        client = await running.client()
        made = await client.post("/api/conversations", json={"title": "Lighthouses"})

        assert made.status_code == 201
        view = made.json()
        assert sorted(view) == ["created_at", "current_job", "id", "title"]
        assert (view["title"], view["current_job"]) == ("Lighthouses", None)
        assert view["id"].startswith("conv_")
        assert view["created_at"][10] + view["created_at"][-5] + view["created_at"][-1] == "T.Z"


@requirement("conversations.list", "lists.cursor")
async def test_pages_of_conversations_hold_each_once_newest_first() -> None:
    async with service() as running:
        client = await running.client()
        made = [await talk.begin(client, f"number {n}") for n in range(7)]
        seen, cursor = [], None
        while True:
            params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/api/conversations", params=params)).json()
            seen += [each["id"] for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break

        assert seen == list(reversed(made))
        one = await client.get(f"/api/conversations/{made[3]}")
        assert one.json()["title"] == "number 3"


@requirement("conversations.current-job")
async def test_the_running_job_is_current_until_it_ends() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(client, conversation)
        call = await model.next_call()
        during = (await client.get(f"/api/conversations/{conversation}")).json()["current_job"]
        await call.end()
        await talk.follow(client, job_id)
        after = (await client.get(f"/api/conversations/{conversation}")).json()["current_job"]

        assert (during, after) == (job_id, None)


@requirement("conversations.messages")
async def test_messages_are_oldest_first_with_job_and_status() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(client, conversation, "who keeps the light?")
        call = await model.next_call()
        await call.text("Ann ", "does.")
        await call.end()
        await talk.follow(client, job_id)
        question, answer = await talk.messages(client, conversation)

        assert sorted(question) == ["created_at", "id", "job_id", "parts", "role", "status"]
        assert (question["role"], question["job_id"]) == ("user", job_id)
        assert question["parts"] == [{"text": "who keeps the light?", "type": "text"}]
        assert question["id"] == (await talk.job(client, job_id))["message_id"]
        assert (answer["role"], answer["job_id"], answer["status"]) == (
            "assistant",
            job_id,
            "completed",
        )
        assert answer["parts"] == [{"type": "text", "text": "Ann does."}]


async def test_a_queued_question_stands_behind_the_answer_before_it() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        first = await talk.asked(client, conversation, "one")
        second = await talk.asked(client, conversation, "two", on_active="queue")
        for said in ("uno", "due"):
            call = await model.next_call()
            await call.text(said)
            await call.end()
        await talk.until(client, f"jobs/{first}", "job.ended")
        await talk.until(client, f"jobs/{second}", "job.ended")

        parts = [each["parts"][0]["text"] for each in await talk.messages(client, conversation)]
        assert parts == ["one", "uno", "two", "due"]


@requirement("conversations.log")
async def test_the_log_of_a_conversation_tells_its_story() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        conversation = await talk.begin(client)
        first = await talk.asked(client, conversation)
        waiting = await talk.asked(client, conversation, on_active="queue")
        second = await talk.asked(client, conversation, on_active="replace")
        await (await model.next_call()).closed.wait()
        await (await model.next_call()).end()
        await (await model.next_call()).end()
        await talk.follow(client, waiting)
        events = await talk.log(client, f"conversations/{conversation}")

        told = [(each["kind"], each["data"].get("job_id")) for each in events]
        assert told == [
            ("conversation.created", None),
            ("message.added", first),
            ("job.current", first),
            ("message.added", waiting),
            ("job.queued", waiting),
            ("message.added", first),
            ("job.superseded", first),
            ("job.ended", first),
            ("message.added", second),
            ("job.current", second),
            ("message.added", second),
            ("job.ended", second),
            ("job.current", waiting),
            ("message.added", waiting),
            ("job.ended", waiting),
        ]
        page = await client.get(f"/api/conversations/{conversation}/events")
        assert page.json()["ended"] is False


@requirement("http.foreign-is-absent")
@pytest.mark.parametrize("who", [("local", "bob"), ("other", "ann")])
async def test_what_belongs_to_another_is_as_if_it_never_was(who: tuple[str, str]) -> None:
    async with service() as running:
        ann, stranger = await running.client("local", "ann"), await running.client(*who)
        conversation = await talk.begin(ann)
        job_id = await talk.asked(ann, conversation, model="echo")
        paths = [
            ("GET", "/api/conversations/{}", conversation),
            ("GET", "/api/conversations/{}/messages", conversation),
            ("GET", "/api/conversations/{}/events", conversation),
            ("POST", "/api/conversations/{}/jobs", conversation),
            ("GET", "/api/jobs/{}", job_id),
            ("GET", "/api/jobs/{}/events", job_id),
            ("POST", "/api/jobs/{}/abort", job_id),
        ]
        for method, path, known in paths:
            never = known[:-1] + ("0" if known[-1] != "0" else "1")
            body = {"input": "x"} if path.endswith("/jobs") else None
            theirs = await stranger.request(method, path.format(known), json=body)
            nobodys = await stranger.request(method, path.format(never), json=body)

            assert theirs.status_code == 404
            assert without_instance(theirs.json()) == without_instance(nobodys.json())


def without_instance(problem: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in problem.items() if name != "instance"}
