"""How a wake is told: posted to a webhook with a signature, or appended to the wake stream.

Source: Durable Streams protocol 1.0, sections 7.1 and 7.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, Literal

import orjson
import structlog
from pykka import ActorDeadError

from actors.spine import Spine
from actors.streams.body import JSON
from actors.streams.words import Append, key_of
from actors.subscriptions import wake_tokens
from actors.subscriptions.wake_tokens import WakeToken
from actors.subscriptions.words import Place
from runtime import limits
from runtime.caller import Caller
from runtime.offsets import offset_of
from runtime.problems import Problem
from store import durable
from store.durable import Address
from store.subscriptions import SubscriptionKey, SubscriptionRow
from transports.egress.webhooks import Signer

JITTER = 0.2  # of a pause before a retry
log = structlog.get_logger(__name__)


def shown(places: Iterable[Place]) -> list[dict[str, Any]]:
    """Return linked streams as a wake shows them."""
    return [
        {
            "path": each.path,
            "link_type": "explicit" if each.explicit else "glob",
            "acked_offset": offset_of(each.acked),
            "tail_offset": offset_of(each.tail),
            "has_pending": each.is_pending,
        }
        for each in places
    ]


def pause_ms(failures: int, chance: Random) -> int:
    """Return how long to wait after so many failures in a row."""
    first_ms, longest_ms = limits.WEBHOOK_RETRY_MS
    pause = min(longest_ms, first_ms * 2 ** min(failures - 1, 16))
    return int(pause * chance.uniform(1 - JITTER, 1 + JITTER))


async def signer(spine: Spine) -> Signer:
    """Return what signs our deliveries."""
    return Signer(await wake_tokens.secret(spine, wake_tokens.WEBHOOKS))


async def tell_webhook(
    spine: Spine, row: SubscriptionRow, places: Iterable[Place]
) -> Literal["done", "taken", "failed"]:
    """Post a wake; say whether all is done with that, it was taken, or it failed."""
    if spine.webhooks is None or row.webhook_url is None:
        log.warning("webhooks_are_off", subscription=row.id)
        return "failed"
    token = WakeToken(
        key=SubscriptionKey(tenant=row.tenant, user=row.user, id=row.id),
        incarnation=row.incarnation,
        generation=row.generation,
    )
    body = orjson.dumps(
        {
            "subscription_id": row.id,
            "wake_id": row.wake_id,
            "generation": row.generation,
            "streams": shown(places),
            "callback_url": f"{row.origin}/v1/stream/__ds/subscriptions/{row.id}/callback",
            "callback_token": await wake_tokens.issue(spine, token),
        }
    )
    signature = (await signer(spine)).sign(body, spine.clock.now_ms() // 1000)
    try:
        answer = await spine.webhooks.deliver(row.webhook_url, body, signature)
        said = orjson.loads(answer)
    except Problem as problem:
        log.warning("webhook_failed", subscription=row.id, reason=problem.detail)
        return "failed"
    except orjson.JSONDecodeError:
        return "taken"
    return "done" if isinstance(said, dict) and said.get("done") is True else "taken"


async def say(spine: Spine, row: SubscriptionRow, path: str) -> None:
    """Append a wake to the wake stream; where there is none, the wake can be claimed unsaid."""
    assert row.wake_stream is not None
    at = Address(tenant=row.tenant, user=row.user, path=row.wake_stream)
    said = {
        "type": "wake",
        "subscription_id": row.id,
        "stream": path,
        "generation": row.generation,
        "ts": spine.clock.now_ms(),
    }
    message = Append(
        caller=Caller(tenant=row.tenant, user=row.user),
        request_id="",
        content_type=JSON,
        body=orjson.dumps([said]),
        closes=False,
        stream_seq=None,
        producer=None,
    )
    try:
        if durable.find(spine.reader, at) is not None:
            await spine.streams.ask(key_of(at), message)
    except (Problem, ActorDeadError) as problem:
        log.warning("wake_not_said", subscription=row.id, reason=str(problem))
