"""DPoP: a token that is of use only with the key it was bound to.

A proof is a JWT of one request, signed with a key that never leaves its grant. A peer may want a
nonce in it; it says so in a refusal, and the request is made once more with it. Each origin has a
nonce of its own.
Source: RFC 9449 sections 4.2 (the proof), 8 and 9 (nonces); RFC 9110 section 4.2.3 (origins).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from runtime import limits

if TYPE_CHECKING:
    import httpx2

ALGORITHM, CURVE = "ES256", "P-256"
HEADER, NONCE = "DPoP", "DPoP-Nonce"
WANTED = "use_dpop_nonce"


def new_key() -> dict[str, Any]:
    """Return a new private JWK."""
    from joserfc.jwk import ECKey  # noqa: PLC0415 -- most servers want none

    return dict(ECKey.generate_key(CURVE, private=True).as_dict(private=True))


def proof(
    key: dict[str, Any],
    method: str,
    url: str,
    now_s: int,
    *,
    token: str | None = None,
    nonce: str | None = None,
) -> str:
    """Return the proof of one request.

    Args:
        key: the private JWK.
        token: the access token that the request presents; None: it asks for one.
    """
    from joserfc import jwt  # noqa: PLC0415 -- as above
    from joserfc.jwk import ECKey  # noqa: PLC0415

    signer = ECKey.import_key(key)
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": now_s,
    }
    if token is not None:
        digest = hashlib.sha256(token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if nonce is not None:
        claims["nonce"] = nonce
    header = {"typ": "dpop+jwt", "alg": ALGORITHM, "jwk": signer.as_dict(private=False)}
    return str(jwt.encode(header, claims, signer, algorithms=[ALGORITHM]))


class Nonces:
    """The latest nonce of each origin."""

    def __init__(self) -> None:
        self._latest: dict[str, str] = {}

    def of(self, url: httpx2.URL) -> str | None:
        """Return the nonce to put in the next proof for a URL."""
        return self._latest.get(_origin(url))

    def note(self, url: httpx2.URL, response: httpx2.Response) -> bool:
        """Take up the nonce of a response; say whether it is wanted in the same request again."""
        nonce = response.headers.get(NONCE)
        if nonce is None:
            return False
        self._latest.pop(_origin(url), None)
        self._latest[_origin(url)] = nonce
        while len(self._latest) > limits.MCP_NONCES_MAX:
            del self._latest[next(iter(self._latest))]
        return response.status_code in {400, 401}


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"
