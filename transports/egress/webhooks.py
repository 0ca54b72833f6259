"""Webhooks: where a subscription's wake may be delivered to, and the delivery.

Plain https to the public internet; where the settings allow it, http to this machine. The guard
looks at the address again when it connects. A signature is Ed25519 over `<timestamp>.<body>`.
Source: Durable Streams protocol 1.0, sections 6.2, 6.5, 7.1; RFC 8037 (keys), RFC 7638 (their ids).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from runtime import limits
from runtime.problems import UpstreamSaid, WebhookRejected
from transports.egress import guard, places
from transports.egress.denial import Denied, Told
from transports.egress.guard import Reach

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from transports.egress.connection import Client

REJECTED: Final = {"code": "WEBHOOK_URL_REJECTED"}
GOOD: Final = range(200, 300)


class Webhooks:
    """Delivers wakes. One per service."""

    def __init__(self, *, loopback: bool, on_decision: Told | None = None) -> None:
        """Take what the settings allow.

        Args:
            loopback: http to this very machine is allowed.
            on_decision: is told what the guard decides.
        """
        self._loopback = loopback
        self._reach = Reach(purpose="webhook", idle_s=limits.WEBHOOK_S, on_decision=on_decision)
        self._public: Client | None = None

    def check(self, url: str) -> None:
        """Check where a webhook is.

        Raises:
            WebhookRejected: it may not be there.
        """
        try:
            written = places.read(url)
        except Denied as denial:
            raise rejected(denial.reason) from None
        if self._loopback and is_loopback(written.host):
            return
        if written.scheme != "https":
            raise rejected("A webhook's URL begins with https://.")
        try:
            self._reach.check(written)
        except Denied:
            raise rejected("A webhook is on the public internet.") from None

    async def deliver(self, url: str, body: bytes, signature: str) -> bytes:
        """Post a wake; return the beginning of the answer.

        Raises:
            Upstream: it did not arrive, or was not taken.
        """
        self.check(url)
        place = guard.origin(url)
        if not is_loopback(place[0]):
            self._public = self._public or guard.client(self._reach)
            return await _post(self._public, url, body, signature)
        reach = replace(self._reach, exempt=frozenset({place}))
        base = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        async with guard.client(reach, base_url=base) as client:
            return await _post(client, url, body, signature)

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._public = self._public, None
        if client is not None:
            await client.aclose()


async def _post(client: Client, url: str, body: bytes, signature: str) -> bytes:
    from transports.egress import connection  # noqa: PLC0415 -- as in guard; loaded by now

    headers = {"Content-Type": "application/json", "Webhook-Signature": signature}
    with connection.lost():
        async with client.stream("POST", url, content=body, headers=headers) as response:
            if response.status_code not in GOOD:
                raise UpstreamSaid(f"The webhook answered {response.status_code}.")
            return await guard.body(response, limits.WEBHOOK_BYTES)


def rejected(sentence: str) -> WebhookRejected:
    """Return the problem of a webhook that may not be."""
    return WebhookRejected(sentence, error={**REJECTED, "message": sentence})


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine, by its name alone."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Signer:
    """Signs deliveries with one key, known by the digest of its public half."""

    def __init__(self, seed: bytes) -> None:
        """Take the private key, 32 bytes."""
        public = key_of(seed).public_key().public_bytes_raw()
        self._seed = seed
        bare = {"crv": "Ed25519", "kty": "OKP", "x": _text(public)}
        digest = hashlib.sha256(orjson.dumps(bare, option=orjson.OPT_SORT_KEYS)).digest()
        self.kid = f"ds_{_text(digest)[:22]}"
        self.jwk: dict[str, Any] = {**bare, "kid": self.kid, "use": "sig", "alg": "EdDSA"}

    def sign(self, body: bytes, at_s: int) -> str:
        """Return the Webhook-Signature of a body."""
        signature = key_of(self._seed).sign(b"%d.%b" % (at_s, body))
        return f"t={at_s},kid={self.kid},ed25519={_text(signature)}"


def key_of(seed: bytes) -> Ed25519PrivateKey:
    """Return the private key of 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 -- 50 ms

    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
