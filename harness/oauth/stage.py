"""All that a scenario plays on: an identity provider, two servers that believe it, and Runchat.

All are programs of their own on loopback, and end with this one. What a scenario asks of the
provider beside the protocol is only what it was asked, and how long its next tokens live.
"""

from __future__ import annotations

import itertools
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import httpx

from harness import announced
from harness.bench.service import SERVE
from harness.oauth.browser import Browser, Mind, brought
from harness.oauth.tally import Wrong, same

Told: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["access", "refresh"]

SECRET: Final = secrets.token_urlsafe()  # of this run alone
PERSON: Final = {"text": "ann", "password": "ann's password"}
SERVERS, ACTIONS = "/api/mcp/servers", "/api/actions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A kind of identity provider.

    Args:
        command: starts it; what it needs is in the environment.
        lacks: by scenario, why it cannot be asked.
        person: what somebody types there, by the kind of field.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    person: Mapping[str, str] = field(default_factory=lambda: PERSON)


@dataclass(slots=True, kw_only=True)
class Stage:
    """Where everybody is, and ann, who has a token of Runchat's.

    Args:
        lamps: the MCP server whose tokens are asked about; `keyed`: it checks them by keys.
    """

    provider: Provider
    issuer: str
    lamps: str
    keyed: str
    url: str
    ann: httpx.AsyncClient
    numbers: Any = field(default_factory=itertools.count)

    async def asked(self) -> list[Told]:
        """Return what the provider was asked so far."""
        async with httpx.AsyncClient() as client:
            found: list[Told] = (await client.get(f"{self.issuer}/asked")).json()
        return found

    async def grants(self, kind: str, since: int = 0) -> list[Told]:
        """Return the requests for tokens of a kind of grant."""
        return [each for each in (await self.asked())[since:] if each["grant"] == kind]

    async def lives(self, seconds: int) -> None:
        """Have the provider's next access tokens live so long."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self.issuer}/lives", params={"seconds": seconds})
            answer.raise_for_status()

    async def shown(self, resource: str = "") -> list[Told]:
        """Return which tokens a server was shown, and what it found of them."""
        async with httpx.AsyncClient() as client:
            origin = "/".join((resource or self.lamps).split("/")[:3])
            found: list[Told] = (await client.get(f"{origin}/shown")).json()
        return found

    async def add(self, resource: str = "", **more: Any) -> str:
        """Add an MCP server of ann's, whose tools run unasked; return its name."""
        name = f"lamps{next(self.numbers)}"
        given = {"name": name, "url": resource or self.lamps, "auth": "person", **more}
        answer = await self.ann.post(SERVERS, json=given)
        same("adding the server", answer.status_code, 201)
        return name

    async def state(self, name: str) -> str:
        """Return the state of a server."""
        return str((await self.ann.get(f"{SERVERS}/{name}")).json()["state"])

    async def sign_in(self, name: str, mind: Mind = "agrees", at: str = SERVERS) -> httpx.Response:
        """Sign in with a browser of ann's; return what the callback answered."""
        async with self.browser() as browser:
            back = await self.away(browser, name, mind, at)
            return await browser.client.get(back)

    def browser(self) -> Browser:
        """Return a new browser of ann's."""
        return Browser(self.provider.person)

    async def away(
        self, browser: Browser, name: str, mind: Mind = "agrees", at: str = SERVERS
    ) -> str:
        """Go to the issuer and through its pages; return the way back, which nobody has gone."""
        page = await self.page(browser, name, at)
        parts = "/api/mcp/callback" if at == SERVERS else f"{ACTIONS}/callback"
        return await browser.visit(page, f"{self.url}{parts}", mind)

    async def page(self, browser: Browser, name: str, at: str = SERVERS) -> str:
        """Begin to sign in; return the issuer's page."""
        headers = {"Authorization": self.ann.headers["Authorization"]}
        answer = await browser.client.post(f"{self.url}{at}/{name}/sign-in", headers=headers)
        if answer.status_code != httpx.codes.OK:
            raise Wrong(f"the sign-in began with {answer.status_code}: {answer.text[:300]}")
        return str(answer.json()["authorization_url"])

    async def signed_in(self, name: str, at: str = SERVERS) -> Told:
        """Sign in, which must succeed; return what the browser had brought."""
        async with self.browser() as browser:
            back = await self.away(browser, name, at=at)
            answer = await browser.client.get(back)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise Wrong(f"the callback answered {answer.status_code}: {answer.text[:300]}")
        if at == SERVERS:
            tools = {"echo": "auto", "write": "auto"}
            policy = await self.ann.patch(f"{SERVERS}/{name}", json={"tools": tools})
            same("letting the tools run", policy.status_code, 200)
        return brought(back)

    async def call(self, tool: str, **arguments: Any) -> Told:
        """Call a tool through a job; return the job as it ended."""
        answer = await self.ann.post(f"/api/tools/{tool}/calls", json={"arguments": arguments})
        if answer.status_code != httpx.codes.ACCEPTED:
            return {"status": "refused", "why": answer.json()}
        job = answer.json()["id"]
        stream = {"Accept": "text/event-stream"}  # which ends where the job does
        await self.ann.get(f"/api/jobs/{job}/events", headers=stream)
        found: Told = (await self.ann.get(f"/api/jobs/{job}")).json()
        return found


def free_port() -> int:
    """Return a port that nobody has just now: an issuer must know it before Runchat has it."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def place(url: str) -> str:
    """Return `host:port`."""
    return urlsplit(url).netloc


@asynccontextmanager
async def standing(provider: Provider) -> AsyncIterator[Stage]:
    """Start all of it; end all of it."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        env = {"RUNCHAT": url, "SECRET": SECRET, **provider.env}
        issuer = stack.enter_context(announced.started(provider.command, env))
        resource = [sys.executable, "-m", "harness.oauth.resource", "--issuer", issuer]
        resource += ["--secret", SECRET]
        lamps = stack.enter_context(announced.started(resource))
        keyed = stack.enter_context(announced.started([*resource, "--by-keys"]))
        places = ", ".join(map(place, (issuer, lamps, keyed)))
        data = Path(folder) / "data"
        command = [sys.executable, *SERVE, "--data", str(data), "--exit-with-parent"]
        settings = {"RUNCHAT_MCP__PLACES": places, "RUNCHAT_ACTIONS__PLACES": places}
        settings["RUNCHAT_SERVER__PORT"] = str(port)
        stack.enter_context(announced.started(command, settings))
        token = (data / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as ann:
            yield Stage(
                provider=provider, issuer=issuer, lamps=lamps, keyed=keyed, url=url, ann=ann
            )
