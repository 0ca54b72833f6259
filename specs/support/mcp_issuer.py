"""An MCP server that wants a token, and its authorization server, on one port of loopback.

It does what OAuth 2.1 says, and remembers what it was asked; `strange` makes it answer otherwise.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio

from specs.support.mcp_http import requests, told
from specs.support.mcp_program import NAMES, answer

RESOURCE = "/.well-known/oauth-protected-resource/mcp"
ISSUER = "/.well-known/oauth-authorization-server"


@dataclass(slots=True, kw_only=True)
class Issuer:
    """What it is, and what it was asked.

    Args:
        strange: answers by path, `(status, body)`, in place of its own.
        hangs_up: paths at which it ends the connection in place of an answer.
        lives_s: of an access token.
        scope: that a tool call wants; "" for none.
        forms: what was posted, by path, in order.
        clients: with the scope that their registration allows; None: any.
    """

    origin: str = ""
    strange: dict[str, tuple[str, Any]] = field(default_factory=dict)
    hangs_up: set[str] = field(default_factory=set)
    lives_s: int = 3600
    scope: str = ""
    forms: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    clients: dict[str, set[str] | None] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)  # that are good, with their scope
    refreshing: set[str] = field(default_factory=set)  # that are good
    made: int = 0

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def posted(self, path: str) -> list[dict[str, str]]:
        return [form for each, form in self.forms if each == path]

    def authorize(self, url: str) -> dict[str, str]:
        """Be the page on which a person agrees; return what their browser brings back."""
        asked = {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}
        allowed = self.clients.get(asked["client_id"])
        if allowed is not None and not set(asked.get("scope", "").split()) <= allowed:
            return {"error": "invalid_scope", "state": asked["state"], "iss": self.origin}
        self.made += 1
        code = f"code-{self.made}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.origin}

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "revocation_endpoint": f"{self.origin}/revoke",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def answer(self, method: str, path: str, body: bytes) -> tuple[str, Any]:
        """Return status and JSON."""
        if method == "post" and path != "/mcp":
            form = {name: each[0] for name, each in parse_qs(body.decode()).items()}
            self.forms.append((path, form))
        if path in self.strange:
            return self.strange[path]
        known = {
            RESOURCE: {"resource": self.url, "authorization_servers": [self.origin]},
            ISSUER: self.metadata(),
        }
        if path in known:
            return "200 OK", known[path]
        match path:
            case "/register":
                self.made += 1
                name, told = f"client-{self.made}", json.loads(body)
                self.clients[name] = set(told["scope"].split()) if "scope" in told else None
                return "201 Created", {**told, "client_id": name}
            case "/token":
                return self.token(self.forms[-1][1])
            case "/revoke":
                self.tokens.pop(self.forms[-1][1]["token"], None)
                self.refreshing.discard(self.forms[-1][1]["token"])
                return "200 OK", {}
        return "404 Not Found", {}

    def token(self, form: dict[str, str]) -> tuple[str, Any]:
        scope = ""
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            good = asked.get("code_challenge") == challenge and form["resource"] == self.url
            scope = asked.get("scope", "")
        else:
            good = form["refresh_token"] in self.refreshing
            self.refreshing.discard(form["refresh_token"])  # each is good for one refresh
        if not good:
            return "400 Bad Request", {"error": "invalid_grant"}
        self.made += 1
        access, refresh = f"access-{self.made}", f"refresh-{self.made}"
        self.tokens[access] = scope
        self.refreshing.add(refresh)
        times = {"expires_in": self.lives_s, "token_type": "Bearer"}
        return "200 OK", {"access_token": access, "refresh_token": refresh, **times}

    def let_in(self, head: str, message: Mapping[str, Any]) -> str:
        """Return why a request to the server is refused, as its header says it; "" if it is not."""
        scopes = [scope for token, scope in self.tokens.items() if f"bearer {token}\n" in head]
        if not scopes:
            return 'error="invalid_token"'
        calls = message.get("method") == "tools/call"
        if calls and self.scope and self.scope not in scopes[0].split():
            return f'error="insufficient_scope", scope="{self.scope}"'
        return ""


@asynccontextmanager
async def issuing(**how: Any) -> AsyncIterator[Issuer]:
    """Serve on a free port."""
    issuer, names = Issuer(**how), list(NAMES)

    def reply(head: str, body: bytes) -> bytes:
        method, target, _ = head.split("\n", maxsplit=1)[0].split(" ")
        path = urlsplit(target).path
        if path in issuer.hangs_up:
            raise trio.BrokenResourceError
        if (method, path) != ("post", "/mcp"):
            status, found = issuer.answer(method, path, body)
            if isinstance(found, str):
                return (
                    f"HTTP/1.1 {status}\r\nLocation: {found}\r\nContent-Length: 0\r\n\r\n".encode()
                )
            return told(status, json.dumps(found).encode())
        message = json.loads(body)
        if why := issuer.let_in(head + "\n", message):
            status = "403 Forbidden" if "scope" in why else "401 Unauthorized"
            challenge = f"WWW-Authenticate: Bearer {why}\r\nContent-Length: 0\r\n\r\n"
            return f"HTTP/1.1 {status}\r\n{challenge}".encode()
        result = answer(message, names)
        return told("200 OK", json.dumps(result).encode()) if result else told("202 Accepted")

    async def served(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # the client has left
            async with aclosing(requests(stream)) as coming:
                async for head, body in coming:
                    await stream.send_all(reply(head, body))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, served, 0)
        issuer.origin = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield issuer
        nursery.cancel_scope.cancel()
