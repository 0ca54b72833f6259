"""Runchat as an MCP server: the SDK's own client, other tenants, sessions, resumption, refusals."""

from __future__ import annotations

from typing import Any, Literal

import orjson
import pytest
import trio

from runtime import limits
from runtime.caller import Caller
from specs.requirements import requirement
from specs.support.mcp_served import (
    MEDIA,
    WITH_SESSIONS,
    Asking,
    Served,
    call,
    result_of,
    serving,
)
from specs.support.scripted import Scripted
from transports.egress.providers.base import End

NAMES = ["ask", "list_conversations", "read_conversation", "search"]
NOBODY = {"Accept": MEDIA["Accept"], "Content-Type": "application/json"}


def asking(question: str, **more: Any) -> dict[str, Any]:
    return {"name": "ask", "arguments": {"input": question, **more}}


@requirement("mcp-server.tools")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdks_client_lists_the_tools_and_calls_them(
    mode: Literal["auto", "legacy"],
) -> None:
    async with serving() as served, served.client(mode) as client:
        tools = await client.list_tools()
        answer = await client.call_tool("ask", {"input": "Why is the sky blue?"})
        known = answer.structured_content
        messages = await client.call_tool(
            "read_conversation", {"conversation_id": known["conversation_id"]}
        )
        listed = await client.call_tool("list_conversations", {})

    assert [tool.name for tool in tools.tools] == NAMES
    assert (known["status"], known["text"]) == ("completed", "Why is the sky blue?")
    assert [each["role"] for each in messages.structured_content["items"]] == ["user", "assistant"]
    assert [each["title"] for each in listed.structured_content["items"]] == [
        "Why is the sky blue?"
    ]


@requirement("mcp-server.tools")
async def test_an_answer_is_told_of_while_it_comes() -> None:
    scripted, told, answers = Scripted(), list[str | None](), list[str]()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert (progress > 0, total) == (True, None)
        told.append(message)
        heard.set()

    heard = trio.Event()
    async with (
        serving(scripted) as served,
        served.client() as client,
        trio.open_nursery() as nursery,
    ):

        async def ask() -> None:
            arguments = {"input": "Say it", "model": "scripted"}
            answer = await client.call_tool("ask", arguments, progress_callback=note)
            answers.append(answer.structured_content["text"])

        nursery.start_soon(ask)
        asked = await scripted.next_call()
        await asked.text("one ")
        await heard.wait()
        await asked.text("two")
        await asked.end()

    assert (told[0], answers) == ("one ", ["one two"])


@requirement("mcp-server.search")
async def test_a_search_finds_words_in_titles_and_messages_whatever_their_case() -> None:
    async with serving() as served, served.client() as client:
        for question in ("Über lamps", "of other things"):
            await client.call_tool("ask", {"input": question})
        found = await client.call_tool("search", {"query": "über LAMPS"})
        nothing = await client.call_tool("search", {"query": "zebras"})

    hits = found.structured_content["items"]
    assert [each["role"] for each in hits] == [None, "user", "assistant"]
    assert {each["excerpt"] for each in hits} == {"Über lamps"}
    assert nothing.structured_content == {"items": [], "next_cursor": None}


@requirement("mcp-server.tenants")
async def test_another_tenant_sees_nothing_of_a_conversation() -> None:
    async with serving() as served, served.client() as ann, served.client(tenant="rival") as bob:
        answer = await ann.call_tool("ask", {"input": "a secret"})
        home = answer.structured_content["conversation_id"]
        job = answer.structured_content["job_id"]
        wanted = {"conversation_id": home}
        read = await bob.call_tool("read_conversation", wanted)
        never = await bob.call_tool("read_conversation", {"conversation_id": "conv_never"})
        into = await bob.call_tool("ask", {"input": "hello", **wanted})
        found = await bob.call_tool("search", {"query": "secret"})
        rival = await served.asker("rival", "ann")
        task = await rival.alone("tasks/get", {"taskId": job}, tasks=True, name=job)

    assert (read.is_error, read.content) == (True, never.content)
    assert (into.is_error, into.content) == (True, never.content)
    assert found.structured_content["items"] == []
    assert task.json()["error"] == {"code": -32602, "message": "No such task."}


@requirement("mcp-server.tenants")
async def test_a_session_is_its_callers_and_anothers_is_one_that_never_was() -> None:
    async with serving() as served:
        ann, bob = await served.asker(), await served.asker("rival", "ann")
        await ann.open()
        theirs = await bob.post(call("tools/list", {}), ann.headers)
        never = await bob.post(call("tools/list", {}), ann.headers | {"Mcp-Session-Id": "never"})
        mine = await ann.post(call("tools/list", {}))

    assert (theirs.status_code, theirs.content) == (404, never.content)
    assert [each["name"] for each in result_of(mine)["tools"]] == NAMES


@requirement("mcp-server.gate")
async def test_a_stranger_a_foreign_host_and_a_foreign_page_are_refused_as_everywhere() -> None:
    async with serving() as served:
        stranger, known = served.service.stranger(), (await served.asker()).web
        content = orjson.dumps(call("tools/list", {}))
        answers = [
            await stranger.post("/mcp", content=content, headers=NOBODY),
            await known.post("/mcp", content=content, headers=NOBODY | {"Host": "evil.example"}),
            await known.post(
                "/mcp", content=content, headers=NOBODY | {"Origin": "https://evil.example"}
            ),
            await known.put("/mcp", content=content, headers=NOBODY),
            await known.post("/mcp", content=content, headers={"Content-Type": "text/plain"}),
        ]

    assert [(each.status_code, each.json()["type"].rpartition(":")[2]) for each in answers] == [
        (401, "unauthenticated"),
        (421, "host-not-allowed"),
        (403, "origin-not-allowed"),
        (405, "method-not-allowed"),
        (415, "media-type-not-supported"),
    ]
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"
    assert answers[3].headers["Allow"] == "DELETE, GET, POST"
    assert {each.headers["X-Content-Type-Options"] for each in answers} == {"nosniff"}


@requirement("mcp-server.gate")
async def test_what_is_no_message_is_refused_and_nothing_of_it_is_said_again() -> None:
    async with serving() as served:
        asker = await served.asker()
        bodies: list[Any] = [
            b"{secret",
            [],
            {"jsonrpc": "2.0", "id": True, "method": "tools/list"},
            {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": "secret"},
            {"jsonrpc": "2.0", "id": 1, "secret": 1},
            call("tools/list", {}),
        ]
        answers = [await asker.post(body) for body in bodies]
        large = await asker.post(b" " * (limits.BODY_BYTES_MAX + 1))

    told = [(each.status_code, each.json()["error"]["code"]) for each in answers]
    assert told == [(400, -32700), *[(400, -32600)] * 5]
    assert [each for each in answers if "secret" in each.text] == []
    assert (large.status_code, large.json()["title"]) == (413, "The body is too large")


@requirement("mcp-server.abort")
async def test_a_client_that_leaves_a_question_ends_its_job() -> None:
    scripted, heard = Scripted(), trio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        del progress, total, message
        heard.set()

    async with serving(scripted) as served, served.client() as client:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                arguments = {"input": "Say it", "model": "scripted"}
                await client.call_tool("ask", arguments, progress_callback=note)

            nursery.start_soon(ask)
            asked = await scripted.next_call()
            await asked.text("half of ")
            await heard.wait()
            nursery.cancel_scope.cancel()
        await asked.closed.wait()
        desk, ann = served.service.services.desk, Caller(tenant="local", user="ann")
        page = desk.jobs(ann, status=None, conversation_id=None, limit=5, before=None)
        await _ended(served, page.items[0].id)
        found = await client.call_tool("search", {"query": "half of"})

    assert [each["role"] for each in found.structured_content["items"]] == ["assistant"]


@requirement("mcp-server.tasks")
async def test_a_question_is_a_task_where_the_client_knows_tasks_and_outlives_the_call() -> None:
    scripted = Scripted()
    async with serving(scripted) as served:
        asker = await served.asker()
        made = (
            await asker.alone("tools/call", asking("Go", model="scripted"), tasks=True, name="ask")
        ).json()["result"]
        asked = await scripted.next_call()
        working = await _task(asker, made["taskId"])
        await asked.text("done")
        await asked.end()
        await _ended(served, made["taskId"])
        completed = await _task(asker, made["taskId"])

    assert (made["resultType"], made["status"]) == ("task", "working")
    assert (working["status"], "result" in working) == ("working", False)
    assert completed["result"]["content"] == [{"type": "text", "text": "done"}]


@requirement("mcp-server.tasks")
async def test_a_cancelled_task_ends_its_job_and_cancelling_it_again_changes_nothing() -> None:
    scripted = Scripted()
    async with serving(scripted) as served:
        asker = await served.asker()
        wanted = asking("Go", model="scripted")
        made = await asker.alone("tools/call", wanted, tasks=True, name="ask")
        task_id = made.json()["result"]["taskId"]
        asked = await scripted.next_call()
        acks = [
            await asker.alone("tasks/cancel", {"taskId": task_id}, tasks=True, name=task_id)
            for _ in range(2)
        ]
        await asked.closed.wait()
        told = await _task(asker, task_id)

    assert [each.json()["result"]["resultType"] for each in acks] == ["complete", "complete"]
    assert told["status"] == "cancelled"


@requirement("mcp-server.tasks")
async def test_tasks_are_for_clients_that_declare_them_and_name_them_in_the_header() -> None:
    async with serving() as served:
        asker = await served.asker()
        plain = await asker.alone("tasks/get", {"taskId": "any"}, name="any")
        other = await asker.alone("tasks/get", {"taskId": "any"}, tasks=True, name="another")
        await asker.open()
        old = await asker.post(call("tasks/get", {"taskId": "any"}))

    assert (plain.status_code, plain.json()["error"]["code"]) == (400, -32021)
    assert (other.status_code, other.json()["error"]["code"]) == (400, -32020)
    assert orjson.loads(old.text.split("data: ")[-1])["error"]["code"] == -32601


@requirement("mcp-server.resumption")
async def test_a_client_that_lost_its_stream_hears_the_answer_after_it_came_back() -> None:
    scripted = Scripted()
    async with serving(scripted) as served:
        asker = await served.asker()
        await asker.open()
        message = call("tools/call", asking("Go", model="scripted"), id=7)
        async with asker.web.stream("POST", "/mcp", json=message, headers=asker.headers) as begun:
            lines = begun.aiter_lines()
            cursor = [line async for line in _until(lines, "id:")][-1]
        asked = await scripted.next_call()
        async with trio.open_nursery() as nursery:
            heard: list[str] = []

            async def come_back() -> None:
                headers = asker.headers | {"Last-Event-ID": cursor.removeprefix("id:").strip()}
                async with asker.web.stream("GET", "/mcp", headers=headers) as again:
                    back.set()
                    heard.extend([line async for line in again.aiter_lines()])

            back = trio.Event()
            nursery.start_soon(come_back)
            await back.wait()
            await asked.text("here I am")
            await asked.end()

    said = [orjson.loads(line[5:]) for line in heard if line.startswith("data:")]
    assert [each["id"] for each in said] == [7]
    assert said[0]["result"]["structuredContent"]["text"] == "here I am"


@requirement("mcp-server.sessions")
async def test_a_session_that_is_deleted_is_gone_and_its_client_begins_anew() -> None:
    async with serving() as served:
        asker = await served.asker()
        await asker.open()
        deleted = await asker.web.delete("/mcp", headers=asker.headers)
        gone = await asker.post(call("tools/list", {}))
        asker.session = ""
        again = await asker.open()

    assert (deleted.status_code, gone.status_code, again.status_code) == (200, 404, 200)
    assert result_of(again)["protocolVersion"] == WITH_SESSIONS


@requirement("mcp-server.sessions")
async def test_who_opens_more_sessions_than_a_few_loses_the_one_that_rested_longest() -> None:
    async with serving() as served:
        first, second = await served.asker(), await served.asker()
        await first.open()
        await second.open()
        await first.post(call("tools/list", {}))
        for _ in range(limits.MCP_SERVED_PER_CALLER_MAX - 1):
            await Asking(first.web).open()
        lost = await second.post(call("tools/list", {}))
        kept = await first.post(call("tools/list", {}))

    assert (lost.status_code, kept.status_code) == (404, 200)


@requirement("mcp-server.sessions")
async def test_a_stop_ends_what_only_listens_and_takes_no_more() -> None:
    async with serving() as served:
        asker = await served.asker()
        await asker.open()
        async with asker.web.stream("GET", "/mcp", headers=asker.headers) as listening:
            served.door.close()
            rest = [line async for line in listening.aiter_lines()]
        refused = await asker.post(call("tools/list", {}))

    assert (listening.status_code, rest) == (200, [])
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")


@requirement("mcp-server.honest")
async def test_an_unfinished_answer_is_an_error_that_says_how_it_ended() -> None:
    scripted = Scripted()
    async with (
        serving(scripted) as served,
        served.client() as client,
        trio.open_nursery() as nursery,
    ):
        results: list[Any] = []

        async def ask() -> None:
            results.append(await client.call_tool("ask", {"input": "Go", "model": "scripted"}))

        nursery.start_soon(ask)
        asked = await scripted.next_call()
        await asked.text("half")
        await asked.end(End(reason="length"))

    assert results[0].is_error is True
    assert [each.text for each in results[0].content] == [
        "half",
        "[The answer ended incomplete (length).]",
    ]


async def _task(asker: Asking, task_id: str) -> Any:
    answer = await asker.alone("tasks/get", {"taskId": task_id}, tasks=True, name=task_id)
    return answer.json()["result"]


async def _ended(served: Served, job_id: str) -> None:
    await served.service.services.desk.turns.ended(job_id)


async def _until(lines: Any, beginning: str) -> Any:
    async for line in lines:
        yield line
        if line.startswith(beginning):
            return
