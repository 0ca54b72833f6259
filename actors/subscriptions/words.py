"""What can be said to a subscription, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson

from actors.subscriptions.wake_tokens import WakeToken
from runtime.caller import Caller
from store.subscriptions import SubscriptionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The configuration of a subscription; `streams` sorted, each once."""

    type: Literal["webhook", "pull-wake"]
    pattern: str | None
    streams: tuple[str, ...]
    webhook_url: str | None
    wake_stream: str | None
    lease_ttl_ms: int
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who asks, and in which request."""

    caller: Caller
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Make the subscription or confirm it. Answered with whether it is new."""

    who: Who
    wanted: Wanted
    origin: str  # of this service, as the caller addressed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Forget the subscription."""

    who: Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Tell how the subscription stands. Answered with a Described."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddStreams:
    """Look at these paths too, whatever the pattern says."""

    who: Who
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveStream:
    """Look at this path no more, unless the pattern means it."""

    who: Who
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker takes the lease. Answered with a Claimed."""

    who: Who
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The holder has done this much; `done` gives the lease back. Answered: is there a wake."""

    token: WakeToken
    request_id: str
    wake_id: str
    generation: int
    acks: Mapping[str, int]  # path to sequence
    done: bool
    type: Literal["webhook", "pull-wake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The holder gives the lease back with nothing done."""

    token: WakeToken
    request_id: str
    wake_id: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """There may be more at this path."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was at this path is gone."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How a webhook answered: `done`, `taken`, or `failed`. `tails` are those it was told."""

    wake_id: str
    outcome: Literal["done", "taken", "failed"]
    tails: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A lease or a pause may be over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A linked stream as it stands: how far it is acknowledged, and how far it goes."""

    path: str
    explicit: bool
    acked: int
    tail: int

    @property
    def is_pending(self) -> bool:
        """Whether there is more than what was acknowledged."""
        return self.tail > self.acked


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A subscription as it stands."""

    id: str
    wanted: Wanted
    places: tuple[Place, ...]
    created_at_ms: int
    failing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A lease: what it is called, and what there is to do."""

    wake_id: str
    generation: int
    token: str
    places: tuple[Place, ...]
    lease_ttl_ms: int


Message: TypeAlias = (
    Subscribe
    | Unsubscribe
    | Describe
    | AddStreams
    | RemoveStream
    | Claim
    | Ack
    | Release
    | Grown
    | Removed
    | Delivered
    | Due
)


def text_of(key: SubscriptionKey) -> str:
    """Return the supervisor's key of a subscription."""
    return orjson.dumps([key.tenant, key.user, key.id]).decode()


def key_of(text: str) -> SubscriptionKey:
    """Return the subscription that a supervisor's key names."""
    tenant, user, name = orjson.loads(text)
    return SubscriptionKey(tenant=tenant, user=user, id=name)
