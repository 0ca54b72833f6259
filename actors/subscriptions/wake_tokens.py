"""Tokens of wakes and leases: they say whose subscription, which wake, and that we said so.

A worker shows one instead of a caller's credential: it is good for one wake of one subscription and
nothing else. The key is the store's own, made when it is first needed.
Source: Durable Streams protocol 1.0, sections 7.1 and 12.9; RFC 2104 (HMAC).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

import orjson

from actors.spine import Spine
from runtime.problems import Unauthenticated
from store import subscriptions
from store.subscriptions import SubscriptionKey
from store.writer import Write

TOKENS = "tokens"  # names of keys
WEBHOOKS = "webhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeToken:
    """What a token says."""

    key: SubscriptionKey
    incarnation: str
    generation: int


async def secret(spine: Spine, name: str) -> bytes:
    """Return a key of this service, 32 bytes; it is made where there is none."""
    kept = subscriptions.secret(spine.reader, name)
    if kept is None:
        made, now_ms = spine.ids.secret(), spine.clock.now_ms()
        kept = await spine.writer.write(
            Write(rows=lambda db: subscriptions.keep_secret(db, name, made, now_ms))
        )
    return bytes.fromhex(kept)


async def issue(spine: Spine, token: WakeToken) -> str:
    """Return the token as text."""
    key = token.key
    said = [key.tenant, key.user, key.id, token.incarnation, token.generation]
    body = orjson.dumps(said)
    return f"{_text(body)}.{_text(_mac(await secret(spine, TOKENS), body))}"


async def read(spine: Spine, text: str) -> WakeToken:
    """Return what a token says.

    Raises:
        Unauthenticated: it is none of ours.
    """
    said, _, mac = text.partition(".")
    try:
        body, given = _bytes(said), _bytes(mac)
    except (ValueError, binascii.Error):
        body = given = b""
    if not hmac.compare_digest(given, _mac(await secret(spine, TOKENS), body)):
        detail = "The token belongs to no wake."
        raise Unauthenticated(detail, error={"code": "TOKEN_INVALID", "message": detail})
    tenant, user, name, incarnation, generation = orjson.loads(body)
    key = SubscriptionKey(tenant=tenant, user=user, id=name)
    return WakeToken(key=key, incarnation=incarnation, generation=generation)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
