"""Tells an issuer that the tokens of somebody who leaves are of no use any more.

They are sent to the endpoint that was stored with their issuer and to no other; without one there
is nothing to tell. The refresh token first: most issuers take the access token with it.
Source: RFC 7009; RFC 6749 section 2.3.1 (how a client says who it is).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx2
import orjson
import structlog

from runtime.problems import Problem
from runtime.secret import Secret
from transports.egress import guard
from transports.egress.denial import Told
from transports.egress.mcp.servers import HttpServer, oauth_reach_of
from transports.egress.mcp.vault import Grant

log = structlog.get_logger(__name__)
TOKENS = ("refresh_token", "access_token")


async def revoke(server: HttpServer, record: Secret, on_decision: Told | None = None) -> bool:
    """Revoke what a record holds; say whether the issuer took it."""
    grant = Grant(**orjson.loads(record.reveal()))
    endpoint = (grant.issuer or {}).get("revocation_endpoint")
    tokens = grant.tokens or {}
    held = {name: str(tokens[name]) for name in TOKENS if tokens.get(name)}
    if not (isinstance(endpoint, str) and grant.client and held):
        return False
    try:
        async with guard.client(oauth_reach_of(server, on_decision)) as http:
            answers = [
                (await http.send(_request(endpoint, grant.client, name, token))).is_success
                for name, token in held.items()
            ]
    except (httpx2.HTTPError, Problem, ValueError) as error:
        log.info("mcp_not_revoked", server=server.name, reason=str(error))
        return False
    return all(answers)


def _request(endpoint: str, client: dict[str, Any], name: str, token: str) -> httpx2.Request:
    form = {"token": token, "token_type_hint": name}
    client_id, secret = str(client["client_id"]), str(client.get("client_secret") or "")
    if secret and client.get("token_endpoint_auth_method") != "client_secret_post":
        auth = httpx2.BasicAuth(quote(client_id, safe=""), quote(secret, safe=""))
        return next(auth.auth_flow(httpx2.Request("POST", endpoint, data=form)))
    more = {"client_secret": secret} if secret else {}
    return httpx2.Request("POST", endpoint, data={**form, "client_id": client_id, **more})
