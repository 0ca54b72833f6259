"""MCP servers as they are in life: over HTTP and as programs, hanging, crashing, holding on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.mcp.session import CallTool, Cancel, ListTools
from runtime import limits
from runtime.problems import Upstream, UpstreamLost, UpstreamSaid
from runtime.secret import Secret
from specs.requirements import requirement
from specs.support import mcp_http, mcp_program
from specs.support.mcp_sessions import a_program, over_http, sessions_over
from transports.egress.mcp.servers import HttpServer

ROOT = Path(__file__).parents[2]


@requirement("mcp.http")
async def test_a_tool_of_a_server_is_listed_and_called_over_http() -> None:
    async with mcp_http.serving() as asked, sessions_over(over_http(asked.url)) as sessions:
        catalog = await sessions.list()
        text = await sessions.text("echo", text="hello")

        assert tuple(catalog.tools) == mcp_program.NAMES
        assert (catalog.revision, text) == ("2025-11-25", "hello")


@requirement("mcp.guarded")
async def test_a_server_on_this_machine_is_refused_unless_its_place_is_exempt() -> None:
    async with mcp_http.serving() as asked:
        server = HttpServer(name="small", url=asked.url)
        async with sessions_over(server) as sessions:
            with pytest.raises(UpstreamSaid) as refused:
                await sessions.list()

        assert refused.value.extensions["code"] == "address_not_allowed"
        assert asked.methods == []


@requirement("mcp.stdio")
async def test_a_tool_of_a_program_is_listed_and_called() -> None:
    async with sessions_over(a_program()) as sessions:
        catalog = await sessions.list()
        text = await sessions.text("echo", text="hello")

        assert tuple(catalog.tools) == (*mcp_program.NAMES, "ask", "count")
        assert text == "hello"


@requirement("mcp.clean-environment")
async def test_a_program_gets_what_was_configured_and_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNCHAT_TOKEN", "of the service")
    async with sessions_over(a_program(environment={"KEY": Secret("k")})) as sessions:
        found = json.loads(await sessions.text("environment"))

        assert found["KEY"] == "k"
        assert set(found) <= {"KEY", "PATH", "TMPDIR", "LANG", "LC_CTYPE"}


async def test_a_program_that_is_not_there_is_said_so() -> None:
    server = a_program()
    absent = type(server)(name="absent", argv=("/no/such/program",))
    async with sessions_over(absent) as sessions:
        with pytest.raises(UpstreamLost):
            await sessions.list()


@requirement("mcp.own-calls")
async def test_a_call_that_hangs_ends_in_its_time_and_the_next_one_is_answered() -> None:
    async with sessions_over(a_program()) as sessions:
        await sessions.list()
        with pytest.raises(UpstreamLost) as late:
            await sessions.call("hang", timeout_s=0.2)
        text = await sessions.text("echo", text="still here")

        assert late.value.detail == "The MCP server did not answer within 0.2 s."
        assert text == "still here"


async def test_a_call_is_cancelled_while_others_go_on() -> None:
    async with sessions_over(a_program()) as sessions:
        await sessions.list()
        hanging = await sessions.begin(CallTool(call="first", tool="hang"))
        await sessions.begin(Cancel(call="first"))
        with pytest.raises(UpstreamLost) as cancelled:
            await hanging
        text = await sessions.text("echo", text="mine")

        assert (cancelled.value.detail, text) == ("The call was cancelled.", "mine")


@requirement("mcp.own-calls")
async def test_a_program_that_crashes_fails_its_calls_and_is_started_again() -> None:
    async with sessions_over(a_program()) as sessions:
        await sessions.list()
        hanging = await sessions.begin(CallTool(call="first", tool="hang"))
        with pytest.raises(UpstreamLost):
            await sessions.call("crash", call="second")
        with pytest.raises(UpstreamLost):
            await hanging
        text = await sessions.text("echo", text="again")

        assert text == "again"


@requirement("mcp.single-flight")
async def test_many_that_wait_are_served_by_one_session_and_one_list() -> None:
    async with mcp_http.serving() as asked, sessions_over(over_http(asked.url)) as sessions:
        waiting = [await sessions.begin(ListTools()) for _ in range(10)]
        versions = {(await each).version for each in waiting}

        assert len(versions) == 1
        assert asked.methods.count("initialize") == 1
        assert asked.methods.count("tools/list") == 1


@requirement("mcp.catalog")
async def test_a_tool_that_has_changed_gets_no_call_that_was_decided_by_the_old_one() -> None:
    async with sessions_over(a_program()) as sessions:
        before = await sessions.list()
        same = await sessions.list(afresh=True)
        await sessions.text("grow")
        await sessions.text("turn")
        after = await sessions.list(afresh=True)
        version = before.versions["hang"]
        with pytest.raises(UpstreamSaid) as refused:
            await sessions.call("echo", version=before.versions["echo"])
        with pytest.raises(UpstreamSaid) as absent:
            await sessions.call("shrunk", version=version)

        assert same.version == before.version
        assert [name for name in after.tools if name not in before.tools] == ["grown"]
        assert after.versions["hang"] == version
        assert refused.value.extensions["code"] == "tool-changed"
        assert absent.value.extensions["code"] == "no-such-tool"


def endless(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    found = mcp_program.answer(message, names)
    if found and message["method"] == "tools/list":
        page = int(message.get("params", {}).get("cursor", 0))
        tools = mcp_program.described([f"tool_{page}"])
        found["result"] = {"tools": tools, "nextCursor": str(page + 1)}
    return found


def huge(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    found = mcp_program.answer(message, names)
    if found and message["method"] == "tools/list":
        many = [f"tool_{number}" for number in range(limits.MCP_TOOLS_MAX + 1)]
        found["result"] = {"tools": mcp_program.described(many)}
    return found


def many_of_none(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    found = mcp_program.answer(message, names)
    if found and message["method"] == "tools/list":
        found["result"] = {"tools": [7] * 1_000_000}
    return found


@requirement("mcp.bounded")
@pytest.mark.parametrize("answers", [endless, huge, many_of_none])
async def test_a_list_that_is_too_long_is_refused_by_name(answers: mcp_http.Answers) -> None:
    async with mcp_http.serving(answers) as asked, sessions_over(over_http(asked.url)) as sessions:
        with pytest.raises(UpstreamSaid) as refused:
            await sessions.list()

        assert refused.value.extensions["code"] == "too_large"
        assert asked.methods.count("tools/list") <= limits.MCP_PAGES_MAX


def senseless(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    found = mcp_program.answer(message, names)
    if found and message["method"] == "tools/list":
        found["result"] = {"tools": {"name": 7, "inputSchema": "none"}}
    return found


async def test_a_list_that_is_none_is_an_error_of_the_server_and_no_crash() -> None:
    async with (
        mcp_http.serving(senseless) as asked,
        sessions_over(over_http(asked.url)) as sessions,
    ):
        with pytest.raises(Upstream):
            await sessions.list()
        [report] = sessions.supervisor.report()

        assert (report.lives, report.state) == (1, "running")


async def opened(path: Path) -> int:
    """Open a pipe to read, once somebody has it open to write; return its number."""
    return await trio.to_thread.run_sync(os.open, path, os.O_RDONLY, abandon_on_cancel=True)


async def until_closed(number: int) -> bytes:
    """Return what came when nobody holds the pipe open any more."""
    async with trio.lowlevel.FdStream(number) as pipe:
        return b"".join([chunk async for chunk in pipe])


@requirement("mcp.no-child-left")
async def test_what_a_program_started_is_gone_with_its_session(tmp_path: Path) -> None:
    pipe = tmp_path / "held"
    os.mkfifo(pipe)
    async with sessions_over(a_program()) as sessions:
        await sessions.text("hold", path=str(pipe))
        number = await opened(pipe)
    with trio.fail_after(5):
        assert await until_closed(number) == b"x"


SERVICE = """
import sys, trio
from specs.support.mcp_sessions import a_program, sessions_over

async def main():
    async with sessions_over(a_program()) as sessions:
        await sessions.text("hold", path=sys.argv[1])
        await trio.sleep_forever()

trio.run(main)
"""


@requirement("mcp.no-child-left")
async def test_a_service_that_is_killed_leaves_no_child_after_two_seconds(tmp_path: Path) -> None:
    pipe = tmp_path / "held"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", SERVICE, str(pipe)]
    service = await trio.lowlevel.open_process(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    with trio.fail_after(60):
        number = await opened(pipe)
    service.send_signal(signal.SIGKILL)
    with trio.fail_after(2):
        assert await until_closed(number) == b"x"
        assert await service.wait() == -signal.SIGKILL
