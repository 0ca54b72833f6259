"""What is to be revoked of a person's record at an MCP server.

Tokens are sent to the endpoint that was stored with their issuer and to no other; without one there
is nothing to tell.
"""

from __future__ import annotations

import orjson

from runtime.secret import Secret
from transports.egress.denial import Told
from transports.egress.mcp.servers import HttpServer, oauth_reach_of
from transports.egress.mcp.vault import Grant
from transports.egress.revoking import KINDS, Leaving
from transports.egress.revoking import revoke as revoke_at


async def revoke(server: HttpServer, record: Secret, on_decision: Told | None = None) -> bool:
    """Revoke what a record holds; say whether the issuer took it."""
    grant = Grant(**orjson.loads(record.reveal()))
    endpoint = (grant.issuer or {}).get("revocation_endpoint")
    tokens, client = grant.tokens or {}, grant.client or {}
    if not (isinstance(endpoint, str) and client):
        return False
    leaving = Leaving(
        endpoint=endpoint,
        client_id=str(client["client_id"]),
        client_secret=Secret(str(client.get("client_secret") or "")),
        in_form=client.get("token_endpoint_auth_method") == "client_secret_post",
        tokens={kind: str(tokens[kind]) for kind in KINDS if tokens.get(kind)},
    )
    return await revoke_at(leaving, oauth_reach_of(server, on_decision))
