"""A small API on loopback, its document and its issuer, remembering what it was asked."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import trio

from actors.spine import Settled, Spine
from actors.tools.tooling import Calling, Outcome
from runtime.caller import Caller
from specs.support.server import Service, service
from transports.egress import guard
from transports.egress.actions.making import Choice, made

ANN = Caller(tenant="local", user="ann")
ACTIONS = "/api/actions"
LIMIT_S = 60
HEAD_END = b"\r\n\r\n"


async def _nobody(words: str, schema: Mapping[str, Any]) -> None:
    """Be asked, and say nothing."""


CALLING = Calling(id="call_1", on_progress=lambda *_: None, ask=_nobody)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def answer(body: Any = None, *, status: str = "200 OK", **headers: str) -> bytes:
    """Return an answer; JSON, but for bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
    told = {**kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
    head += [f"{name}: {value}" for name, value in told.items()]
    return "\r\n".join([*head, "", ""]).encode() + content


@dataclass(slots=True, kw_only=True)
class Api:
    """Where it is, what it was asked, and what it answers, by path.

    Args:
        codes: of consents, with what was asked of the page.
        lives_s: of a token.
    """

    port: int = 0
    asked: list[Request] = field(default_factory=list)
    answers: dict[str, Callable[[Request], bytes]] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    lives_s: int = 3600
    made: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tokens_asked(self) -> list[dict[str, str]]:
        """The forms that came to the token endpoint."""
        forms = (each.body.decode() for each in self.asked if each.target == "/token")
        return [{name: value[0] for name, value in parse_qs(form).items()} for form in forms]

    @property
    def calls(self) -> list[Request]:
        """What came beside that."""
        return [each for each in self.asked if each.target not in {"/token", "/openapi.json"}]

    def document(self, paths: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Return the document of this API."""
        cats = {"operationId": "listCats", "parameters": [{"name": "q", "in": "query"}]}
        feed = {
            "operationId": "feed",
            "parameters": [{"name": "id", "in": "path", "required": True}],
            "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
        }
        usual = {"/cats": {"get": cats}, "/cats/{id}/food": {"post": feed}}
        return {
            "openapi": "3.1.0",
            "info": {"title": "Cats", "version": "1"},
            "servers": [{"url": self.url}],
            "paths": usual if paths is None else paths,
        } | more

    def agree(self, url: str) -> dict[str, str]:
        """Be the page on which a person agrees; return what their browser brings back."""
        said = {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = said
        return {"code": code, "state": said["state"]}

    def reply(self, request: Request) -> bytes:
        """Return the answer to a request."""
        path = urlsplit(request.target).path
        if path in self.answers:
            return self.answers[path](request)
        if path == "/openapi.json":
            return answer(self.document())
        if path == "/token":
            return self._token(self.tokens_asked[-1])
        return answer({"method": request.method, "target": request.target})

    def _token(self, form: dict[str, str]) -> bytes:
        if form["grant_type"] == "authorization_code":
            said = self.codes.pop(form.get("code", ""), {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if said.get("code_challenge") != challenge:
                return answer({"error": "invalid_grant"}, status="400 Bad Request")
        self.made += 1
        told = {"access_token": f"access-{self.made}", "token_type": "Bearer"}
        return answer({**told, "expires_in": self.lives_s, "refresh_token": f"refresh-{self.made}"})


@asynccontextmanager
async def serving() -> AsyncIterator[Api]:
    """Serve an API on a free port."""
    api = Api()

    async def talk(stream: trio.SocketStream) -> None:
        left = b""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # the client has left
            while True:
                while HEAD_END not in left:
                    more = await stream.receive_some(65536)
                    if not more:
                        return
                    left += more
                head, _, left = left.partition(HEAD_END)
                first, *lines = head.decode("latin-1").split("\r\n")
                pairs = (line.split(": ", 1) for line in lines)
                headers = {name.lower(): value for name, value in pairs}
                size = int(headers.get("content-length", 0))
                while len(left) < size:
                    left += await stream.receive_some(65536)
                method, target, _ = first.split(" ")
                body, left = left[:size], left[size:]
                api.asked.append(Request(method=method, target=target, headers=headers, body=body))
                await stream.send_all(api.reply(api.asked[-1]))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, talk, 0)
        api.port = listeners[0].socket.getsockname()[1]
        yield api
        nursery.cancel_scope.cancel()


@dataclass(slots=True, kw_only=True)
class World:
    """A service beside an API, and ann, who has no actions yet."""

    running: Service
    api: Api
    ann: httpx.AsyncClient

    @property
    def spine(self) -> Spine:
        return self.running.services.tree.spine

    async def add(self, name: str = "cats", **more: Any) -> httpx.Response:
        """Add the API's own document, or another."""
        said = {} if "url" in more else {"document": json.dumps(self.api.document())}
        return await self.ann.post(ACTIONS, json={"name": name, **said, **more})

    async def shown(self, name: str = "cats") -> dict[str, Any]:
        view: dict[str, Any] = (await self.ann.get(f"{ACTIONS}/{name}")).json()
        return view

    async def names(self, caller: Caller = ANN) -> list[str]:
        return list((await self.spine.toolbox.catalog(caller)).offers)

    async def call(self, id: str = "action/cats/listCats", /, **arguments: Any) -> Outcome:
        offer = (await self.spine.toolbox.catalog(ANN)).find(id)
        return await offer.source.call(ANN, offer.tool, arguments, CALLING)


class Here:
    """Reads documents where it stands, in no child: a spec has no time to start one."""

    async def read(self, document: AsyncIterator[bytes], choice: Choice) -> dict[str, Any]:
        return made(b"".join([piece async for piece in document]), choice)


@asynccontextmanager
async def beside_an_api(
    data: Path, *, near: bool = True, child: bool = False
) -> AsyncIterator[World]:
    """Run both; actions may be where the API is, if it is `near`."""
    async with serving() as api:
        places = frozenset({guard.origin(api.url)} if near else ())
        async with service(data=data, mcp=Settled(action_places=places)) as running:
            with trio.fail_after(LIMIT_S):
                world = World(running=running, api=api, ann=await running.client())
                if not child:
                    world.spine.actions.importer = Here()
                yield world
