"""All that a scenario plays on: an identity provider, two servers that believe it, and Runchat.

All are programs of their own on loopback, and end with this one. What a scenario asks of the
provider beside the protocol is only what it was asked, and how long its next tokens live; what it
revokes there, it revokes by the protocol.
"""

from __future__ import annotations

import itertools
import json
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import httpx
import trio

from harness import announced
from harness.bench.service import SERVE
from harness.certificate import make_certificate
from harness.oauth.browser import Browser, Mind, brought
from harness.oauth.tally import Wrong, same

Told: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["access", "refresh"]

SECRET: Final = secrets.token_urlsafe()  # of this run alone
PERSON: Final = {"text": "ann", "password": secrets.token_urlsafe()}
SERVERS, ACTIONS = "/api/mcp/servers", "/api/actions"
LONG_S, TRIES, WORDS_MAX = 3600, 10, 3000
HELLO: Final = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A kind of identity provider.

    Args:
        command: starts it; what it needs is in the environment.
        life_s: the shortest life of a token there.
        tls: whether Runchat is reached by https, so that an issuer reads who it is by itself.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    life_s: int = 3
    tls: bool = False


@dataclass(slots=True, kw_only=True)
class Stage:
    """Where everybody is, and ann, who has a token of Runchat's.

    Args:
        lamps: the MCP server whose tokens are asked about; `keyed`: it checks them by keys.
        service: starts Runchat, and ends it before it starts again.
        said: what all of them said on stderr.
    """

    provider: Provider
    issuer: str
    lamps: str
    keyed: str
    url: str
    data: Path
    service: Generator[None]
    said: IO[bytes]
    ann: httpx.AsyncClient
    verify: str | bool = True
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def restart(self) -> None:
        """End Runchat, and start it on the same folder."""
        next(self.service)

    async def metadata(self) -> Told:
        """Return what the provider says of itself."""
        found: Told = await _json(f"{self.issuer}/.well-known/openid-configuration")
        return found

    async def asked(self) -> list[Told]:
        """Return what the provider was asked so far."""
        found: list[Told] = await _json(f"{self.issuer}/asked")
        return found

    async def grants(self, kind: str, since: int = 0) -> list[Told]:
        """Return the requests for tokens of a kind of grant."""
        return [each for each in (await self.asked())[since:] if each["grant"] == kind]

    async def granted(self, since: int) -> list[Told]:
        """Return the requests that were answered with tokens."""
        return [each for each in (await self.asked())[since:] if each["tokens"]["access"]]

    async def lives(self, seconds: int = LONG_S) -> None:
        """Have the provider's next access tokens live so long."""
        await _json(f"{self.issuer}/lives?seconds={seconds}")

    def words(self) -> str:
        """Return the end of what all programs said on stderr."""
        self.said.seek(0)
        return self.said.read().decode(errors="replace")[-WORDS_MAX:]

    async def forget(self, since: int) -> None:
        """Have the latest access token be void at the provider, and no other."""
        token = (await self.granted(since))[-1]["tokens"]["access"]
        await _json(f"{self.issuer}/forget?token={token}")

    async def revoke(self, since: int, kind: Kind) -> None:
        """Revoke the latest token of a kind at the provider, as its client may (RFC 7009)."""
        granted = (await self.granted(since))[-1]
        form = {"token": granted["tokens"][kind], "token_type_hint": f"{kind}_token"}
        answer = await self._as(granted["client"], "revocation_endpoint", form)
        same("revoking at the issuer", answer.status_code, httpx.codes.OK)

    async def redeem(self, client: str, token: str) -> str:
        """Try a refresh token by hand; return the issuer's error."""
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return str((await self._as(client, "token_endpoint", form)).json().get("error"))

    async def _as(self, client: str, endpoint: str, form: Mapping[str, str]) -> httpx.Response:
        metadata = await self.metadata()
        made = {each["client"]: each["secret"] for each in await self.asked() if each["secret"]}
        public = client.startswith("https://") or (client in made and not made[client])
        secret = made.get(client, SECRET)
        async with httpx.AsyncClient() as asking:
            if public:
                return await asking.post(metadata[endpoint], data={**form, "client_id": client})
            return await asking.post(metadata[endpoint], data=form, auth=(client, secret))

    async def shown(self, resource: str = "") -> list[Told]:
        """Return which tokens a server was shown, and what it found of them."""
        found: list[Told] = await _json(f"{origin(resource or self.lamps)}/shown")
        return found

    async def knock(self, resource: str, token: str) -> int:
        """Show a token to a server as a bearer's; return the status it answers."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        async with httpx.AsyncClient() as client:
            return (await client.post(resource, json=HELLO, headers=headers)).status_code

    async def add(self, resource: str = "", **more: Any) -> str:
        """Add an MCP server of ann's; return its name."""
        name = f"lamps{next(self.numbers)}"
        given = {"name": name, "url": resource or self.lamps, "auth": "person", **more}
        answer = await self.ann.post(SERVERS, json=given)
        same("adding the server", answer.status_code, httpx.codes.CREATED)
        return name

    async def let_run(self, name: str) -> None:
        """Have the tools of a server run unasked."""
        tools = {"echo": "auto", "write": "auto"}
        answer = await self.ann.patch(f"{SERVERS}/{name}", json={"tools": tools})
        same("letting the tools run", answer.status_code, httpx.codes.OK)

    async def state(self, name: str, at: str = SERVERS) -> str:
        """Return the state of a server, or of actions."""
        return str((await self.ann.get(f"{at}/{name}")).json()["state"])

    async def tools(self, name: str) -> list[str]:
        """Return what ann may call there."""
        items = (await self.ann.get("/api/tools")).json()["items"]
        return [each["id"] for each in items if f"/{name}/" in each["id"]]

    async def call(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        """Call a tool through a job; return whether it failed, and what it said.

        A server that is slow to list its tools has none for now; then it is asked again, as long as
        nobody has to sign in there.
        """
        for _ in range(TRIES):
            answer = await self.ann.post(f"/api/tools/{tool}/calls", json={"arguments": arguments})
            if answer.status_code != httpx.codes.NOT_FOUND or await self._needed(tool):
                break
            await trio.sleep(1)
        if answer.status_code != httpx.codes.ACCEPTED:
            return True, answer.text
        job = answer.json()["id"]
        stream = {"Accept": "text/event-stream"}  # which ends where the job does
        await self.ann.get(f"/api/jobs/{job}/events", headers=stream)
        items = (await self.ann.get(f"/api/jobs/{job}")).json()["items"]
        last = items[-1] if items else {"type": ""}
        if last["type"] != "tool_result":
            raise Wrong(f"the job has no result: {items}")
        return bool(last["is_error"]), str(last["text"])

    async def _needed(self, tool: str) -> bool:
        kind, name, _ = tool.split("/")
        return await self.state(name, SERVERS if kind == "mcp" else ACTIONS) == "needs-sign-in"

    async def clear(self) -> None:
        """Remove what ann has added: all of it is listed whenever a tool is called."""
        for at in (SERVERS, ACTIONS):
            for each in (await self.ann.get(at)).json()["items"]:
                await self.ann.delete(f"{at}/{each['id']}")

    def browser(self) -> Browser:
        """Return a new browser of ann's."""
        return Browser(PERSON, self.verify)

    async def page(self, browser: Browser, name: str, at: str = SERVERS) -> str:
        """Begin to sign in; return the issuer's page."""
        headers = {"Authorization": self.ann.headers["Authorization"]}
        answer = await browser.client.post(f"{self.url}{at}/{name}/sign-in", headers=headers)
        if answer.status_code != httpx.codes.OK:
            raise Wrong(f"the sign-in began with {answer.status_code}: {answer.text[:300]}")
        return str(answer.json()["authorization_url"])

    async def away(
        self, browser: Browser, name: str, mind: Mind = "agrees", at: str = SERVERS
    ) -> str:
        """Go to the issuer and through its pages; return the way back, which nobody has gone."""
        page = await self.page(browser, name, at)
        back = "/api/mcp/callback" if at == SERVERS else f"{ACTIONS}/callback"
        return await browser.visit(page, f"{self.url}{back}", mind)

    async def sign_in(self, name: str, mind: Mind = "agrees", at: str = SERVERS) -> httpx.Response:
        """Sign in with a browser of ann's; return what the callback answered."""
        async with self.browser() as browser:
            return await browser.client.get(await self.away(browser, name, mind, at))

    async def signed_in(self, name: str, at: str = SERVERS) -> dict[str, str]:
        """Sign in, which must succeed; return what the browser had brought."""
        async with self.browser() as browser:
            back = await self.away(browser, name, at=at)
            answer = await browser.client.get(back)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise Wrong(f"the callback answered {answer.status_code}: {answer.text[:300]}")
        if at == SERVERS:
            await self.let_run(name)
        return brought(back)


async def _json(url: str) -> Any:
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
    answer.raise_for_status()
    return answer.json()


def asks(asked: list[Told], since: int, path: str) -> list[int]:
    """Return how the requests to a place were answered: POSTs whose path begins so."""
    return [each["status"] for each in asked[since:] if path in each["path"] and each["posted"]]


def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def free_port() -> int:
    """Return a port that nobody has just now: an issuer must know it before the service has it."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


@asynccontextmanager
async def standing(provider: Provider) -> AsyncIterator[Stage]:
    """Start all of it; end all of it."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        said = stack.enter_context(tempfile.TemporaryFile())
        port = free_port()
        url = f"https://localhost:{port}" if provider.tls else f"http://127.0.0.1:{port}"
        env = {"RUNCHAT": url, "SECRET": SECRET, "PERSON": json.dumps(PERSON), **provider.env}
        settings = {"RUNCHAT_SERVER__PORT": str(port)}
        verify: str | bool = True
        if provider.tls:
            verify, key = map(str, make_certificate(Path(folder)))
            env |= {"SSL_CERT_FILE": verify, "NODE_EXTRA_CA_CERTS": verify}
            settings |= {"RUNCHAT_SERVER__TLS_CERT": verify, "RUNCHAT_SERVER__TLS_KEY": key}
            settings |= {"RUNCHAT_SERVER__PUBLIC_URL": url}
        issuer = stack.enter_context(announced.started(provider.command, env, said))
        resource = [sys.executable, "-m", "harness.oauth.resource", "--issuer", issuer]
        resource += ["--secret", SECRET]
        lamps = stack.enter_context(announced.started(resource, said=said))
        keyed = stack.enter_context(announced.started([*resource, "--by-keys"], said=said))
        places = ", ".join(urlsplit(each).netloc for each in (issuer, lamps, keyed))
        settings |= {"RUNCHAT_MCP__PLACES": places, "RUNCHAT_ACTIONS__PLACES": places}
        data = Path(folder) / "data"
        service = _served(data, settings, said)
        stack.callback(service.close)
        next(service)
        token = (data / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=60, verify=verify
        ) as ann:
            yield Stage(
                provider=provider,
                issuer=issuer,
                lamps=lamps,
                keyed=keyed,
                url=url,
                data=data,
                service=service,
                said=said,
                ann=ann,
                verify=verify,
            )


def _served(data: Path, settings: Mapping[str, str], said: IO[bytes]) -> Generator[None]:
    """Serve the folder until asked again; then serve it anew."""
    command = [sys.executable, *SERVE, "--data", str(data), "--exit-with-parent"]
    while True:
        with announced.started(command, settings, said):
            yield
