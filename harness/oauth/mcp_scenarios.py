"""What a person and the service do at MCP servers whose issuer is a real one."""

from __future__ import annotations

from pathlib import Path

import httpx
import trio

from harness.oauth.browser import brought
from harness.oauth.stage import SECRET, SERVERS, Stage, asks
from harness.oauth.tally import NotOffered, same, some

MANY = 12  # calls at once
NONCE = "use_dpop_nonce"  # it wants its own word in a proof, which is then made again
NOBODYS = {"code": "code-of-nobody", "state": "state-of-nobody"}


async def sign_in_and_call(stage: Stage) -> None:
    """A server is added, ann signs in, a tool is called through a job."""
    name = await stage.add()
    before = len(await stage.asked())
    same("the tools before", await stage.tools(name), [])
    same("the state before", await stage.state(name), "needs-sign-in")
    same("what the issuer was asked before", (await stage.asked())[before:], [])
    await stage.signed_in(name)
    same("what the tool said", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))


async def discovery(stage: Stage) -> None:
    """The server names its issuer (RFC 9728), which says what it is (RFC 8414, or OpenID)."""
    since = len(await stage.asked())
    await stage.signed_in(await stage.add())
    known = [each for each in (await stage.asked())[since:] if "well-known" in each["path"]]
    some("metadata that was found", [each for each in known if each["status"] == httpx.codes.OK])


async def checked_by_keys(stage: Stage) -> None:
    """A server that checks a JWT by the issuer's keys takes ours."""
    name = await stage.add(stage.keyed)
    await stage.signed_in(name)
    same("what the tool said", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    claims = (await stage.shown(stage.keyed))[-1]["claims"]
    same("the token's issuer", claims["iss"], stage.issuer)


async def registered_then(stage: Stage) -> None:
    """Nobody knows the client: it is registered (RFC 7591), once."""
    since = len(await stage.asked())
    name = await stage.add()
    await stage.signed_in(name)
    await stage.signed_in(name)
    same("registrations", asks(await stage.asked(), since, "/reg"), [201])


async def registered_before(stage: Stage) -> None:
    """The client was registered beforehand, with a secret, which its issuer alone gets."""
    since = len(await stage.asked())
    given = {"client_id": "runchat", "client_secret": SECRET, "issuer": stage.issuer}
    name = await stage.add(**given)
    await stage.signed_in(name)
    asked = (await stage.asked())[since:]
    clients = {each["client"] for each in asked if each["grant"]}
    same("registrations", asks(asked, 0, "/reg"), [])
    same("who asked for tokens", clients, {"runchat"})
    same("what the tool said", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))


async def secret_of_another(stage: Stage) -> None:
    """A registration with one issuer is shown to no other."""
    since = len(await stage.asked())
    given = {"client_id": "runchat", "client_secret": SECRET, "issuer": "https://id.example"}
    name = await stage.add(**given)
    async with stage.browser() as browser:
        page = await stage.page(browser, name)
    clients = {each["client"] for each in (await stage.asked())[since:]}
    same("whom the issuer saw", "runchat" in {*clients, brought(page)["client_id"]}, False)


async def pkce(stage: Stage) -> None:
    """The code is bound to a verifier (RFC 7636), by S256."""
    since = len(await stage.asked())
    await stage.signed_in(await stage.add())
    asked = (await stage.asked())[since:]
    methods = {each["method"] for each in asked if each["method"]}
    same("the challenge's method", methods, {"S256"})
    verified = [each["verifier"] for each in asked if each["grant"] == "authorization_code"]
    same("verifiers", verified, [True])


async def resource(stage: Stage) -> None:
    """The token is for this server (RFC 8707), and of no use at another."""
    since = len(await stage.asked())
    name = await stage.add()
    await stage.signed_in(name)
    await stage.call(f"mcp/{name}/echo", text="lit")
    shown = (await stage.shown())[-1]
    audience = shown["claims"]["aud"]
    same("the audience", audience if isinstance(audience, list) else [audience], [stage.lamps])
    asked = {each["resource"] for each in (await stage.asked())[since:] if each["grant"]}
    same("the resource that was asked for", asked, {stage.lamps})
    refused = await stage.knock(stage.keyed, shown["token"])
    same("another server's answer to it", refused, httpx.codes.UNAUTHORIZED)


async def issuer_of_the_answer(stage: Stage) -> None:
    """The way back says whose it is (RFC 9207); another's, or nobody's, is refused."""
    name = await stage.add()
    if "iss" not in await stage.signed_in(name):
        raise NotOffered("it says so over https alone")
    statuses = []
    for wrong in ({"iss": "https://evil.example"}, {"iss": ""}):
        async with stage.browser() as browser:
            back = brought(await stage.away(browser, name)) | wrong
            answer = await browser.client.get(f"{stage.url}/api/mcp/callback", params=back)
            statuses.append(answer.status_code)
    same("what another's answer came to", statuses, [httpx.codes.BAD_GATEWAY] * 2)


async def refreshed_once(stage: Stage) -> None:
    """A token has run out: many calls at once refresh it once."""
    name = await stage.add()
    await stage.lives(stage.provider.life_s)
    await stage.signed_in(name)
    same("the first call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    await stage.lives()
    await trio.sleep(stage.provider.life_s + 1)
    await many(stage, name)


async def refreshed_when_refused(stage: Stage) -> None:
    """The server takes the token no more, though its time is not over: as if it was."""
    name = await stage.add()
    since = len(await stage.asked())
    await stage.signed_in(name)
    same("the first call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    await stage.forget(since)
    await many(stage, name)


async def many(stage: Stage, name: str, grant: str = "refresh_token") -> None:
    """Call a tool many times at once, for which the issuer is asked for one token."""
    since, said = len(await stage.asked()), list[tuple[bool, str]]()

    async def call(number: int) -> None:
        said.append(await stage.call(f"mcp/{name}/echo", text=f"{number}"))

    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            nursery.start_soon(call, number)
    same("the calls", sorted(said), sorted((False, f"{each}") for each in range(MANY)))
    asked = (await stage.asked())[since:]
    tokens = [each["grant"] for each in asked if each["grant"] and each["error"] != NONCE]
    same("what the issuer was asked", tokens, [grant])


async def rotation(stage: Stage) -> None:
    """Each refresh brings another refresh token, which is the one that is used next."""
    name = await stage.add()
    since = len(await stage.asked())
    await stage.signed_in(name)
    for _ in range(3):
        await stage.forget(since)
        same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    tokens = [each["tokens"]["refresh"] for each in await stage.granted(since)]
    same("different refresh tokens", (len(tokens), len(set(tokens))), (4, 4))


async def kept_over_a_restart(stage: Stage) -> None:
    """Tokens outlive the service, sealed on the disk, and are refreshed where they came from."""
    name = await stage.add()
    since = len(await stage.asked())
    await stage.signed_in(name)
    await stage.restart()
    same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    await stage.restart()
    await stage.forget(since)
    same("a call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    tokens = [value for each in await stage.granted(since) for value in each["tokens"].values()]
    found = [path.name for path in files(stage.data) if _holds(path, tokens)]
    same("files with a token in clear", found, [])


def files(folder: Path) -> list[Path]:
    """Return all files of a folder."""
    return [each for each in folder.rglob("*") if each.is_file()]


def _holds(path: Path, tokens: list[str]) -> bool:
    held = path.read_bytes()
    return any(each.encode() in held for each in tokens)


async def revoked_there(stage: Stage) -> None:
    """The issuer takes all back: ann is asked to sign in again, and then it works."""
    name = await stage.add()
    since = len(await stage.asked())
    await stage.signed_in(name)
    same("the first call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    await stage.revoke(since, "refresh")
    await stage.revoke(since, "access")
    refused, _ = await stage.call(f"mcp/{name}/echo", text="lit")
    same("whether a call failed then", refused, True)
    await _sign_in_is_needed(stage, name)
    await stage.signed_in(name)
    same("a call again", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))


async def _sign_in_is_needed(stage: Stage, name: str) -> None:
    shown = (await stage.ann.get(f"{SERVERS}/{name}")).json()
    found = shown["state"], shown["signed_in"], shown["last_error"]["code"]
    same("the state then", found, ("needs-sign-in", False, "sign-in-needed"))
    same("the tools then", await stage.tools(name), [])


async def signed_out(stage: Stage) -> None:
    """Who signs out is signed out there too (RFC 7009): both tokens are dead."""
    name = await stage.add()
    since = len(await stage.asked())
    await stage.signed_in(name)
    await stage.call(f"mcp/{name}/echo", text="lit")
    [granted] = await stage.granted(since)
    out = await stage.ann.delete(f"{SERVERS}/{name}/sign-in")
    same("signing out", out.status_code, httpx.codes.NO_CONTENT)
    same("what the issuer was told", asks(await stage.asked(), since, "/revo"), [200, 200])
    knocked = await stage.knock(stage.lamps, granted["tokens"]["access"])
    same("the server's answer to the token", knocked, httpx.codes.UNAUTHORIZED)
    again = await stage.redeem(granted["client"], granted["tokens"]["refresh"])
    same("the issuer's answer to the refresh token", again, "invalid_grant")
    same(
        "the state then", (await stage.tools(name), await stage.state(name)), ([], "needs-sign-in")
    )


async def step_up(stage: Stage) -> None:
    """A tool wants more than was allowed: the next sign-in asks for it."""
    name = await stage.add()
    await stage.signed_in(name)
    refused, words = await stage.call(f"mcp/{name}/write", text="lit")
    same("a call before", (refused, "sign in" in words), (True, True))
    same("the state then", await stage.state(name), "needs-sign-in")
    await stage.signed_in(name)
    wrote = await stage.call(f"mcp/{name}/write", text="lit")
    same("a call then", wrote, (False, "written: lit"))
    scope = set((await stage.shown())[-1]["claims"]["scope"].split())
    same("the token's scope", {"mcp:read", "mcp:write"} - scope, set())


async def as_itself(stage: Stage) -> None:
    """The service signs in as itself (RFC 6749, section 4.4), once for many calls."""
    since = len(await stage.asked())
    given = {"auth": "service", "client_id": "service", "client_secret": SECRET}
    name = await stage.add(**given, issuer=stage.issuer, scope="mcp:read")
    await stage.let_run(name)
    same("the first call", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))
    same("tokens", len(await stage.grants("client_credentials", since)), 1)
    await stage.forget(since)
    await many(stage, name, "client_credentials")
    refused = await stage.ann.post(f"{SERVERS}/{name}/sign-in")
    same("a person's sign-in there", refused.status_code, httpx.codes.UNPROCESSABLE_ENTITY)


async def denied(stage: Stage) -> None:
    """Ann says no on the issuer's page: nobody is signed in, and she may think again."""
    name = await stage.add()
    answer = await stage.sign_in(name, "denies")
    same("the callback", (answer.status_code, answer.json()["code"]), (502, "sign-in-failed"))
    same("its reason", "access_denied" in answer.text, True)
    shown = (await stage.ann.get(f"{SERVERS}/{name}")).json()
    same("signed in", shown["signed_in"], False)
    await stage.signed_in(name)
    same("a call then", await stage.call(f"mcp/{name}/echo", text="lit"), (False, "lit"))


async def comes_back_once(stage: Stage) -> None:
    """A way back counts once, in the browser that went, and for a state that was given out."""
    name = await stage.add()
    since = len(await stage.asked())
    async with stage.browser() as browser, stage.browser() as stranger:
        back = await stage.away(browser, name)
        callback = back.partition("?")[0]
        foreign = await browser.client.get(callback, params=brought(back) | NOBODYS)
        other = await stranger.client.get(back)
        first, again = [await browser.client.get(back) for _ in range(2)]
    found = [each.status_code for each in (foreign, other, first, again)]
    same("foreign, stranger, first, again", found, [404, 404, 303, 404])
    codes = await stage.grants("authorization_code", since)
    same("codes that were spent", len(codes), 1)


SCENARIOS = {
    "sign in and call a tool through a job": sign_in_and_call,
    "discovery of the issuer": discovery,
    "a token that is checked by keys": checked_by_keys,
    "dynamic registration": registered_then,
    "registration beforehand": registered_before,
    "a registration is of one issuer": secret_of_another,
    "PKCE S256": pkce,
    "resource indicator": resource,
    "iss in the callback": issuer_of_the_answer,
    "an expired token is refreshed once": refreshed_once,
    "a refused token is refreshed once": refreshed_when_refused,
    "refresh tokens rotate": rotation,
    "tokens outlive the service, sealed": kept_over_a_restart,
    "revoked at the issuer": revoked_there,
    "sign-out is told to the issuer": signed_out,
    "scope step-up": step_up,
    "client credentials": as_itself,
    "denied by the person": denied,
    "a way back counts once": comes_back_once,
}
