"""People make actions of documents of APIs, and call them, and nothing else can be reached so."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from runtime import limits
from runtime.problems import Invalid, NotFound, UpstreamLost
from specs.requirements import requirement
from specs.support.api import ACTIONS, ANN, CALLING, answer, beside_an_api
from store.writer import Write
from transports.egress.denial import Denied
from transports.egress.providers.asked import Text

SECRET = "s3cret-of-ann"
HEADER = {"type": "header", "name": "X-Key", "value": SECRET}


def problem(response: Any) -> tuple[int, str]:
    """Return a refusal's status and first place."""
    return response.status_code, response.json()["errors"][0]["pointer"]


def words(outcome: Any) -> str:
    return "".join(each.text for each in outcome.content if isinstance(each, Text))


@requirement("actions.call")
async def test_actions_of_a_document_are_tools_that_can_be_called(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path, child=True) as world:
        added = await world.add()
        names = await world.names()
        listed = await world.call(q="a b&c")
        fed = await world.call("action/cats/feed", id="../x", body={"grams": 3})

        assert (added.status_code, added.json()["state"]) == (201, "ready")
        assert names == ["action/cats/feed", "action/cats/listCats"]
        assert listed.structured == {"method": "GET", "target": "/cats?q=a%20b%26c"}
        assert (listed.is_error, listed.dialled) == (False, f"127.0.0.1:{world.api.port}")
        assert fed.structured["target"] == "/cats/..%2Fx/food"
        assert (world.api.calls[1].body, world.api.calls[1].headers["content-type"]) == (
            b'{"grams":3}',
            "application/json",
        )


@requirement("actions.preview")
async def test_a_document_is_looked_at_before_it_is_taken_by_text_or_url(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        text = json.dumps(world.api.document())
        by_text = await world.ann.post(f"{ACTIONS}/preview", json={"document": text})
        by_url = await world.ann.post(
            f"{ACTIONS}/preview", json={"url": f"{world.api.url}/openapi.json"}
        )
        sets = await world.ann.get(ACTIONS)

        assert by_text.json() == by_url.json()
        assert (by_text.json()["total"], by_text.json()["taken"]) == (2, 2)
        assert sets.json() == {"items": [], "next_cursor": None}


async def test_actions_are_taken_from_a_url_in_yaml(tmp_path: Path) -> None:
    yaml = b"swagger: '2.0'\npaths: {/cats: {get: {operationId: cats}}}\n"
    async with beside_an_api(tmp_path) as world:
        world.api.answers["/api.yaml"] = lambda _: answer(yaml)
        added = await world.add(url=f"{world.api.url}/api.yaml")
        assert added.json()["server"] == world.api.url
        assert await world.names() == ["action/cats/cats"]


@requirement("actions.refused")
async def test_what_is_no_document_is_refused_with_its_place(tmp_path: Path) -> None:
    none: tuple[dict[str, str], ...] = (
        {"document": "<html></html>"},
        {"document": "a: &a [*a]"},
        {"document": '{"openapi": "9.0"}'},
        {},
        {"document": "{}", "url": "https://x.example"},
    )
    async with beside_an_api(tmp_path) as world:
        refused = [await world.ann.post(f"{ACTIONS}/preview", json=body) for body in none]
        rules = [each.json().get("rule") for each in refused]
        assert [problem(each) for each in refused] == [(422, "/document")] * len(none)
        assert rules == ["html", "anchors", "version", None, None]


@requirement("actions.guarded")
async def test_a_document_at_an_address_inside_is_not_fetched(tmp_path: Path) -> None:
    inside = ("http://169.254.169.254/latest/meta-data", "http://127.0.0.1/x", "http://[::1]/x")
    async with beside_an_api(tmp_path, near=False) as world:
        refused = [await world.ann.post(f"{ACTIONS}/preview", json={"url": url}) for url in inside]
        told = [(each.status_code, each.json()["code"]) for each in refused]
        assert told == [(502, "address_not_allowed")] * len(inside)


@requirement("actions.guarded")
async def test_a_server_at_a_metadata_address_is_never_reached(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        document = world.api.document(servers=[{"url": "http://169.254.169.254"}])
        await world.add(document=json.dumps(document))
        with pytest.raises(Denied):
            await world.call()


@requirement("actions.domain")
async def test_a_redirect_is_told_of_and_not_followed(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        world.api.answers["/cats"] = lambda _: answer(status="302 Found", Location="/elsewhere")
        await world.add(auth=HEADER)
        outcome = await world.call()
        assert (outcome.is_error, words(outcome)) == (
            True,
            "It answered 302 and leads to /elsewhere: not followed.",
        )
        assert len(world.api.calls) == 1


async def test_what_comes_back_is_told_as_far_as_a_model_can_read_it(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add()
        cats = world.api.answers
        cats["/cats"] = lambda _: answer(b"\x89PNG", Content_Type="image/png")
        picture = await world.call()
        cats["/cats"] = lambda _: answer({"error": "no"}, status="404 Not Found")
        absent = await world.call()
        cats["/cats"] = lambda _: answer(b"x" * 1_500_000, Content_Type="text/plain")
        long = await world.call()

        assert words(picture) == "[image/png, 4 bytes, which cannot be shown]"
        assert (absent.is_error, words(absent)) == (True, '404\n{"error": "no"}')
        assert words(long).endswith("x\n[the rest, past 1048576 bytes, is left out]")


async def test_an_api_that_is_away_is_told_of(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add()
        world.api.answers["/cats"] = lambda _: b"nonsense\r\n\r\n"
        with pytest.raises(UpstreamLost):
            await world.call()


@requirement("actions.auth")
@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (HEADER, "x-key", SECRET),
        ({"type": "bearer", "value": SECRET}, "authorization", f"Bearer {SECRET}"),
        (
            {"type": "basic", "username": "ann", "password": SECRET},
            "authorization",
            f"Basic {base64.b64encode(f'ann:{SECRET}'.encode()).decode()}",
        ),
    ],
)
async def test_a_call_shows_who_asks_and_nobody_else_sees_it(
    tmp_path: Path, auth: dict[str, str], name: str, value: str
) -> None:
    async with beside_an_api(tmp_path) as world:
        added = await world.add(auth=auth)
        await world.call()
        shown, rows = await world.shown(), world.running.services.reader
        kept = rows.execute("SELECT settings, actions, sealed FROM action_set").fetchone()

        assert world.api.calls[0].headers[name] == value
        assert [SECRET in added.text, SECRET in json.dumps(shown)] == [False, False]
        assert [SECRET.encode() in each for each in kept] == [False, False, False]
        assert len(shown["has_secrets"]) == 1


async def test_a_secret_in_the_query_stands_behind_the_arguments(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add(auth={"type": "query", "name": "key", "value": SECRET})
        await world.call(q="x")
        assert world.api.calls[0].target == f"/cats?q=x&key={SECRET}"


async def test_who_need_not_sign_in_does_not(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        open_ = {"/cats": {"get": {"operationId": "listCats", "security": []}}}
        await world.add(document=json.dumps(world.api.document(open_)), auth=HEADER)
        await world.call()
        assert "x-key" not in world.api.calls[0].headers


@requirement("actions.secrets-again")
async def test_another_server_or_auth_wants_the_secrets_again(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add(auth=HEADER)
        one = f"{ACTIONS}/cats"
        there = json.dumps(world.api.document(servers=[{"url": "https://evil.example"}]))
        moved = await world.ann.patch(
            one, json={"document": there, "server": "https://evil.example"}
        )
        by_itself = await world.ann.patch(one, json={"document": there})
        renamed = await world.ann.patch(one, json={"auth": {"type": "header", "name": "X-Other"}})
        same = await world.ann.patch(one, json={"document": json.dumps(world.api.document())})
        again = await world.ann.patch(
            one, json={"document": there, "server": "https://evil.example", "auth": HEADER}
        )

        assert problem(moved) == (422, "/auth")
        assert by_itself.json()["rule"] == "domain-mismatch"
        assert problem(renamed) == (422, "/auth/value")
        assert same.json()["has_secrets"] == ["value"]
        assert again.json()["server"] == "https://evil.example"


async def test_actions_are_changed_and_removed(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add()
        one = f"{ACTIONS}/cats"
        offer = (await world.spine.toolbox.catalog(ANN)).find("action/cats/listCats")
        denied = await world.ann.patch(one, json={"tools": {"listCats": "deny", "feed": "auto"}})
        policies = [each["policy"] for each in denied.json()["actions"]]
        names = await world.names()
        unknown = await world.ann.patch(one, json={"tools": {"nobody": "auto"}})
        alone = await world.ann.patch(one, json={"operations": ["feed"]})
        off = await world.ann.patch(one, json={"enabled": False})
        gone = await world.ann.delete(one)
        after = await world.ann.get(one)

        assert policies == ["deny", "auto"]
        assert names == ["action/cats/feed"]
        assert problem(unknown) == (422, "/tools/nobody")
        assert problem(alone) == (422, "/document")
        assert off.json()["state"] == "off"
        assert (gone.status_code, after.status_code) == (204, 404)
        with pytest.raises(NotFound):
            await offer.source.call(ANN, offer.tool, {}, CALLING)


@requirement("actions.own")
async def test_actions_are_their_makers_alone(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add()
        bob = await world.running.client(user="bob")
        one = f"{ACTIONS}/cats"
        answers = [await bob.get(one), await bob.patch(one, json={}), await bob.delete(one)]

        assert [each.status_code for each in answers] == [404, 404, 404]
        assert (await bob.get(ACTIONS)).json()["items"] == []
        assert (await world.add()).status_code == 409


@requirement("tools.bounded")
async def test_who_names_a_tool_has_its_set_read_and_no_other(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        for number in range(limits.ACTION_SETS_MAX):
            await world.add(f"s{number}")
        spoil = "UPDATE action_set SET actions = x'5b' WHERE name <> 's7'"
        statements: list[str] = []
        toolbox, trace = world.spine.toolbox, world.spine.reader.conn.set_trace_callback
        trace(statements.append)
        every = len((await toolbox.catalog(ANN)).offers), len(statements)
        await world.running.writer.write(Write(rows=lambda db: db.execute(spoil)))
        statements.clear()
        named = list((await toolbox.catalog(ANN, ["action/s7/feed"])).offers), len(statements)
        trace(None)

        assert every == (2 * limits.ACTION_SETS_MAX, 2)  # of actions, and of MCP servers
        assert named == (["action/s7/feed"], 1)  # to read one of the others fails


async def test_an_argument_that_the_action_does_not_have_is_refused(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add()
        with pytest.raises(Invalid):
            await world.call(nobody="x")
        with pytest.raises(Invalid):
            await world.call("action/cats/feed", id="..")
        assert world.api.calls == []
