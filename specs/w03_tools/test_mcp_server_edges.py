"""Runchat as an MCP server where it gets narrow: revoked, unaudited, interrupted, too long."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
from mcp.shared.exceptions import MCPError

from harness.mcp.fixtures.rest import fittings
from runtime import limits
from specs.requirements import requirement
from specs.support.faults import break_the_audit
from specs.support.mcp_served import MEDIA, Served, call, result_of, serving
from specs.support.scripted import Scripted
from store import tokens
from store.writer import Write


async def revoke_all(served: Served) -> None:
    """Revoke every token."""
    service = served.service
    rows, now_ms = tokens.list_all(service.services.reader), service.services.clock.now_ms()
    await service.writer.write(
        Write(rows=lambda db: [tokens.revoke(db, each.id, now_ms) for each in rows])
    )


@requirement("mcp-server.gate")
async def test_a_session_cookie_changes_something_from_our_own_page_alone() -> None:
    async with serving() as served:
        browser = served.service.stranger()
        await served.service.token()  # makes the user
        await browser.get(f"/signin?code={await served.service.code()}")
        content = orjson.dumps(call("initialize", {}))
        foreign = await browser.post("/mcp", content=content, headers=MEDIA)
        headers = MEDIA | {"Origin": served.service.url}
        own = await browser.post("/mcp", content=content, headers=headers)

    assert (foreign.status_code, foreign.json()["type"]) == (
        403,
        "urn:runchat:problem:origin-not-allowed",
    )
    assert own.status_code == 200


@requirement("mcp-server.gate")
async def test_a_stream_whose_token_was_revoked_ends_cleanly() -> None:
    async with serving(recheck_s=0.01) as served:
        asker = await served.asker()
        await asker.open()
        async with asker.web.stream("GET", "/mcp", headers=asker.headers) as listening:
            await revoke_all(served)
            rest = [line async for line in listening.aiter_lines()]
        again = await asker.post(call("tools/list", {}))

    assert (listening.status_code, "".join(rest)) == (200, "")
    assert again.status_code == 401


@requirement("mcp-server.audited")
async def test_a_question_leaves_its_evidence_in_its_own_transaction() -> None:
    async with serving() as served, served.client() as client:
        answer = await client.call_tool("ask", {"input": "Go"})
        known = answer.structured_content
        rows = served.service.services.reader.execute(
            "SELECT action, tenant, object_id FROM audit ORDER BY sequence"
        ).fetchall()

    assert rows[-2:] == [
        ("conversation.create", "local", known["conversation_id"]),
        ("job.start", "local", known["job_id"]),
    ]


@requirement("mcp-server.audited")
async def test_what_cannot_be_audited_does_not_happen() -> None:
    async with serving() as served, served.client() as client:
        await break_the_audit(served.service)
        refused = await client.call_tool("ask", {"input": "Go"})
        listed = await client.call_tool("list_conversations", {})

    assert refused.is_error is True
    assert [each.model_dump()["text"] for each in refused.content] == [
        "The audit entry was refused; nothing has changed."
    ]
    assert listed.structured_content["items"] == []


@requirement("mcp-server.resumption")
async def test_a_call_that_closes_its_stream_has_told_where_to_go_on_and_is_heard_there() -> None:
    async with serving(offered=fittings) as served:
        asker = await served.asker()
        await asker.open()
        message = call("tools/call", {"name": "test_reconnection", "arguments": {}}, id=3)
        begun = await asker.post(message)
        fields = [line for line in begun.text.splitlines() if line and line[0] != ":"]
        headers = asker.headers | {"Last-Event-ID": fields[0].removeprefix("id: ")}
        again = await asker.web.get("/mcp", headers=headers)

    assert (fields[1], fields[2]) == ("data: ", f"retry: {limits.MCP_RETRY_MS}")
    assert len(fields) == 3
    assert result_of(again)["content"][0]["text"] == "It went on without its stream."


@requirement("mcp-server.resumption")
async def test_the_id_of_an_event_of_another_session_tells_nothing() -> None:
    async with serving(offered=fittings) as served:
        one, other = await served.asker(), await served.asker("rival")
        await one.open()
        await other.open()
        await one.post(call("tools/call", {"name": "test_simple_text"}, id=3))
        headers = other.headers | {"Last-Event-ID": "5"}
        told = await other.web.get("/mcp", headers=headers)

    assert (told.status_code, told.text) == (200, "")


@requirement("mcp-server.honest")
async def test_what_is_longer_than_a_result_may_be_ends_in_a_mark_that_says_where_the_rest_is() -> (
    None
):
    scripted, most = Scripted(), limits.MCP_SERVED_CHARS
    results: list[Any] = []
    async with serving(scripted) as served, served.client() as client:
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                results.append(await client.call_tool("ask", {"input": "Go", "model": "scripted"}))

            nursery.start_soon(ask)
            asked = await scripted.next_call()
            await asked.text("a" * most, "bcd")
            await asked.end()
        known = results[0].structured_content
        read = await client.call_tool(
            "read_conversation", {"conversation_id": known["conversation_id"], "limit": 1}
        )
        rest = await client.call_tool(
            "read_conversation",
            {
                "conversation_id": known["conversation_id"],
                "cursor": read.structured_content["next_cursor"],
            },
        )

    mark = f"\n[3 more characters; all of it is at /api/jobs/{known['job_id']}]"
    assert (known["truncated"], known["text"]) == (True, "a" * most + mark)
    assert [each["text"] for each in read.structured_content["items"]] == ["Go"]
    [answer] = rest.structured_content["items"]
    where = f"/api/conversations/{known['conversation_id']}/messages"
    assert (answer["truncated"], answer["text"][most:]) == (
        True,
        f"\n[3 more characters; all of it is at {where}]",
    )


@requirement("mcp-server.gate")
async def test_a_bug_in_a_tool_is_logged_and_told_to_nobody() -> None:
    async with serving() as served:
        asker = await served.asker()
        desk: Any = served.service.services.desk
        desk._spine.reader = None
        answer = await asker.alone(
            "tools/call", {"name": "list_conversations", "arguments": {}}, name="list_conversations"
        )

    assert answer.json()["error"] == {
        "code": -32603,
        "message": "Something went wrong here; it has been logged.",
    }


@requirement("mcp-server.honest")
async def test_a_mistake_in_the_arguments_is_told_with_its_place_and_makes_no_conversation() -> (
    None
):
    async with serving() as served, served.client() as client:
        wrong = await client.call_tool("ask", {"inputs": "Go"})
        unknown = await client.call_tool("ask", {"input": "Go", "model": "nobody/knows"})
        listed = await client.call_tool("list_conversations", {})
        with pytest.raises(MCPError) as missing:
            await client.call_tool("delete_everything", {})

    assert (wrong.is_error, wrong.content[0].text) == (  # type: ignore[union-attr]
        True,
        "/input: Field required; /inputs: Unexpected keyword argument",
    )
    assert (unknown.is_error, unknown.content[0].text) == (  # type: ignore[union-attr]
        True,
        "There is no such model.",
    )
    assert listed.structured_content["items"] == []
    assert missing.value.message == "There is no such tool."
