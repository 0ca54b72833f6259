"""People sign in at MCP servers: once, in their own browser, and are signed out for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from actors.spine import Settled
from runtime.problems import UpstreamSaid
from runtime.settings import Server
from specs.requirements import requirement
from specs.support.faults import break_the_audit
from specs.support.mcp_http import Asked
from specs.support.mcp_issuer import ISSUER, RESOURCE, Issuer, issuing
from specs.support.mcp_people import ANN, LIMIT_S, SERVERS, Person, World
from specs.support.server import service
from transports.egress import guard
from transports.egress.denial import Decision, Told

BACK = "/api/mcp/callback"
SIGN_IN = f"{SERVERS}/small/sign-in"


@asynccontextmanager
async def beside_an_issuer(
    data: Path, *, on_decision: Told | None = None, **how: Any
) -> AsyncIterator[tuple[World, Issuer]]:
    """Run a service beside a server that wants a token; ann has added it."""
    async with issuing(**how) as issuer:
        places = frozenset({guard.origin(issuer.origin)})
        settled = Settled(places=places, on_decision=on_decision)
        async with service(data=data, mcp=settled) as running:
            with trio.fail_after(LIMIT_S):
                asked = Asked(url=issuer.url)
                world = World(running=running, asked=asked, ann=await running.client())
                await world.add(auth="person")
                yield world, issuer
                await world.spine.mcp_sessions.stop_all()
                await world.spine.mcp_sign_ins.stop_all()


async def state_of(world: World) -> str:
    return str((await world.ann.get(f"{SERVERS}/small")).json()["state"])


async def begun(world: World) -> tuple[str, dict[str, str]]:
    """Begin to sign in; return the page, and the cookie as a browser sends it."""
    answer = await world.ann.post(SIGN_IN)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    world.ann.cookies.clear()
    return answer.json()["authorization_url"], {"Cookie": cookie.partition(";")[0]}


async def signed_in(world: World, issuer: Issuer) -> httpx.Response:
    page, cookie = await begun(world)
    browser = world.running.stranger(cookie)
    return await browser.get(BACK, params=issuer.authorize(page))


@requirement("mcp.sign-in")
async def test_a_person_signs_in_and_the_tools_are_there(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        before = await world.names()
        needs = await state_of(world)
        back = await signed_in(world, issuer)
        names = await world.names()
        outcome = await world.call("mcp/small/echo", text="in")
        shown = (await world.ann.get(f"{SERVERS}/small")).json()
        rows = world.running.services.reader.execute("SELECT sealed FROM mcp_grant").fetchall()

        assert (before, needs) == ([], "needs-sign-in")
        assert (back.status_code, back.headers["Location"]) == (303, "/#mcp=small")
        assert names[0] == "mcp/small/crash"
        assert [getattr(each, "text", "") for each in outcome.content] == ["in"]
        assert (shown["state"], shown["signed_in"]) == ("open", True)
        assert [b"access-" in sealed for (sealed,) in rows] == [False] * len(rows)
        assert issuer.posted("/token")[0]["resource"] == issuer.url


@requirement("mcp.sign-in")
async def test_nothing_is_registered_and_nobody_asked_before_the_person_begins(
    tmp_path: Path,
) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        await world.names()
        await world.names()

        assert issuer.forms == []


@requirement("mcp.sign-in.once")
async def test_a_callback_that_is_replayed_finds_nothing(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        page, cookie = await begun(world)
        browser, back = world.running.stranger(cookie), issuer.authorize(page)
        first = await browser.get(BACK, params=back)
        second = await browser.get(BACK, params=back)
        unknown = await browser.get(BACK, params={**back, "state": "of-nobody"})

        assert [each.status_code for each in (first, second, unknown)] == [303, 404, 404]
        assert len(issuer.posted("/token")) == 1


@requirement("mcp.sign-in.bound")
async def test_a_callback_in_another_browser_finds_nothing_and_spends_nothing(
    tmp_path: Path,
) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        page, cookie = await begun(world)
        back = issuer.authorize(page)
        eve = await world.running.client(user="eve")
        strangers = [
            await world.running.stranger().get(BACK, params=back),
            await world.running.stranger({"Cookie": "runchat_mcp_sign_in=x"}).get(
                BACK, params=back
            ),
            await eve.get(BACK, params=back),
        ]
        own = await world.running.stranger(cookie).get(BACK, params=back)

        assert [each.status_code for each in strangers] == [404] * 3
        assert own.status_code == 303


async def test_a_browser_may_be_on_its_way_to_two_servers_at_once(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        await world.add("other", auth="person")
        pages = [
            (await world.ann.post(f"{SERVERS}/{name}/sign-in")).json()["authorization_url"]
            for name in ("small", "other")
        ]
        proof = world.ann.cookies["runchat_mcp_sign_in"]
        browser = world.running.stranger({"Cookie": f"runchat_mcp_sign_in={proof}"})
        back = [await browser.get(BACK, params=issuer.authorize(page)) for page in pages]

        assert [each.headers.get("Location") for each in back] == ["/#mcp=small", "/#mcp=other"]


@requirement("mcp.sign-in.bound")
async def test_an_app_brings_back_what_it_caught_with_the_credential_that_began(
    tmp_path: Path,
) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        page, _ = await begun(world)
        same_person = await world.running.client()
        back = issuer.authorize(page)
        other = await same_person.get(BACK, params=back)
        own = await world.ann.get(BACK, params=back)

        assert (other.status_code, own.status_code) == (404, 303)


@requirement("mcp.sign-in.once")
async def test_a_later_sign_in_ends_the_one_before(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        first, cookie = await begun(world)
        second, later = await begun(world)
        ended = await world.running.stranger(cookie).get(BACK, params=issuer.authorize(first))
        went_on = await world.running.stranger(later).get(BACK, params=issuer.authorize(second))

        assert (ended.status_code, went_on.status_code) == (404, 303)


@requirement("mcp.sign-in.trusted")
@pytest.mark.parametrize(
    "wrong",
    [{"iss": "https://evil.example"}, {"iss": ""}, {"error": "access_denied"}, {"code": ""}],
    ids=["another issuer", "no issuer", "denied", "no code"],
)
async def test_what_is_not_the_issuers_answer_signs_nobody_in(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        page, cookie = await begun(world)
        back = {**issuer.authorize(page), **wrong}
        answer = await world.running.stranger(cookie).get(BACK, params=back)
        shown = (await world.ann.get(f"{SERVERS}/small")).json()

        assert (answer.status_code, answer.json()["code"]) == (502, "sign-in-failed")
        assert shown["signed_in"] is False
        assert issuer.posted("/token") == []


METADATA = "http://169.254.169.254/latest/meta-data/"


@requirement("mcp.sign-in.trusted")
@pytest.mark.parametrize(
    ("path", "strange"),
    [
        (RESOURCE, {"resource": "https://other.example/mcp"}),
        (RESOURCE, {"authorization_servers": [METADATA]}),
        (ISSUER, {"issuer": "https://evil.example"}),
        (ISSUER, {"code_challenge_methods_supported": ["plain"]}),
        (ISSUER, {"registration_endpoint": METADATA}),
        ("/register", {"x": 300_000 * "x"}),
    ],
    ids=[
        "another resource",
        "issuer in a private network",
        "another name",
        "no PKCE",
        "registration in a private network",
        "a registration without end",
    ],
)
async def test_a_server_that_leads_elsewhere_gets_nobody_to_sign_in(
    tmp_path: Path, path: str, strange: dict[str, Any]
) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        usual = issuer.answer("get", path, b"{}")[1]
        issuer.strange[path] = ("200 OK", {**usual, **strange})
        answer = await world.ann.post(SIGN_IN)

        assert answer.status_code == 502
        assert issuer.posted("/token") == []


async def test_an_issuer_that_hangs_up_signs_nobody_in(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        issuer.hangs_up = {"/token"}
        back = await signed_in(world, issuer)
        issuer.hangs_up = {"/mcp"}
        again = await world.ann.post(SIGN_IN)

        for answer in (back, again):
            assert answer.status_code == 502
            assert answer.json()["type"].rpartition(":")[2] == "upstream-lost"
        assert (await world.ann.get(f"{SERVERS}/small")).json()["signed_in"] is False


@requirement("mcp.sign-in.trusted")
@pytest.mark.parametrize("page", ["javascript:alert(1)", "data:,x", "file:///etc/passwd"])
async def test_a_page_that_is_no_page_of_the_web_is_never_shown(tmp_path: Path, page: str) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        strange = {**issuer.metadata(), "authorization_endpoint": page}
        issuer.strange[ISSUER] = ("200 OK", strange)
        answer = (await world.ann.post(SIGN_IN)).json()

        assert str(answer["authorization_url"]).startswith(f"{issuer.origin}/authorize?")


@requirement("mcp.sign-in.trusted")
@pytest.mark.parametrize("path", [RESOURCE, ISSUER, "/register", "/token"])
async def test_a_redirect_to_a_metadata_address_is_not_followed(tmp_path: Path, path: str) -> None:
    decisions: list[Decision] = []
    async with beside_an_issuer(tmp_path, on_decision=decisions.append) as (world, issuer):
        issuer.strange[path] = ("307 Temporary Redirect", METADATA)
        answer = await world.ann.post(SIGN_IN)
        if answer.status_code == 200:
            page = answer.json()["authorization_url"]
            await world.ann.get(BACK, params=issuer.authorize(page))
        tokens = world.spine.mcp.sessions.signed_in(ANN, world.spine.mcp.find(ANN, "small"))

        assert {each.host for each in decisions} == {"127.0.0.1"}
        assert tokens is (path == RESOURCE)


@requirement("mcp.refresh")
async def test_many_calls_with_a_token_that_ran_out_refresh_it_once(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        await signed_in(world, issuer)
        await world.names()
        issuer.tokens.clear()  # the server takes none of them any more
        done: list[str] = []

        async def call(number: int) -> None:
            calling = Person().calling(f"call_{number}")
            outcome = await world.call("mcp/small/echo", calling=calling, text=str(number))
            done.extend(str(getattr(each, "text", "")) for each in outcome.content)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(call, number)
        kinds = [form["grant_type"] for form in issuer.posted("/token")]

        assert sorted(done) == [str(number) for number in range(10)]
        assert kinds == ["authorization_code", "refresh_token"]


@requirement("mcp.refresh")
async def test_a_refresh_after_a_restart_goes_to_the_endpoint_that_was_stored(
    tmp_path: Path,
) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer), issuing() as evil:
        await signed_in(world, issuer)
        issuer.tokens.clear()
        told = {"resource": issuer.url, "authorization_servers": [evil.origin]}
        issuer.strange[RESOURCE] = ("200 OK", told)  # the server names another issuer now
        world.spine.mcp.sessions.reopen(ANN, "small")
        names = await world.names()

        assert names[0] == "mcp/small/crash"
        assert len(issuer.posted("/token")) == 2
        assert evil.forms == []


@requirement("mcp.refresh")
async def test_a_refresh_that_is_refused_asks_the_person_and_nobody_else(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        await signed_in(world, issuer)
        await world.names()
        issuer.tokens.clear()
        issuer.refreshing.clear()
        with pytest.raises(UpstreamSaid) as refused:
            await world.call("mcp/small/echo", text="x")
        needs, names = await state_of(world), await world.names()
        again = await signed_in(world, issuer)

        assert refused.value.extensions["code"] == "sign-in-needed"
        assert (needs, names) == ("needs-sign-in", [])
        assert (again.status_code, await state_of(world)) == (303, "idle")
        assert len(issuer.posted("/register")) == 1


@requirement("mcp.sign-in.scope")
@pytest.mark.parametrize("first", ["", "lamps:see"], ids=["any", "less"])
async def test_what_was_not_allowed_is_asked_for_at_the_next_sign_in(
    tmp_path: Path, first: str
) -> None:
    async with beside_an_issuer(tmp_path, scope="lamps:light") as (world, issuer):
        usual = issuer.answer("get", RESOURCE, b"")[1]
        issuer.strange[RESOURCE] = ("200 OK", usual | {"scopes_supported": first.split() or None})
        await signed_in(world, issuer)
        with pytest.raises(UpstreamSaid) as refused:
            await world.call("mcp/small/echo", text="x")
        again = await state_of(world), (await signed_in(world, issuer)).status_code
        outcome = await world.call("mcp/small/echo", text="lit")

        assert refused.value.extensions["code"] == "sign-in-needed"
        assert again == ("needs-sign-in", 303)
        assert [*issuer.tokens.values()] == [first, f"{first} lamps:light".strip()]
        assert [getattr(each, "text", "") for each in outcome.content] == ["lit"]
        assert len(issuer.clients) == 1 + bool(first)  # one that allows less is made anew


@requirement("mcp.sign-out")
async def test_who_signs_out_is_forgotten_here_and_at_the_issuer(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        await signed_in(world, issuer)
        await world.names()
        out = await world.ann.delete(SIGN_IN)
        shown = (await world.ann.get(f"{SERVERS}/small")).json()
        revoked = [form["token_type_hint"] for form in issuer.posted("/revoke")]

        assert (out.status_code, shown["signed_in"]) == (204, False)
        assert revoked == ["refresh_token", "access_token"]
        assert (issuer.tokens, issuer.refreshing) == ({}, set())
        assert await world.names() == []


@requirement("mcp.sign-out")
async def test_who_removes_a_server_is_signed_out_and_a_silent_issuer_changes_nothing(
    tmp_path: Path,
) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        await signed_in(world, issuer)
        issuer.strange["/revoke"] = ("500 Internal Server Error", {})
        removed = await world.ann.delete(f"{SERVERS}/small")
        rows = world.running.services.reader.execute("SELECT * FROM mcp_grant").fetchall()

        assert (removed.status_code, rows) == (204, [])
        assert len(issuer.posted("/revoke")) == 2


async def test_who_cannot_be_audited_is_not_signed_out(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, issuer):
        await signed_in(world, issuer)
        await break_the_audit(world.running)
        out = await world.ann.delete(SIGN_IN)

        assert (out.status_code, issuer.posted("/revoke")) == (503, [])


async def test_nobody_signs_in_where_no_sign_in_is_wanted(tmp_path: Path) -> None:
    async with beside_an_issuer(tmp_path) as (world, _):
        await world.ann.patch(f"{SERVERS}/small", json={"auth": "none"})
        refused = await world.ann.post(SIGN_IN)
        metadata = await world.running.stranger().get("/api/mcp/client.json")

        assert (refused.status_code, metadata.status_code) == (422, 404)


@requirement("mcp.sign-in")
async def test_an_issuer_can_read_what_we_are_where_we_have_a_public_url(tmp_path: Path) -> None:
    public = Server(public_url="https://chat.example")
    async with service(data=tmp_path, settings=public) as running:
        answer = await running.stranger().get("/api/mcp/client.json")

    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.json()["client_id"] == "https://chat.example/api/mcp/client.json"
    assert answer.json()["redirect_uris"] == ["https://chat.example/api/mcp/callback"]
