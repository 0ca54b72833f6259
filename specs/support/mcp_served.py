"""A whole service with Runchat as an MCP server beside its HTTP API, and clients of both kinds.

The client is the SDK's own, over a real socket; requests as bytes are made where a client would
never send such a thing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import httpx
import httpx2
import orjson
import trio
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from runtime import limits
from specs.support.server import PROOF, Service, service
from transports.egress.providers.base import Provider
from transports.ingress.http.app import App, gate_of
from transports.ingress.http.beside import Beside
from transports.ingress.mcp.door import Door, Parts

NEWEST = "2026-07-28"
WITH_SESSIONS = "2025-11-25"
MEDIA = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
TASKS = "io.modelcontextprotocol/tasks"


@dataclass(slots=True)
class Served:
    """A running service, and its door at /mcp."""

    service: Service
    door: Door

    @asynccontextmanager
    async def client(
        self,
        mode: Literal["auto", "legacy"] = "auto",
        *,
        tenant: str = "local",
        user: str = "ann",
        **options: Any,
    ) -> AsyncIterator[Client]:
        """Open a client of the SDK for a user; `legacy` is the revision with sessions."""
        secret = await self.service.token(tenant, user)
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20, verify=False) as web:
            transport = streamable_http_client(f"{self.service.url}/mcp", http_client=web)
            async with Client(transport, mode=mode, **options) as opened:
                yield opened

    async def asker(self, tenant: str = "local", user: str = "ann") -> Asking:
        """Return what makes requests as bytes for a user."""
        return Asking(await self.service.client(tenant, user))


@dataclass(slots=True)
class Asking:
    """Makes requests of one user; `session` goes along once it is open."""

    web: httpx.AsyncClient
    session: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What goes along with each request of the session."""
        if not self.session:
            return MEDIA
        return MEDIA | {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": WITH_SESSIONS}

    async def open(self) -> httpx.Response:
        """Begin a session."""
        known = {"name": "spec", "version": "1"}
        params = {"protocolVersion": WITH_SESSIONS, "capabilities": {}, "clientInfo": known}
        answer = await self.post(call("initialize", params))
        self.session = answer.headers.get("Mcp-Session-Id", "")
        if self.session:
            await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    async def post(self, message: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a message."""
        content = message if isinstance(message, bytes) else orjson.dumps(message)
        return await self.web.post("/mcp", content=content, headers=headers or self.headers)

    async def alone(
        self, method: str, params: Mapping[str, Any], *, tasks: bool = False, name: str = ""
    ) -> httpx.Response:
        """Send a request of the revision without sessions."""
        capabilities: dict[str, Any] = {"extensions": {TASKS: {}}} if tasks else {}
        meta = {
            "io.modelcontextprotocol/protocolVersion": NEWEST,
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        }
        headers = MEDIA | {"MCP-Protocol-Version": NEWEST, "Mcp-Method": method}
        if name:
            headers["Mcp-Name"] = name
        return await self.post(call(method, {**params, "_meta": meta}), headers)


def call(method: str, params: Mapping[str, Any], id: int = 1) -> dict[str, Any]:
    """Return a request."""
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def result_of(answer: httpx.Response) -> Any:
    """Return the result of an answer, whole or as the last event of its stream."""
    body = answer.text
    if answer.headers["Content-Type"].startswith("text/event-stream"):
        said = [line[5:] for line in body.splitlines() if line.startswith("data:")]
        body = [each for each in said if each.strip()][-1]
    return orjson.loads(body)["result"]


@asynccontextmanager
async def serving(
    *providers: Provider,
    offered: Callable[[], Any] | None = None,
    recheck_s: float = limits.RECHECK_S,
) -> AsyncIterator[Served]:
    """Start a service with its door."""
    doors: list[Door] = []

    def put(app: Any) -> Any:
        built: App = app
        known = built.extensions["services"]
        parts = {each: getattr(known, each) for each in ("desk", "log", "hub", "reader", "ids")}
        doors.append(Door(Parts(**parts, more=offered)))
        watched: Any = PROOF.watch(app)
        gate = gate_of(known.settings)
        return Beside(watched, known, gate, {"/mcp": doors[0]}, recheck_s=recheck_s)

    async with service(providers=providers, wrap=put) as running, trio.open_nursery() as nursery:
        await nursery.start(partial(doors[0].run))
        try:
            yield Served(running, doors[0])
        finally:
            nursery.cancel_scope.cancel()
