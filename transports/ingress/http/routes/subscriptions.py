"""The subscription APIs that the Durable Streams protocol reserves, below `/v1/stream/__ds/`.

A worker shows the token of its wake or lease in place of a caller's credential. Refusals carry the
protocol's `error.code` beside the problem. Source: Durable Streams protocol 1.0, sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field
from quart import Blueprint, Response, g

from actors.subscriptions import wake_telling
from actors.subscriptions.words import (
    Ack,
    AddStreams,
    Claim,
    Claimed,
    Describe,
    Described,
    Release,
    RemoveStream,
    Subscribe,
    Unsubscribe,
    Wanted,
    Who,
)
from runtime import limits
from runtime.clock import rfc3339
from runtime.offsets import sequence_of
from runtime.problems import (
    AuditUnavailable,
    BadRequest,
    Invalid,
    LeaseFenced,
    LeaseHeld,
    NotFound,
    StreamConflict,
    TooManyRequests,
    WebhookRejected,
)
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.operation import Call, Nothing, empty, operation

routes = Blueprint("subscriptions", __name__, url_prefix="/v1/stream/__ds")
JWKS: Final = "application/jwk-set+json"
Text = Annotated[str, Field(min_length=1, max_length=limits.SUBSCRIPTION_TEXT_MAX)]
Paths = Annotated[tuple[Text, ...], Field(max_length=limits.SUBSCRIPTION_STREAMS_MAX)]
Lease = Annotated[int, Field(ge=limits.LEASE_MS[0], le=limits.LEASE_MS[2])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where wakes are posted."""

    __pydantic_config__ = STRICT
    url: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """What to be woken by, and how."""

    __pydantic_config__ = STRICT
    type: Literal["webhook", "pull-wake"]
    pattern: Text | None = None
    streams: Paths = ()
    webhook: Webhook | None = None
    wake_stream: Text | None = None
    lease_ttl_ms: Lease = limits.LEASE_MS[1]
    description: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPaths:
    """Streams to look at."""

    __pydantic_config__ = STRICT
    streams: Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimBody:
    """Which worker asks."""

    __pydantic_config__ = STRICT
    worker: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class AckEntry:
    """A stream, and the last offset of it that is done with."""

    __pydantic_config__ = STRICT
    stream: Text
    offset: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class AckBody:
    """What is done; `done` gives the lease back, without it the lease is longer."""

    __pydantic_config__ = STRICT
    wake_id: Text
    generation: int
    acks: Annotated[tuple[AckEntry, ...], Field(max_length=limits.SUBSCRIPTION_STREAMS_MAX)] = ()
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseBody:
    """Which lease is given back."""

    __pydantic_config__ = STRICT
    wake_id: Text
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """A subscription as it stands."""

    id: str
    subscription_id: str
    type: str
    pattern: str | None
    streams: tuple[Mapping[str, Any], ...]
    webhook: Mapping[str, Any] | None
    wake_stream: str | None
    lease_ttl_ms: int
    created_at: str
    status: Literal["active", "failed"]
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseView:
    """A lease, and what there is to do."""

    wake_id: str
    generation: int
    token: str
    streams: tuple[Mapping[str, Any], ...]
    lease_ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AckView:
    """Taken; and whether there is another wake already."""

    ok: bool
    next_wake: bool


@routes.put("/subscriptions/<id>")
@operation(
    "Make a subscription, or confirm that it is there as asked.",
    body=NewSubscription,
    answers=SubscriptionView,
    makes=True,
    status=201,
    others=((200, "The subscription is there already, as asked."),),
    problems=(WebhookRejected, StreamConflict, TooManyRequests, AuditUnavailable),
)
async def put_subscription(call: Call[NewSubscription, Nothing], id: str) -> Response:
    wanted = _wanted(call.body)
    subscribe = Subscribe(who=_who(call), wanted=wanted, origin=g.seen.origin)
    is_new = await services().desk.subscriptions.put(call.caller, id, subscribe)
    view = await _view(call, id)
    return Response(orjson.dumps(view), 201 if is_new else 200, content_type="application/json")


@routes.get("/subscriptions/<id>")
@operation("One subscription.", answers=SubscriptionView)
async def read_subscription(call: Call[Nothing, Nothing], id: str) -> SubscriptionView:
    return await _view(call, id)


@routes.delete("/subscriptions/<id>")
@operation("Forget a subscription.", status=204, problems=(NotFound, AuditUnavailable))
async def delete_subscription(call: Call[Nothing, Nothing], id: str) -> Response:
    await services().desk.subscriptions.ask(call.caller, id, Unsubscribe(who=_who(call)))
    return empty(204)


@routes.post("/subscriptions/<id>/streams")
@operation(
    "Look at more streams, whatever the pattern says.",
    body=StreamPaths,
    status=204,
    problems=(BadRequest, AuditUnavailable),
)
async def add_subscription_streams(call: Call[StreamPaths, Nothing], id: str) -> Response:
    message = AddStreams(who=_who(call), paths=call.body.streams)
    await services().desk.subscriptions.ask(call.caller, id, message)
    return empty(204)


@routes.delete("/subscriptions/<id>/streams/<path:path>")
@operation(
    "Look at a stream no more, unless the pattern means it.",
    status=204,
    problems=(NotFound, AuditUnavailable),
)
async def remove_subscription_stream(call: Call[Nothing, Nothing], id: str, path: str) -> Response:
    message = RemoveStream(who=_who(call), path=path)
    await services().desk.subscriptions.ask(call.caller, id, message)
    return empty(204)


@routes.post("/subscriptions/<id>/claim")
@operation(
    "Take the lease of a pull-wake subscription.",
    body=ClaimBody,
    answers=LeaseView,
    problems=(BadRequest, LeaseHeld, AuditUnavailable),
)
async def claim_subscription(call: Call[ClaimBody, Nothing], id: str) -> LeaseView:
    message = Claim(who=_who(call), worker=call.body.worker)
    claimed: Claimed = await services().desk.subscriptions.ask(call.caller, id, message)
    return LeaseView(
        wake_id=claimed.wake_id,
        generation=claimed.generation,
        token=claimed.token,
        streams=tuple(wake_telling.shown(claimed.places)),
        lease_ttl_ms=claimed.lease_ttl_ms,
    )


WITH_TOKEN: Final = (NotFound, BadRequest, LeaseFenced, AuditUnavailable)


@routes.post("/subscriptions/<id>/ack")
@operation(
    "Say what is done with, as the holder of a lease.",
    body=AckBody,
    answers=AckView,
    auth="wake",
    problems=WITH_TOKEN,
)
async def ack_subscription(call: Call[AckBody, Nothing], id: str) -> AckView:
    return await _acked(call, id, "pull-wake")


@routes.post("/subscriptions/<id>/callback")
@operation(
    "Say what is done with, as the webhook that was woken.",
    body=AckBody,
    answers=AckView,
    auth="wake",
    problems=WITH_TOKEN,
)
async def call_subscription_back(call: Call[AckBody, Nothing], id: str) -> AckView:
    return await _acked(call, id, "webhook")


@routes.post("/subscriptions/<id>/release")
@operation(
    "Give a lease back with nothing done.",
    body=ReleaseBody,
    status=204,
    auth="wake",
    problems=(NotFound, LeaseFenced, AuditUnavailable),
)
async def release_subscription(call: Call[ReleaseBody, Nothing], id: str) -> Response:
    known = services().desk.subscriptions
    token = await known.token(call.credentials.token, id)
    message = Release(
        token=token,
        request_id=call.request_id,
        wake_id=call.body.wake_id,
        generation=call.body.generation,
    )
    await known.ask_holder(token, message)
    return empty(204)


@routes.get("/jwks.json")
@operation("The public keys that webhooks are signed with.", sends=JWKS, auth="none")
async def read_signing_keys(_: Call[Nothing, Nothing]) -> Response:
    signer = await services().desk.subscriptions.signer()
    response = Response(orjson.dumps({"keys": [signer.jwk]}), 200, content_type=JWKS)
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


async def _acked(
    call: Call[AckBody, Nothing], id: str, kind: Literal["webhook", "pull-wake"]
) -> AckView:
    known = services().desk.subscriptions
    token = await known.token(call.credentials.token, id)
    message = Ack(
        token=token,
        request_id=call.request_id,
        wake_id=call.body.wake_id,
        generation=call.body.generation,
        acks={each.stream: _sequence(each.offset) for each in call.body.acks},
        done=call.body.done,
        type=kind,
    )
    return AckView(ok=True, next_wake=bool(await known.ask_holder(token, message)))


def _sequence(offset: str) -> int:
    sequence = sequence_of(offset)
    if sequence is None:
        raise BadRequest("The offset is none that came from here.")
    return sequence


def _wanted(body: NewSubscription) -> Wanted:
    if body.pattern is None and not body.streams:
        raise Invalid.at("/pattern", "A pattern or streams are needed.")
    if body.type == "webhook" and body.webhook is None:
        raise Invalid.at("/webhook", "This field is needed for a webhook.")
    if body.type == "pull-wake" and body.wake_stream is None:
        raise Invalid.at("/wake_stream", "This field is needed for pull-wake.")
    return Wanted(
        type=body.type,
        pattern=body.pattern,
        streams=tuple(sorted(set(body.streams))),
        webhook_url=body.webhook.url if body.webhook and body.type == "webhook" else None,
        wake_stream=body.wake_stream if body.type == "pull-wake" else None,
        lease_ttl_ms=body.lease_ttl_ms,
        description=body.description,
    )


def _who(call: Call[Any, Any]) -> Who:
    return Who(caller=call.caller, request_id=call.request_id)


async def _view(call: Call[Any, Any], id: str) -> SubscriptionView:
    known = services().desk.subscriptions
    found: Described = await known.ask(call.caller, id, Describe())
    webhook: dict[str, Any] | None = None
    if found.wanted.webhook_url is not None:
        signer = await known.signer()
        signing = {
            "alg": "ed25519",
            "kid": signer.kid,
            "jwks_url": f"{g.seen.origin}/v1/stream/__ds/jwks.json",
        }
        webhook = {"url": found.wanted.webhook_url, "signing": signing}
    places = wake_telling.shown(found.places)
    return SubscriptionView(
        id=found.id,
        subscription_id=found.id,
        type=found.wanted.type,
        pattern=found.wanted.pattern,
        streams=tuple({key: each[key] for key in LINK_FIELDS} for each in places),
        webhook=webhook,
        wake_stream=found.wanted.wake_stream,
        lease_ttl_ms=found.wanted.lease_ttl_ms,
        created_at=rfc3339(found.created_at_ms),
        status="failed" if found.failing else "active",
        description=found.wanted.description,
    )


LINK_FIELDS: Final = ("path", "link_type", "acked_offset")
