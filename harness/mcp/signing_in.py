"""How the client of a scenario of the MCP conformance suite signs in.

Theory: what an operator would have configured (an issuer, a registration, an assertion) comes from
the scenario's context, or from what the mock server says of itself. The browser is a GET. Loopback
is exempt for exactly the server's place and those of the authorization servers that it names.
Source: `@modelcontextprotocol/conformance`; RFC 8693 (the exchange of an enterprise).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from harness.mcp.acts import Scenario
from runtime.secret import Secret
from transports.egress import guard
from transports.egress.mcp.servers import (
    Access,
    Credentials,
    Enterprise,
    HttpServer,
    Person,
    Returned,
    Workload,
    oauth_reach_of,
)
from transports.egress.places import Place

REDIRECT_URI = "http://localhost:3000/callback"
METADATA_URL = "https://conformance-test.local/client-metadata.json"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Door:
    """Sends what authorization asks; loopback is exempt where the server has named it."""

    def __init__(self, server: HttpServer, stack: AsyncExitStack) -> None:
        self._server, self._stack = server, stack
        self._places = set(server.exempt)
        self._clients: dict[frozenset[Place], httpx2.AsyncClient] = {}

    async def ask(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, and exempt the authorization servers that its answer names."""
        exempt = frozenset(self._places)
        if exempt not in self._clients:
            reach = replace(oauth_reach_of(self._server), exempt=exempt)
            self._clients[exempt] = await self._stack.enter_async_context(guard.client(reach))
        answer = await self._clients[exempt].send(request)
        for issuer in issuers_in(answer):
            self.exempt(issuer)
        return answer

    def exempt(self, url: str) -> None:
        """Let a place of this machine be reached."""
        place = guard.origin(url)
        if place[0] in LOOPBACK:
            self._places.add(place)

    async def consent(self, url: str) -> Returned:
        """Be the browser: follow the authorization URL, take what comes back."""
        self.exempt(url)
        answer = await self.ask(httpx2.Request("GET", url))
        found = parse_qs(urlsplit(answer.headers["location"]).query)
        state, issuer = found.get("state"), found.get("iss")
        return Returned(
            code=found["code"][0],
            state=state[0] if state else None,
            issuer=issuer[0] if issuer else None,
        )

    async def issuer(self) -> str:
        """Return the issuer that an operator would have configured: the one the server names."""
        parts = urlsplit(self._server.url)
        well_known = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource"
        for url in (well_known + parts.path, well_known):
            if found := issuers_in(await self.ask(httpx2.Request("GET", url))):
                return found[0]
        raise SystemExit("The server names no authorization server.")


def issuers_in(answer: httpx2.Response) -> list[str]:
    """Return the authorization servers that a server's metadata names."""
    try:
        found = json.loads(answer.content)
    except ValueError:
        return []
    return list(found.get("authorization_servers", ())) if isinstance(found, dict) else []


async def access_for(scenario: Scenario, door: Door) -> Access | None:
    """Return how a scenario's client signs in."""
    if not scenario.name.startswith("auth/"):
        return None
    context = scenario.context
    client_id, secret = str(context.get("client_id", "")), Secret(context.get("client_secret", ""))
    match scenario.name:
        case "auth/client-credentials-jwt" | "auth/client-credentials-basic":
            return Credentials(
                issuer=await door.issuer(),
                client_id=client_id,
                client_secret=secret,
                private_key=Secret(context.get("private_key_pem", "")),
                algorithm=context.get("signing_algorithm", "ES256"),
            )
        case "auth/wif-jwt-bearer":
            token = Secret(context["valid_jwt"])
            issuer = await door.issuer()
            return Workload(issuer=issuer, client_id=client_id, assertion=partial(given, token))
        case "auth/enterprise-managed-authorization":
            return Enterprise(
                issuer=await door.issuer(),
                client_id=client_id,
                client_secret=secret,
                id_jag=partial(id_jag, context, door),
            )
    return Person(
        redirect_uri=REDIRECT_URI,
        client_name="conformance-client",
        client_id=client_id,
        client_secret=secret,
        metadata_url=METADATA_URL,
        consent=door.consent,
    )


async def given(assertion: Secret, audience: str) -> Secret:
    """Return the assertion that the platform has, whoever it is for."""
    del audience
    return assertion


async def id_jag(context: Mapping[str, Any], door: Door, audience: str, resource: str) -> Secret:
    """Have the enterprise's identity provider vouch (RFC 8693)."""
    door.exempt(context["idp_token_endpoint"])
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": "urn:ietf:params:oauth:token-type:id-jag",
        "subject_token": context["idp_id_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "audience": audience,
        "resource": resource,
        "client_id": context["idp_client_id"],
    }
    answer = await door.ask(httpx2.Request("POST", context["idp_token_endpoint"], data=form))
    return Secret(str(json.loads(answer.content)["access_token"]))
