"""Tells an issuer that the tokens of somebody who leaves are of no use any more.

The refresh token first: most issuers take the access token with it. An issuer that is away or does
not listen keeps nobody signed in here.
Source: RFC 7009; RFC 6749 section 2.3.1 (how a client says who it is).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

import structlog

from runtime.problems import Problem
from runtime.secret import Secret
from transports.egress import guard, places
from transports.egress.opening import client_of

log = structlog.get_logger(__name__)
KINDS = ("refresh_token", "access_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Whose tokens are to be revoked, and where.

    Args:
        in_form: whether the client's secret goes into the form, and not into the header.
        tokens: by their kind.
    """

    endpoint: str
    client_id: str
    client_secret: Secret
    in_form: bool
    tokens: Mapping[str, str]


async def revoke(leaving: Leaving, reach: guard.Reach) -> bool:
    """Revoke tokens; say whether the issuer took all of them."""
    who, headers = {"client_id": leaving.client_id}, {}
    if secret := leaving.client_secret.reveal():
        if leaving.in_form:
            who["client_secret"] = secret
        else:
            pair = f"{quote_plus(leaving.client_id)}:{quote_plus(secret)}"
            who = {}
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    taken = []
    try:
        places.read(leaving.endpoint)
        async with client_of(reach) as client:
            for kind in KINDS:
                if token := leaving.tokens.get(kind):
                    form = {"token": token, "token_type_hint": kind, **who}
                    answer = await client.post(leaving.endpoint, data=form, headers=headers)
                    taken.append(answer.is_success)
    except (Problem, ValueError) as error:
        log.info("tokens_not_revoked", reason=str(error))
        return False
    return bool(taken) and all(taken)
