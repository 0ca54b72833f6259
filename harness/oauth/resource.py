"""What a token is for: an MCP server and a small API, which believe their issuer and nobody else.

The server is the SDK's own, with its own bearer check; a token is opaque and asked about
(RFC 7662), or a JWT whose signature, issuer and time are checked with the issuer's keys (RFC 9068).
In front stands what the SDK leaves out: the proof of a bound token (RFC 9449), and a scope that one
tool wants more than the others. One line says where it is; it ends when stdin does. It remembers
which tokens it was shown, and says so at `/shown`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import httpx
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

READ, WRITE, CATS = "mcp:read", "mcp:write", "cats"
ALGORITHMS: Final = ["RS256", "ES256"]
LEEWAY_S = 5
DOCUMENT: Final = {
    "openapi": "3.1.0",
    "info": {"title": "Cats", "version": "1"},
    "paths": {
        "/cats": {
            "get": {"operationId": "list_cats", "responses": {"200": {"description": "All."}}}
        }
    },
}


@dataclass(slots=True, kw_only=True)
class Checked:
    """Asks the issuer about tokens; the SDK's `TokenVerifier`.

    Args:
        resource: the URL that a token must be for.
        by_keys: whether tokens are JWTs and checked here.
        bound: whether a token without a proof is refused.
    """

    issuer: str
    resource: str
    secret: str
    by_keys: bool
    shown: list[dict[str, Any]] = field(default_factory=list)
    proofs: set[str] = field(default_factory=set)
    _metadata: dict[str, Any] = field(default_factory=dict)
    _keys: KeySet | None = None

    async def claims(self, token: str) -> dict[str, Any]:
        """Return what the issuer says of a token; an empty object where it is of no use."""
        async with httpx.AsyncClient() as client:
            if not self._metadata:
                where = f"{self.issuer}/.well-known/openid-configuration"
                self._metadata = (await client.get(where)).json()
            if self.by_keys:
                return await self._by_keys(client, token)
            where = self._metadata["introspection_endpoint"]
            answer = await client.post(where, data={"token": token}, auth=("resource", self.secret))
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == httpx.codes.OK and found.get("active") else {}

    async def _by_keys(self, client: httpx.AsyncClient, token: str) -> dict[str, Any]:
        if self._keys is None:
            answer = await client.get(self._metadata["jwks_uri"])
            self._keys = KeySet.import_key_set(answer.json())
        try:
            found = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            return {}
        in_time = float(found.get("exp", 0)) > time.time()
        return found if in_time and found.get("iss") == self.issuer else {}

    async def verify_token(self, token: str) -> AccessToken | None:
        """See the SDK's `TokenVerifier`."""
        found = await self.claims(token)
        self.shown.append({"token": token, "claims": found})
        if not found:
            return None
        audience = found.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        return AccessToken(
            token=token,
            client_id=str(found.get("client_id", "")),
            scopes=str(found.get("scope", "")).split(),
            expires_at=found.get("exp"),
            resource=self.resource if self.resource in listed else str(listed[0]),
            subject=found.get("sub"),
        )

    async def proved(self, token: str, proof: str, method: str, url: str, now_s: float) -> str:
        """Return why a proof is none of this token and request; "" if it is."""
        key = ECKey.import_key(_header(proof).get("jwk", {}))
        try:
            said = jwt.decode(proof, key, algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            return "signature"
        digest = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest())
        bound = (await self.claims(token)).get("cnf", {}).get("jkt")
        wrong = {
            "htm": said.get("htm") != method,
            "htu": said.get("htu") != url,
            "ath": said.get("ath") != digest.decode().rstrip("="),
            "iat": abs(now_s - float(said.get("iat", 0))) > LEEWAY_S,
            "jkt": bound != key.thumbprint(),
            "jti": said.get("jti") in self.proofs,
        }
        self.proofs.add(str(said.get("jti")))
        return next((name for name, each in wrong.items() if each), "")


def _header(proof: str) -> dict[str, Any]:
    first = proof.partition(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    return found


class Door:
    """Stands before the SDK's server: `/shown`, the API, the proofs, and the tool's own scope."""

    def __init__(self, inner: App, checked: Checked) -> None:
        self._inner, self._checked = inner, checked

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; see ASGI."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        kind, _, token = headers.get("authorization", "").partition(" ")
        match scope["path"]:
            case "/shown":
                await _answer(send, 200, self._checked.shown)
            case "/openapi.json":
                await _answer(send, 200, DOCUMENT | {"servers": [{"url": _origin(self._checked)}]})
            case "/cats":
                await self._cats(token, send)
            case "/mcp" | "/jwt/mcp" if token:
                if why := await self._proof(scope, headers, kind, token):
                    await _answer(
                        send, 401, {"error": why}, f'DPoP error="invalid_token", why={why}'
                    )
                    return
                await self._guarded(scope, receive, send, token)
            case _:
                await self._inner(scope, receive, send)

    async def _proof(self, scope: Message, headers: dict[str, str], kind: str, token: str) -> str:
        """Check the proof of a bound token, and show it to the SDK as a bearer's."""
        if kind.lower() != "dpop":
            bound = (await self._checked.claims(token)).get("cnf")
            return "a bound token without its proof" if bound else ""
        url = f"{_origin(self._checked)}{scope['path']}"
        bearer = (b"authorization", f"Bearer {token}".encode())
        scope["headers"] = [
            bearer if name.lower() == bearer[0] else (name, value)
            for name, value in scope["headers"]
        ]
        proof, now_s = headers.get("dpop", ""), time.time()
        return await self._checked.proved(token, proof, scope["method"], url, now_s)

    async def _guarded(self, scope: Message, receive: Receive, send: Send, token: str) -> None:
        body, more = b"", scope["method"] == "POST"
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        asked = json.loads(body) if body else {}
        writes = asked.get("params", {}).get("name") == "write"
        if writes and WRITE not in str((await self._checked.claims(token)).get("scope")).split():
            challenge = f'Bearer error="insufficient_scope", scope="{READ} {WRITE}"'
            await _answer(send, 403, {"error": "insufficient_scope"}, challenge)
            return
        told = False

        async def again() -> Message:
            nonlocal told
            if told or scope["method"] != "POST":
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._inner(scope, again, send)

    async def _cats(self, token: str, send: Send) -> None:
        found = await self._checked.claims(token) if token else {}
        self._checked.shown.append({"token": token, "claims": found})
        if CATS not in str(found.get("scope", "")).split():
            await _answer(send, 401, {"error": "invalid_token"}, 'Bearer error="invalid_token"')
            return
        await _answer(send, 200, {"cats": ["Mia"]})


def _origin(checked: Checked) -> str:
    return "/".join(checked.resource.split("/")[:3])


async def _answer(send: Send, status: int, body: Any, challenge: str = "") -> None:
    headers = [(b"content-type", b"application/json")]
    if challenge:
        headers.append((b"www-authenticate", challenge.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def served(checked: Checked, path: str) -> App:
    """Return the SDK's server behind its door."""
    server = MCPServer(
        "lamps",
        token_verifier=checked,
        log_level="WARNING",
        auth=AuthSettings.model_validate(  # from words: an issuer's name gets no slash at its end
            {
                "issuer_url": checked.issuer,
                "resource_server_url": checked.resource,
                "required_scopes": [READ],
                "validate_token_resource": True,
            }
        ),
    )

    @server.tool()
    def echo(text: str) -> str:
        """Say it back."""
        return text

    @server.tool()
    def write(text: str) -> str:
        """Write it down."""
        return f"written: {text}"

    return Door(server.streamable_http_app(streamable_http_path=path), checked)


async def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m harness.oauth.resource", description=__doc__)
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--by-keys", action="store_true")
    given = parser.parse_args()
    path = "/jwt/mcp" if given.by_keys else "/mcp"
    config, bound = Config(), socket.create_server(("127.0.0.1", 0))
    checked = Checked(
        issuer=given.issuer,
        resource=f"http://127.0.0.1:{bound.getsockname()[1]}{path}",
        secret=given.secret,
        by_keys=given.by_keys,
    )
    config.bind, config.accesslog, config.errorlog = [f"fd://{bound.detach()}"], None, None
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, served(checked, path), config)
        print(json.dumps({"ready": True, "url": checked.resource}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
