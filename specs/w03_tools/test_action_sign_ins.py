"""People and the service sign in for actions: once, sealed, and never for somebody else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trio

from runtime.problems import UpstreamSaid
from specs.requirements import requirement
from specs.support.api import ACTIONS, Request, World, answer, beside_an_api
from specs.support.faults import break_the_audit
from transports.egress.actions.authorizing import METADATA

SECRET = "s3cret-of-ann"


def _said(broken: bytes, _: Request) -> bytes:
    return broken


OAUTH = {"client_id": "runchat", "client_secret": SECRET, "scope": "cats"}


def oauth(world: World, kind: str) -> dict[str, str]:
    where = {"token_url": f"{world.api.url}/token"}
    if kind == "oauth_code":
        where["authorization_url"] = f"{world.api.url}/authorize"
    return {"type": kind, **OAUTH, **where}


@requirement("actions.oauth-client")
async def test_the_service_signs_in_by_itself_once_for_many_calls(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add(auth=oauth(world, "oauth_client"))
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(world.call)
        shown = [each.headers["authorization"] for each in world.api.calls]
        assert world.api.tokens_asked == [{"grant_type": "client_credentials", "scope": "cats"}]
        assert shown == ["Bearer access-1"] * 5


async def signed_in(world: World, name: str = "cats") -> tuple[dict[str, str], Any]:
    """Begin to sign in and agree; return what the browser brings, and the browser."""
    begun = await world.ann.post(f"{ACTIONS}/{name}/sign-in")
    cookie = begun.headers["Set-Cookie"].partition(";")[0]
    world.ann.cookies.clear()
    back = world.api.agree(begun.json()["authorization_url"])
    return back, world.running.stranger({"Cookie": cookie})


@requirement("actions.oauth-code")
async def test_a_person_signs_in_and_their_token_is_theirs(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add(auth=oauth(world, "oauth_code"))
        before = (await world.shown())["state"], await world.names()
        back, browser = await signed_in(world)
        other = await world.running.stranger().get(f"{ACTIONS}/callback", params=back)
        finished = await browser.get(f"{ACTIONS}/callback", params=back)
        replayed = await browser.get(f"{ACTIONS}/callback", params=back)
        outcome = await world.call()
        kept = world.running.services.reader.execute("SELECT sealed FROM action_grant").fetchone()

        assert before == ("needs-sign-in", [])
        assert (finished.status_code, finished.headers["Location"]) == (303, "/#actions=cats")
        assert (other.status_code, replayed.status_code) == (404, 404)
        assert outcome.is_error is False
        assert world.api.calls[-1].headers["authorization"] == "Bearer access-1"
        assert b"access-1" not in kept[0]


@requirement("actions.oauth-code")
async def test_a_token_that_is_over_is_refreshed_once_and_a_refusal_means_to_sign_in(
    tmp_path: Path,
) -> None:
    async with beside_an_api(tmp_path) as world:
        world.api.lives_s = 0
        await world.add(auth=oauth(world, "oauth_code"))
        back, browser = await signed_in(world)
        await browser.get(f"{ACTIONS}/callback", params=back)
        await world.call()
        refused = answer({"error": "invalid_grant"}, status="400 Bad Request")
        world.api.answers["/token"] = lambda _: refused
        with pytest.raises(UpstreamSaid) as caught:
            await world.call()

        assert world.api.tokens_asked[1]["refresh_token"] == "refresh-1"
        assert caught.value.extensions["code"] == "sign-in-needed"
        assert (await world.shown())["state"] == "needs-sign-in"


async def test_an_issuer_that_is_away_costs_no_token(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        world.api.lives_s = 0
        await world.add(auth=oauth(world, "oauth_code"))
        back, browser = await signed_in(world)
        await browser.get(f"{ACTIONS}/callback", params=back)
        world.api.answers["/token"] = lambda _: answer(status="503 Away")
        with pytest.raises(UpstreamSaid):
            await world.call()
        assert (await world.shown())["state"] == "ready"


async def with_tokens(world: World, **more: str) -> None:
    await world.add(auth=oauth(world, "oauth_code") | more)
    back, browser = await signed_in(world)
    await browser.get(f"{ACTIONS}/callback", params=back)


def revoked(world: World, path: str) -> list[tuple[str, str]]:
    """Return the kinds of the tokens that were posted there, and who did."""
    asked = [each for each in world.api.asked if each.target == path]
    forms = [parse_qs(each.body.decode()) for each in asked]
    assert [form["token"] for form in forms] == [["refresh-1"], ["access-1"]][: len(forms)]
    shown = [each.headers["authorization"].partition(" ")[0] for each in asked]
    kinds = [form["token_type_hint"][0] for form in forms]
    return list(zip(kinds, shown, strict=True))


@requirement("actions.sign-out")
async def test_who_signs_out_is_signed_out_and_the_issuer_is_told(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        url = world.api.url
        told = {"token_endpoint": f"{url}/token", "revocation_endpoint": f"{url}/revoke"}
        world.api.answers["/.well-known/oauth-authorization-server"] = lambda _: answer(told)
        await with_tokens(world)
        out = await world.ann.delete(f"{ACTIONS}/cats/sign-in")
        wrong = await world.ann.post(f"{ACTIONS}/nobody/sign-in")

        assert (out.status_code, wrong.status_code) == (204, 404)
        assert (await world.shown())["state"] == "needs-sign-in"
        assert revoked(world, "/revoke") == [("refresh_token", "Basic"), ("access_token", "Basic")]


@requirement("actions.sign-out")
async def test_who_removes_a_set_is_signed_out_where_its_owner_said(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await with_tokens(world, revocation_url=f"{world.api.url}/leave")
        removed = await world.ann.delete(f"{ACTIONS}/cats")

        assert removed.status_code == 204
        assert [kind for kind, _ in revoked(world, "/leave")] == ["refresh_token", "access_token"]


@requirement("actions.sign-out")
@pytest.mark.parametrize("there", ["https://evil.example/revoke", "http://[", None])
async def test_a_token_is_sent_to_its_own_issuer_and_to_nobody_else(
    tmp_path: Path, there: str | None
) -> None:
    async with beside_an_api(tmp_path) as world:
        told = {"token_endpoint": f"{world.api.url}/token", "revocation_endpoint": there}
        other = {"token_endpoint": "https://other.example/token", "revocation_endpoint": "/revoke"}
        for place, said in zip(METADATA, (other, told), strict=True):
            world.api.answers[place] = partial(_said, answer(said))
        await with_tokens(world)
        before = len(world.api.asked)
        out = await world.ann.delete(f"{ACTIONS}/cats/sign-in")

        assert (out.status_code, (await world.shown())["state"]) == (204, "needs-sign-in")
        assert [each.target for each in world.api.asked[before:]] == list(METADATA)


async def test_a_proof_that_another_site_put_in_the_browser_is_no_proof(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add(auth=oauth(world, "oauth_code"))
        planted = {"Cookie": "runchat_action_sign_in=planted"}
        begun = await world.ann.post(f"{ACTIONS}/cats/sign-in", headers=planted)
        page = begun.json()["authorization_url"]
        [state] = parse_qs(urlsplit(page).query)["state"]
        back = {"state": state, "code": "code-1"}
        thief = await world.running.stranger(planted).get(f"{ACTIONS}/callback", params=back)

        assert "planted" not in begun.headers["Set-Cookie"]
        assert thief.status_code == 404


async def test_a_sign_in_that_was_refused_is_told_and_spent(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add(auth=oauth(world, "oauth_code"))
        back, browser = await signed_in(world)
        said = {"state": back["state"], "error": "access_denied"}
        refused = await browser.get(f"{ACTIONS}/callback", params=said)
        again = await browser.get(f"{ACTIONS}/callback", params=back)
        assert (refused.status_code, again.status_code) == (502, 404)


async def test_what_cannot_be_audited_does_not_happen(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add("dogs", auth=oauth(world, "oauth_code"))
        back, browser = await signed_in(world, "dogs")
        await break_the_audit(world.running)
        one = f"{ACTIONS}/dogs"
        refused = [
            await world.add(),
            await world.ann.patch(one, json={"enabled": False}),
            await world.ann.delete(one),
            await world.ann.delete(f"{one}/sign-in"),
            await browser.get(f"{ACTIONS}/callback", params=back),
        ]
        assert [each.status_code for each in refused] == [503] * 5
        assert [each["id"] for each in (await world.ann.get(ACTIONS)).json()["items"]] == ["dogs"]
        assert (await world.shown("dogs"))["state"] == "needs-sign-in"


async def test_a_document_or_a_token_that_cannot_be_had_is_told_of(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add(auth=oauth(world, "oauth_code"))
        codes = []
        for broken in (answer(status="500 Broken"), b"nonsense\r\n\r\n"):
            world.api.answers |= dict.fromkeys(("/openapi.json", "/token"), partial(_said, broken))
            url = {"url": f"{world.api.url}/openapi.json"}
            back, browser = await signed_in(world)
            refused = [
                await world.ann.post(f"{ACTIONS}/preview", json=url),
                await world.add("more", **url),
                await world.ann.patch(f"{ACTIONS}/cats", json=url),
                await browser.get(f"{ACTIONS}/callback", params=back),
            ]
            codes.append([each.json()["code"] for each in refused])
            assert [each.status_code for each in refused] == [502] * 4
        assert codes == [["document"] * 3 + ["issuer-failed"], ["connection-lost"] * 4]


async def test_nobody_signs_in_for_actions_that_want_none(tmp_path: Path) -> None:
    async with beside_an_api(tmp_path) as world:
        await world.add()
        refused = await world.ann.post(f"{ACTIONS}/cats/sign-in")
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/auth")
