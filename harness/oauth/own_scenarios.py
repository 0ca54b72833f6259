"""What takes a stage of its own: tokens that are bound to a key, and a client known by its URL."""

from __future__ import annotations

import httpx

from harness.oauth.mcp_scenarios import NONCE, many
from harness.oauth.stage import SECRET, Stage, Told, asks
from harness.oauth.tally import NotOffered, same, some


async def _bound(stage: Stage) -> str:
    """Sign in where tokens are bound; return the server's name."""
    if "dpop_signing_alg_values_supported" not in await stage.metadata():
        raise NotOffered("it has no DPoP")
    name = await stage.add()
    await stage.signed_in(name)
    same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    return name


async def _shown(stage: Stage) -> Told:
    shown = (await stage.shown())[-1]
    some("the key that the token is bound to", shown["claims"].get("cnf", {}).get("jkt", ""))
    return shown


async def bound(stage: Stage) -> None:
    """The token is bound to a key (RFC 9449), with the issuer's nonce, and useless without it."""
    since = len(await stage.asked())
    await _bound(stage)
    asked = [each for each in (await stage.asked())[since:] if each["grant"]]
    found = [(each["error"], each["proof"]) for each in asked]
    same("requests for tokens", found, [(NONCE, True), ("", True)])
    token = (await _shown(stage))["token"]
    refused = await stage.knock(stage.lamps, token)
    same("the server's answer to the token alone", refused, httpx.codes.UNAUTHORIZED)


async def bound_and_refreshed(stage: Stage) -> None:
    """A bound token is refreshed once for many calls, and bound to the same key."""
    since, name = len(await stage.asked()), await _bound(stage)
    before = (await _shown(stage))["claims"]["cnf"]
    await stage.forget(since)
    await many(stage, name)
    same("the key", (await _shown(stage))["claims"]["cnf"], before)


async def bound_over_a_restart(stage: Stage) -> None:
    """The key outlives the service, with what is bound to it."""
    since, name = len(await stage.asked()), await _bound(stage)
    await stage.restart()
    same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    await stage.forget(since)
    same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))


async def bound_for_itself(stage: Stage) -> None:
    """The service's own token is bound too."""
    if "dpop_signing_alg_values_supported" not in await stage.metadata():
        raise NotOffered("it has no DPoP")
    given = {"auth": "service", "client_id": "service", "client_secret": SECRET}
    name = await stage.add(**given, issuer=stage.issuer, scope="mcp:read")
    await stage.let_run(name)
    same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    await _shown(stage)


async def known_by_url(stage: Stage) -> None:
    """The issuer reads at our own URL who the client is, and nobody is registered."""
    if not (await stage.metadata()).get("client_id_metadata_document_supported"):
        raise NotOffered("it reads no such document")
    since = len(await stage.asked())
    name = await stage.add()
    await stage.signed_in(name)
    same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    asked = (await stage.asked())[since:]
    clients = {each["client"] for each in asked if each["grant"]}
    same("who asked for tokens", clients, {f"{stage.url}/api/mcp/client.json"})
    same("registrations", asks(asked, 0, "/reg"), [])


async def known_and_refreshed(stage: Stage) -> None:
    """Who is known by our URL is given newer tokens too."""
    since, name = len(await stage.asked()), await stage.add()
    await stage.signed_in(name)
    if not (await stage.granted(since))[-1]["tokens"]["refresh"]:
        raise NotOffered("it gives such a client no refresh token")
    await stage.forget(since)
    await many(stage, name)


BOUND = {
    "DPoP: a token is bound to a key": bound,
    "DPoP: a bound token is refreshed once": bound_and_refreshed,
    "DPoP: the key outlives the service": bound_over_a_restart,
    "DPoP: client credentials": bound_for_itself,
}
BY_URL = {
    "client ID metadata document": known_by_url,
    "client ID metadata document: refreshed once": known_and_refreshed,
}
