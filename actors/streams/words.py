"""What can be said to a stream's actor, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import orjson

from actors.streams.view import View
from runtime.caller import Caller
from store.durable import Address, Producer


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """What a new stream inherits. `anchor` and `sub` are what its maker asked for."""

    source: View
    source_path: str
    sequence: int  # records inherited whole
    anchor: int | None  # None: wherever the source ends
    sub: int
    prefix: bytes  # of the record that is inherited in part


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make the stream, or confirm that it is there as asked. Answered with Created.

    Raises (as the answer): StreamConflict, BadRequest, AuditUnavailable.
    """

    caller: Caller
    request_id: str
    content_type: str | None
    body: bytes
    closed: bool
    ttl_s: int | None
    expires_at_ms: int | None
    fork: Fork | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The stream as it stands; `is_new` where it was made now."""

    view: View
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Add the body, close the stream, or both at once. Answered with Appended.

    Raises (as the answer): NotFound, StreamGone, StreamClosed, StreamConflict, ProducerFenced,
    ProducerGap, BadRequest, BadJson, AuditUnavailable.
    """

    caller: Caller
    request_id: str
    content_type: str | None
    body: bytes
    closes: bool
    stream_seq: str | None
    producer: Producer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Where the stream ends now; `is_new` where this append did it, `producer` its newest place."""

    tail: int
    closed: bool
    is_new: bool
    producer: Producer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Take the stream away. Raises (as the answer): NotFound, StreamGone, AuditUnavailable."""

    caller: Caller
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Answered with the stream's View; a look that `uses` it puts off its end.

    Raises (as the answer): NotFound, StreamGone.
    """

    uses: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """Look whether the stream's time is over."""


Message: TypeAlias = Create | Append | Delete | Look | Expire


def key_of(at: Address) -> str:
    """Return the supervisor's key of an address."""
    return orjson.dumps([at.tenant, at.user, at.path]).decode()


def address_of(key: str) -> Address:
    """Return the address that a key names."""
    tenant, user, path = orjson.loads(key)
    return Address(tenant=tenant, user=user, path=path)
