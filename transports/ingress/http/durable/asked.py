"""What a Durable Streams request asks: its headers and query, read and found good.

A header that is not as the protocol wants it is 400; `Stream-Closed` counts only where it is
`true`. Source: Durable Streams protocol 1.0, sections 4.1, 4.2, 5 and 8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from werkzeug.datastructures import Headers, MultiDict

from actors.streams.streams import Addition, ForkOrder, NewStream
from actors.streams.view import View
from runtime import limits
from runtime.offsets import NOW, START, sequence_of
from runtime.problems import BadRequest
from store.durable import Producer

ROOT: Final = "/v1/stream/"
WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
CONTENT_TYPE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[\x20-\x7e]+")
Live = Literal["long-poll", "sse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where to read from, and how."""

    sequence: int | None  # None: from wherever the stream ends now
    live: Live | None
    cursor: int | None  # that the client has seen
    resumes: bool  # the client is a browser that comes back


def reading(args: MultiDict[str, str], headers: Headers) -> Reading:
    """Return what a GET asks.

    Raises:
        BadRequest: the offset is none, or missing where it is needed.
    """
    offsets, live = args.getlist("offset"), _live(args.get("live"))
    resumed = headers.get("Last-Event-ID", "") if live == "sse" else ""
    if resumed:
        offsets = [resumed]
    if len(offsets) > 1 or (live and not offsets):
        raise BadRequest("One `offset` is needed.")
    cursor = args.get("cursor", "")
    return Reading(
        sequence=_sequence(offsets[0]) if offsets else 0,
        live=live,
        cursor=int(cursor) if WHOLE.fullmatch(cursor) else None,
        resumes=bool(resumed),
    )


def start(asked: Reading, view: View) -> int:
    """Return the sequence after which to read.

    Raises:
        BadRequest: it lies past the end.
    """
    if asked.sequence is None:
        return view.tail
    if asked.sequence > view.tail:
        raise BadRequest("The offset lies past the end of the stream.")
    return asked.sequence


def new_stream(headers: Headers, body: bytes) -> NewStream:
    """Return what a PUT asks.

    Raises:
        BadRequest: a header is wrong.
    """
    ttl, expires = headers.get("Stream-TTL"), headers.get("Stream-Expires-At")
    if ttl is not None and expires is not None:
        raise BadRequest("Stream-TTL and Stream-Expires-At exclude each other.")
    ttl_s = None if ttl is None else _whole("Stream-TTL", ttl, limits.STREAM_TTL_S_MAX)
    return NewStream(
        content_type=_content_type(headers),
        body=body,
        closed=_closes(headers),
        ttl_s=ttl_s,
        expires_at_ms=None if expires is None else _moment(expires),
        fork=_fork(headers),
    )


def addition(headers: Headers, body: bytes) -> Addition:
    """Return what a POST asks.

    Raises:
        BadRequest: a header is wrong.
    """
    seq = headers.get("Stream-Seq") or None
    if seq is not None and len(seq) > limits.PRODUCER_ID_CHARS_MAX:
        raise BadRequest(f"Stream-Seq has at most {limits.PRODUCER_ID_CHARS_MAX} characters.")
    return Addition(
        content_type=_content_type(headers) if body else None,
        body=body,
        closes=_closes(headers),
        stream_seq=seq,
        producer=_producer(headers),
    )


def _live(value: str | None) -> Live | None:
    match value:
        case None | "long-poll" | "sse":
            return value
        case _:
            raise BadRequest("`live` is `long-poll` or `sse`.")


def _sequence(offset: str) -> int | None:
    if offset == START:
        return 0
    if offset == NOW:
        return None
    sequence = sequence_of(offset)
    if sequence is None:
        raise BadRequest("The offset is none that came from here.")
    return sequence


def _closes(headers: Headers) -> bool:
    return headers.get("Stream-Closed", "").lower() == "true"


def _content_type(headers: Headers) -> str | None:
    given = headers.get("Content-Type", "").strip()
    if not given:
        return None
    if len(given) > limits.CONTENT_TYPE_CHARS_MAX or not CONTENT_TYPE.fullmatch(given):
        raise BadRequest("The Content-Type is no media type.")
    return given


def _whole(name: str, value: str, most: int) -> int:
    if not WHOLE.fullmatch(value) or int(value) > most:
        raise BadRequest(f"{name} is a whole number from 0 to {most}, plainly written.")
    return int(value)


def _moment(value: str) -> int:
    if RFC3339.fullmatch(value):
        try:
            parsed = datetime.fromisoformat(value.upper())
            since = parsed - datetime(1970, 1, 1, tzinfo=UTC)
        except (ValueError, OverflowError):
            pass
        else:
            return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    raise BadRequest("Stream-Expires-At is no RFC 3339 timestamp.")


def _fork(headers: Headers) -> ForkOrder | None:
    source, offset = headers.get("Stream-Forked-From"), headers.get("Stream-Fork-Offset")
    sub = headers.get("Stream-Fork-Sub-Offset")
    if source is None:
        if offset is not None or sub is not None:
            raise BadRequest("A fork's offset needs Stream-Forked-From.")
        return None
    path = unquote(urlsplit(source).path)
    if not path.startswith(ROOT):
        raise BadRequest(f"Stream-Forked-From is the path of a stream, below {ROOT}.")
    return ForkOrder(
        path=path.removeprefix(ROOT),
        sequence=None if offset is None else _sequence(offset),
        sub=0 if sub is None else _whole("Stream-Fork-Sub-Offset", sub, 2**53 - 1),
    )


def _producer(headers: Headers) -> Producer | None:
    names = ("Producer-Id", "Producer-Epoch", "Producer-Seq")
    given = [headers.get(name) for name in names]
    if all(each is None for each in given):
        return None
    name, epoch, sequence = given
    if not name or epoch is None or sequence is None:
        raise BadRequest("Producer-Id, Producer-Epoch and Producer-Seq come together.")
    if len(name) > limits.PRODUCER_ID_CHARS_MAX:
        raise BadRequest(f"Producer-Id has at most {limits.PRODUCER_ID_CHARS_MAX} characters.")
    return Producer(
        id=name,
        epoch=_whole(names[1], epoch, limits.PRODUCER_NUMBER_MAX),
        sequence=_whole(names[2], sequence, limits.PRODUCER_NUMBER_MAX),
    )
