"""What a person and the service do with actions whose issuer is a real one."""

from __future__ import annotations

import httpx
import trio

from harness.oauth.browser import brought
from harness.oauth.stage import ACTIONS, SECRET, Stage, asks, origin
from harness.oauth.tally import same

MANY = 8  # calls at once
MIAS = (False, '{"cats": ["Mia"]}')


async def _add(stage: Stage, kind: str = "oauth_code", scope: str = "cats offline_access") -> str:
    """Make actions of the API's document; return their name."""
    name, issuer = f"cats{next(stage.numbers)}", await stage.metadata()
    auth = {"type": kind, "client_secret": SECRET, "token_url": issuer["token_endpoint"]}
    auth |= {"client_id": "actions" if kind == "oauth_code" else "service", "scope": scope}
    if kind == "oauth_code":
        auth["authorization_url"] = issuer["authorization_endpoint"]
        auth["revocation_url"] = issuer["revocation_endpoint"]
    document = f"{origin(stage.lamps)}/openapi.json"
    given = {"name": name, "url": document, "auth": auth, "policy": "auto"}
    answer = await stage.ann.post(ACTIONS, json=given)
    same(
        "making the actions",
        (answer.status_code, answer.text[:200] * (not answer.is_success)),
        (httpx.codes.CREATED, ""),
    )
    return name


async def _mias(stage: Stage, name: str, what: str) -> None:
    same(what, await stage.call(f"action/{name}/list_cats"), MIAS)


async def _many(stage: Stage, name: str, grant: str) -> None:
    since, said = len(await stage.asked()), list[tuple[bool, str]]()

    async def call() -> None:
        said.append(await stage.call(f"action/{name}/list_cats"))

    async with trio.open_nursery() as nursery:
        for _ in range(MANY):
            nursery.start_soon(call)
    same("the calls", said, [MIAS] * MANY)
    tokens = [each["grant"] for each in (await stage.asked())[since:] if each["grant"]]
    same("what the issuer was asked", tokens, [grant])


async def sign_in_and_call(stage: Stage) -> None:
    """A document becomes actions, ann signs in, and one is called through a job."""
    name = await _add(stage)
    since = len(await stage.asked())
    before = (await stage.state(name, ACTIONS), await stage.tools(name))
    same("the state and the tools before", before, ("needs-sign-in", []))
    await stage.signed_in(name, ACTIONS)
    await _mias(stage, name, "a call")
    asked = (await stage.asked())[since:]
    methods = {each["method"] for each in asked if each["method"]}
    verified = [each["verifier"] for each in asked if each["grant"]]
    same("PKCE", (methods, verified), ({"S256"}, [True]))


async def refreshed_once(stage: Stage) -> None:
    """A token has run out: many calls at once refresh it once."""
    name = await _add(stage)
    await stage.lives(stage.provider.life_s)
    await stage.signed_in(name, ACTIONS)
    await stage.lives()
    await trio.sleep(stage.provider.life_s + 1)
    await _many(stage, name, "refresh_token")


async def revoked_there(stage: Stage) -> None:
    """The issuer takes all back: ann is asked to sign in again, and then it works."""
    name = await _add(stage)
    since = len(await stage.asked())
    await stage.signed_in(name, ACTIONS)
    await _mias(stage, name, "the first call")
    await stage.revoke(since, "refresh")
    await stage.revoke(since, "access")
    refused, _ = await stage.call(f"action/{name}/list_cats")
    same("whether a call failed then", refused, True)
    same("the state then", await stage.state(name, ACTIONS), "needs-sign-in")
    await stage.signed_in(name, ACTIONS)
    await _mias(stage, name, "a call again")


async def signed_out(stage: Stage) -> None:
    """Who signs out is signed out there too: both tokens are dead."""
    name = await _add(stage)
    since = len(await stage.asked())
    await stage.signed_in(name, ACTIONS)
    [granted] = await stage.granted(since)
    out = await stage.ann.delete(f"{ACTIONS}/{name}/sign-in")
    same("signing out", out.status_code, httpx.codes.NO_CONTENT)
    same("what the issuer was told", asks(await stage.asked(), since, "/revo"), [200, 200])
    again = await stage.redeem("actions", granted["tokens"]["refresh"])
    same("the issuer's answer to the refresh token", again, "invalid_grant")
    same("the state then", await stage.state(name, ACTIONS), "needs-sign-in")


async def as_itself(stage: Stage) -> None:
    """The service signs in as itself, once for many calls."""
    name = await _add(stage, "oauth_client", "cats")
    await _many(stage, name, "client_credentials")


async def denied(stage: Stage) -> None:
    """Ann says no on the issuer's page: nobody is signed in."""
    name = await _add(stage)
    answer = await stage.sign_in(name, "denies", ACTIONS)
    same("the callback", answer.status_code, httpx.codes.BAD_GATEWAY)
    same("its reason", "access_denied" in answer.text, True)
    same("the state then", await stage.state(name, ACTIONS), "needs-sign-in")


async def comes_back_once(stage: Stage) -> None:
    """A way back counts once, in the browser that went, and for a state that was given out."""
    name = await _add(stage)
    async with stage.browser() as browser, stage.browser() as stranger:
        back = await stage.away(browser, name, at=ACTIONS)
        foreign = brought(back) | {"state": "state-of-nobody"}
        answers = [
            await browser.client.get(back.partition("?")[0], params=foreign),
            await stranger.client.get(back),
            await browser.client.get(back),
            await browser.client.get(back),
        ]
    found = [each.status_code for each in answers]
    same("foreign, stranger, first, again", found, [404, 404, 303, 404])


SCENARIOS = {
    "actions: sign in and call": sign_in_and_call,
    "actions: an expired token is refreshed once": refreshed_once,
    "actions: revoked at the issuer": revoked_there,
    "actions: sign-out is told to the issuer": signed_out,
    "actions: client credentials": as_itself,
    "actions: denied by the person": denied,
    "actions: a way back counts once": comes_back_once,
}
