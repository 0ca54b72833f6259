"""The registry of MCP servers: a person's own are theirs, guarded, sealed, and asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from runtime.problems import UpstreamLost
from runtime.secret import Secret
from runtime.settings import McpServer
from specs.requirements import requirement
from specs.support import mcp_http, mcp_program
from specs.support.faults import break_the_audit
from specs.support.mcp_people import ANN, BOB, SERVERS, World, beside_a_server

KEY = "canary-0123456789"
SMALL = [f"mcp/small/{name}" for name in sorted(mcp_program.NAMES)]
ELSEWHERE = "https://elsewhere.example/mcp"


@requirement("mcp.servers.add")
async def test_a_server_that_is_added_has_its_tools_at_once_and_each_is_asked_for(
    tmp_path: Path,
) -> None:
    async with beside_a_server(tmp_path) as world:
        added = await world.add(headers={"x-key": KEY})
        tools = (await world.ann.get(f"{SERVERS}/small/tools")).json()
        names, policies = await world.names(), await world.policies()
        outcome = await world.call("mcp/small/echo", text="hello")

        assert (added.status_code, added.json()["state"]) == (201, "idle")
        assert (await world.ann.get(f"{SERVERS}/small")).json()["state"] == "open"
        assert [each["name"] for each in tools["items"]] == list(mcp_program.NAMES)
        assert names == SMALL
        assert set(policies.values()) == {"ask"}
        assert [getattr(each, "text", "") for each in outcome.content] == ["hello"]
        assert outcome.dialled == world.asked.url.split("/")[2]
        assert {f"x-key: {KEY}" in head for head in world.asked.heads} == {True}


@requirement("mcp.servers.own")
async def test_another_person_has_none_of_it(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path) as world:
        await world.add()
        await world.names()
        bob = await world.running.client(user="bob")
        refused = [
            (await bob.get(f"{SERVERS}/small")).status_code,
            (await bob.get(f"{SERVERS}/small/tools")).status_code,
            (await bob.patch(f"{SERVERS}/small", json={"enabled": False})).status_code,
            (await bob.post(f"{SERVERS}/small/test")).status_code,
            (await bob.delete(f"{SERVERS}/small")).status_code,
        ]

        assert refused == [404] * 5
        assert (await bob.get(SERVERS)).json()["items"] == []
        assert await world.names(BOB) == []


@requirement("mcp.servers.sealed")
async def test_a_secret_never_comes_back_and_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path) as world:
        answers = [
            await world.add(headers={"x-key": KEY}, client_secret=KEY),
            await world.ann.get(f"{SERVERS}/small"),
            await world.ann.get(SERVERS),
            await world.ann.patch(f"{SERVERS}/small", json={"timeout_s": 5}),
        ]
        [row] = world.running.services.reader.execute("SELECT * FROM mcp_server").fetchall()
        await world.names()

        assert [answer.status_code for answer in answers] == [201, 200, 200, 200]
        assert [KEY in answer.text for answer in answers] == [False] * 4
        assert answers[1].json()["headers"] == ["x-key"]
        assert KEY.encode() not in b"".join(each for each in row if isinstance(each, bytes))
        assert f"x-key: {KEY}" in world.asked.heads[-1]


@requirement("mcp.servers.sealed")
async def test_a_secret_whose_key_is_lost_is_said_so_and_the_server_is_not_used(
    tmp_path: Path,
) -> None:
    async with beside_a_server(tmp_path) as world:
        await world.add(headers={"x-key": KEY})
        world.spine.sealing.keyring._keys = {}  # type: ignore[union-attr]
        (tmp_path / "keys").unlink()
        lost = (await world.ann.get(f"{SERVERS}/small")).json()["state"]
        names = await world.names()
        given = await world.ann.patch(f"{SERVERS}/small", json={"headers": {"x-key": KEY}})

        assert (lost, names) == ("key-lost", [])
        assert given.json()["state"] == "idle"


@requirement("mcp.servers.moved")
async def test_another_address_wants_every_secret_again_and_forgets_the_sign_in(
    tmp_path: Path,
) -> None:
    async with beside_a_server(tmp_path) as world:
        await world.add(headers={"x-key": KEY}, client_secret=KEY)
        grants = world.spine.mcp.sessions.kept(ANN, "small")
        assert grants is not None
        await grants.keep("https://id.example", Secret("{}"))
        bare = await world.ann.patch(f"{SERVERS}/small", json={"url": ELSEWHERE})
        some = await world.ann.patch(f"{SERVERS}/small", json={"url": ELSEWHERE, "headers": {}})
        kept = await grants.load()
        whole = {"url": ELSEWHERE, "headers": {}, "client_secret": ""}
        moved = await world.ann.patch(f"{SERVERS}/small", json=whole)

        assert [each.status_code for each in (bare, some, moved)] == [422, 422, 200]
        assert bare.json()["errors"][0]["pointer"] == "/headers"
        assert some.json()["errors"][0]["pointer"] == "/client_secret"
        assert (kept, await grants.load()) == (Secret("{}"), None)


@requirement("mcp.servers.remove")
async def test_a_server_that_is_turned_off_or_removed_has_no_tools(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path) as world:
        await world.add()
        off = (await world.ann.patch(f"{SERVERS}/small", json={"enabled": False})).json()
        off_names = await world.names()
        await world.ann.patch(f"{SERVERS}/small", json={"enabled": True})
        on_names = await world.names()
        removed = await world.ann.delete(f"{SERVERS}/small")
        again = await world.ann.delete(f"{SERVERS}/small")

        assert (off["state"], off_names, on_names) == ("disabled", [], SMALL)
        assert (removed.status_code, again.status_code) == (204, 404)
        assert await world.names() == []
        reader = world.running.services.reader
        assert reader.execute("SELECT * FROM mcp_server").fetchall() == []


@requirement("mcp.servers.approve")
async def test_a_tool_that_a_person_lets_run_is_asked_for_again_once_it_has_changed(
    tmp_path: Path,
) -> None:
    async with beside_a_server(tmp_path) as world:
        await world.add()
        approved = {"tools": {"echo": "auto", "turn": "auto", "hang": "deny"}}
        allowed = await world.ann.patch(f"{SERVERS}/small", json=approved)
        before = await world.policies()
        await world.call("mcp/small/turn")
        await world.ann.post(f"{SERVERS}/small/test")
        after = await world.policies()
        unknown = await world.ann.patch(f"{SERVERS}/small", json={"tools": {"none": "auto"}})

        assert allowed.status_code == 200
        assert (before["echo"], before["turn"], before["grow"]) == ("auto", "auto", "ask")
        assert (after["echo"], after["turn"]) == ("ask", "auto")
        assert "hang" not in before
        assert unknown.json()["errors"][0]["pointer"] == "/tools/none"


@requirement("mcp.servers.settled")
async def test_the_operators_server_is_everybodys_and_is_not_changed_here(tmp_path: Path) -> None:
    async with mcp_http.serving() as other:
        settled = {
            "tools": McpServer(
                url=other.url, policy="auto", tools={"echo": "ask"}, allow_loopback=True
            )
        }
        async with beside_a_server(tmp_path, settled=settled) as world:
            shown = (await world.ann.get(f"{SERVERS}/tools")).json()
            refused = [
                (await world.add("tools")).status_code,
                (await world.ann.patch(f"{SERVERS}/tools", json={})).status_code,
                (await world.ann.delete(f"{SERVERS}/tools")).status_code,
            ]
            admin = await world.running.client(user="root", admin=True)
            policies = await world.policies(BOB)

            assert (shown["source"], shown["url"]) == ("settings", None)
            assert (await admin.get(f"{SERVERS}/tools")).json()["url"] == other.url
            assert refused == [409] * 3
            assert (policies["echo"], policies["grow"]) == ("ask", "auto")


@requirement("mcp.servers.guarded")
async def test_a_persons_server_may_not_be_in_a_private_network_and_the_error_is_shown(
    tmp_path: Path,
) -> None:
    async with beside_a_server(tmp_path, near=False) as world:
        await world.add()
        tested = (await world.ann.post(f"{SERVERS}/small/test")).json()
        refused = await world.ann.get(f"{SERVERS}/small/tools")

        assert tested["state"] == "failed"
        assert tested["last_error"]["code"] == "address_not_allowed"
        assert (refused.status_code, refused.json()["code"]) == (502, "address_not_allowed")
        assert world.asked.methods == []


@requirement("mcp.servers.guarded")
async def test_a_person_can_name_no_program_and_no_variable_of_the_service(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path) as world:
        statuses = [
            (await world.add("a", command=["sh"])).status_code,
            (await world.add("b", allow_loopback=True)).status_code,
            (await world.add("c", policy="auto")).status_code,
            (await world.add("d", headers={"Host": "other.example"})).status_code,
            (await world.add("e", headers={"x-key": "a\nb"})).status_code,
            (await world.add("F!")).status_code,
            (await world.ann.post(SERVERS, json={"name": "g", "url": "file:///etc"})).status_code,
            (await world.ann.post(SERVERS, json={"name": "h"})).status_code,
            (await world.add("i", auth="service")).status_code,
            (await world.add("j", tools={"echo": "auto"})).status_code,
        ]
        await world.add("small", headers={"x-home": "${HOME} $path {env:home}"})
        await world.names()

        assert statuses == [422] * 10
        assert "x-home: ${home} $path {env:home}" in world.asked.heads[-1]


@requirement("mcp.servers.audited")
async def test_what_cannot_be_audited_does_not_happen_to_a_server(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path) as world:
        await world.add()
        await break_the_audit(world.running)
        statuses = [
            (await world.add("other")).status_code,
            (await world.ann.patch(f"{SERVERS}/small", json={"enabled": False})).status_code,
            (await world.ann.delete(f"{SERVERS}/small")).status_code,
        ]
        [row] = (await world.ann.get(SERVERS)).json()["items"]

        assert statuses == [503] * 3
        assert (row["id"], row["enabled"]) == ("small", True)


@requirement("mcp.servers.add")
async def test_a_name_is_taken_once_and_adding_again_with_its_key_is_the_same(
    tmp_path: Path,
) -> None:
    async with beside_a_server(tmp_path) as world:
        body = {"name": "small", "url": world.asked.url}
        key = {"Idempotency-Key": "first"}
        first = await world.ann.post(SERVERS, json=body, headers=key)
        again = await world.ann.post(SERVERS, json=body, headers=key)
        taken = await world.add()

        assert (first.status_code, again.status_code, taken.status_code) == (201, 201, 409)
        assert again.content == first.content
        assert taken.json()["type"] == "urn:runchat:problem:server-exists"


@requirement("mcp.servers.has")
async def test_the_resources_and_prompts_of_a_server_are_read(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path) as world:
        await world.add()
        at = f"{SERVERS}/small"
        resources = (await world.ann.get(f"{at}/resources")).json()
        templates = (await world.ann.get(f"{at}/resource-templates")).json()
        read = (await world.ann.get(f"{at}/resources/read", params={"uri": "note://1"})).json()
        prompts = (await world.ann.get(f"{at}/prompts")).json()
        greet = {"name": "greet", "arguments": {"whom": "Ada"}}
        prompt = (await world.ann.post(f"{at}/prompts", json=greet)).json()

        assert [each["uri"] for each in resources["items"]] == ["note://1"]
        assert [each["uriTemplate"] for each in templates["items"]] == ["note://{id}"]
        assert [each["text"] for each in read["contents"]] == ["Buy oil for the lamps."]
        assert [each["name"] for each in prompts["items"]] == ["greet"]
        assert [each["content"]["text"] for each in prompt["messages"]] == ["Greet Ada."]


def begins(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    """Let a session begin; the rest is the caller's."""
    known = message.get("method") in {"initialize", "notifications/initialized"}
    return mcp_program.answer(message, names) if known else None


def refusing(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    """Let a session begin, and refuse whatever is asked then."""
    error = {"code": -32603, "message": "Not today."}
    refused = {"jsonrpc": "2.0", "id": message["id"], "error": error} if "id" in message else None
    return begins(message, names) or refused


def hanging_up(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    """Let a session begin, and end the connection at whatever is asked then."""
    answer = begins(message, names)
    if answer is None and "id" in message:
        raise trio.BrokenResourceError
    return answer


async def asked_for_everything(world: World) -> list[httpx.Response]:
    """Return what comes of asking a server for each kind of thing it may have."""
    at = f"{SERVERS}/small"
    return [
        await world.ann.get(f"{at}/tools"),
        await world.ann.get(f"{at}/resources"),
        await world.ann.get(f"{at}/resource-templates"),
        await world.ann.get(f"{at}/resources/read", params={"uri": "note://1"}),
        await world.ann.get(f"{at}/prompts"),
        await world.ann.post(f"{at}/prompts", json={"name": "greet"}),
        await world.ann.patch(at, json={"tools": {"echo": "auto"}}),
    ]


async def test_what_a_server_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path, refusing) as world:
        await world.add()
        answers = await asked_for_everything(world)

        assert [answer.status_code for answer in answers] == [502] * 7
        assert {answer.json()["detail"] for answer in answers} == {"Not today."}


async def test_a_server_that_hangs_up_is_told_to_be_lost(tmp_path: Path) -> None:
    async with beside_a_server(tmp_path, hanging_up) as world:
        await world.add()
        answers = await asked_for_everything(world)

        assert [answer.status_code for answer in answers] == [502] * 7
        assert {answer.json()["type"].rpartition(":")[2] for answer in answers} == {"upstream-lost"}


@requirement("mcp.servers.reload")
async def test_servers_of_the_settings_that_are_read_again_count_at_once(tmp_path: Path) -> None:
    async with mcp_http.serving() as other, mcp_http.serving() as steady:
        kept = McpServer(url=steady.url, policy="auto", allow_loopback=True)
        moved = McpServer(url=other.url, policy="auto", allow_loopback=True)
        async with beside_a_server(tmp_path, settled={"kept": kept}) as world:
            first = McpServer(url=world.asked.url, policy="auto", allow_loopback=True)
            added = world.spine.mcp.settle({"kept": kept, "fixed": first})
            await world.call("mcp/kept/echo", text="x")
            await world.call("mcp/fixed/echo", text="x")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(told_to_be_lost, world, "mcp/fixed/hang")
                while world.asked.methods.count("tools/call") < 2:
                    await trio.lowlevel.checkpoint()
                changed = world.spine.mcp.settle({"kept": kept, "fixed": moved})
            await world.call("mcp/fixed/echo", text="x")
            await world.call("mcp/kept/echo", text="x")
            removed = world.spine.mcp.settle({"kept": kept})
            names = await world.names()
            gone = await world.ann.get(f"{SERVERS}/fixed/tools")

            assert (added, changed, removed) == (["fixed"], ["fixed"], ["fixed"])
            assert other.methods.count("tools/call") == 1
            assert steady.methods.count("initialize") == 1
            assert {name.split("/")[1] for name in names} == {"kept"}
            assert gone.status_code == 404


async def told_to_be_lost(world: World, tool: str) -> None:
    with pytest.raises(UpstreamLost):
        await world.call(tool)
