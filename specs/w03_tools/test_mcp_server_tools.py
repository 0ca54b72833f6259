"""The caller's own tools over MCP: listed, called with evidence, as tasks, asked of the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from actors.tools.tooling import Calling, Outcome
from runtime.caller import Caller
from specs.requirements import requirement
from specs.support.mcp_served import Asking, Served, serving
from specs.support.shelf import Shelf, never, repeat, said
from transports.egress.providers.asked import File, Image

PIXEL = "data:image/png;base64,AAAA"
WORDS = {"words": "hello"}


def shelf_of(served: Served) -> Shelf:
    shelf = Shelf()
    served.service.services.tree.spine.toolbox.add(shelf)
    return shelf


async def of_each_kind(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
    calling.on_progress(1.0, 2.0, "half of it")
    heard = await repeat(arguments, calling)
    more = (Image(url=PIXEL), File(url="data:text/plain;base64,aGk=", name="hi.txt"))
    return Outcome(content=(*heard.content, *more), structured={"n": 1}, dialled="x:443")


@requirement("mcp-server.own-tools")
async def test_a_callers_tool_is_listed_and_called_and_leaves_its_evidence() -> None:
    async with serving() as served, served.client() as client:
        tool = shelf_of(served).put("whole", of_each_kind)
        listed = {each.name: each for each in (await client.list_tools()).tools}
        answer = await client.call_tool("whole", WORDS)
        rows = served.service.services.reader.execute(
            "SELECT tool, outcome, made_by FROM tool_call"
        ).fetchall()

    assert listed["whole"].input_schema == tool.schema
    assert [each.model_dump()["type"] for each in answer.content] == ["text", "image", "resource"]
    assert answer.content[0].model_dump()["text"] == "heard: hello"
    assert (answer.structured_content, answer.is_error) == ({"n": 1}, False)
    assert rows == [(tool.id, "done", "local/ann")]


@requirement("mcp-server.own-tools")
async def test_a_tool_that_is_called_as_one_of_runchats_own_is_told_apart() -> None:
    async with serving() as served, served.client() as client:
        shelf_of(served).put("search")
        listed = [each.name for each in (await client.list_tools()).tools]
        theirs = await client.call_tool("tool_search", WORDS)
        ours = await client.call_tool("search", {"query": "nothing"})

    assert listed == ["ask", "list_conversations", "read_conversation", "search", "tool_search"]
    assert theirs.content[0].model_dump()["text"] == "heard: hello"
    assert ours.structured_content == {"items": [], "next_cursor": None}


@requirement("mcp-server.own-tools")
async def test_wrong_arguments_and_a_failing_tool_are_errors_of_the_tool() -> None:
    async def fails(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        del arguments, calling
        await trio.lowlevel.checkpoint()
        return said("It is out of order.", is_error=True)

    async with serving() as served, served.client() as client:
        shelf = shelf_of(served)
        shelf.put("repeat")
        shelf.put("broken", fails)
        wrong = await client.call_tool("repeat", {"words": 7})
        failed = await client.call_tool("broken", WORDS)

    assert (wrong.is_error, [each for each, _ in shelf.calls]) == (True, ["shelf/desk/broken"])
    assert failed.is_error is True
    assert failed.content[0].model_dump()["text"] == "It is out of order."


@requirement("mcp-server.own-tools", "mcp-server.abort")
async def test_a_client_that_leaves_a_call_ends_it() -> None:
    async with serving() as served, served.client() as client:
        shelf = shelf_of(served)
        tool = shelf.put("forever", never, timeout_s=60.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.call_tool, "forever", WORDS)
            await shelf.called.wait()
            nursery.cancel_scope.cancel()
        desk, ann = served.service.services.desk, Caller(tenant="local", user="ann")
        page = desk.jobs(ann, status=None, conversation_id=None, limit=5, before=None)
        ended = await desk.tools.ended(ann, page.items[0].id)
        while not shelf.cancelled:
            await trio.lowlevel.checkpoint()

    assert (ended.status, shelf.cancelled) == ("aborted", [tool.id])


@requirement("mcp-server.own-tools", "mcp-server.tasks")
async def test_a_tool_that_asks_is_a_task_with_a_question_that_its_client_answers() -> None:
    async with serving() as served:
        shelf = shelf_of(served)
        shelf.put("send", policy="ask")
        asker = await served.asker()
        task_id = await begin(asker, "send")
        asked = await until(asker, task_id, "input_required")
        [(key, question)] = asked["inputRequests"].items()
        calls_before = list(shelf.calls)
        answers = {"another": {"action": "accept"}, key: {"action": "accept"}}
        ack = await asker.alone(
            "tasks/update",
            {"taskId": task_id, "inputResponses": answers},
            tasks=True,
            name=task_id,
        )
        completed = await until(asker, task_id, "completed")

    assert (question["method"], calls_before) == ("elicitation/create", [])
    assert ack.json()["result"]["resultType"] == "complete"
    assert completed["result"]["content"] == [{"type": "text", "text": "heard: hello"}]


@requirement("mcp-server.own-tools", "mcp-server.tasks")
async def test_what_is_declined_is_not_called_and_what_is_no_answer_is_refused() -> None:
    async with serving() as served:
        shelf = shelf_of(served)
        shelf.put("send", policy="ask")
        asker = await served.asker()
        task_id = await begin(asker, "send")
        [key] = (await until(asker, task_id, "input_required"))["inputRequests"]
        told = []
        for said_so in ("yes", {"action": "decline"}):
            wanted = {"taskId": task_id, "inputResponses": {key: said_so}}
            told.append(await asker.alone("tasks/update", wanted, tasks=True, name=task_id))
        completed = await until(asker, task_id, "completed")

    assert told[0].json()["error"]["code"] == -32602
    assert (completed["result"]["isError"], shelf.calls) == (True, [])


async def begin(asker: Asking, name: str) -> str:
    """Begin a call as a task."""
    wanted = {"name": name, "arguments": WORDS}
    answer = await asker.alone("tools/call", wanted, tasks=True, name=name)
    task_id: str = answer.json()["result"]["taskId"]
    return task_id


async def until(asker: Asking, task_id: str, status: str) -> Any:
    """Ask about a task until it stands so."""
    while True:
        answer = await asker.alone("tasks/get", {"taskId": task_id}, tasks=True, name=task_id)
        task = answer.json()["result"]
        if task["status"] == status:
            return task
