"""The event logs: of a job, of a conversation, and several of them over one connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from quart import Blueprint, Response, request

from runtime import limits
from runtime.caller import Caller
from runtime.log import Subscription
from runtime.problems import CursorAhead, Invalid, TooManyRequests
from transports.ingress.http import negotiation, reading, sse
from transports.ingress.http.caller import Credentials
from transports.ingress.http.context import Services, services
from transports.ingress.http.operation import Call, Nothing, empty, operation
from transports.ingress.http.reading import LogPage, LogQuery

routes = Blueprint("events", __name__, url_prefix="/api")
AT_END = ((204, "The reader is at the terminal event already."),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedQuery:
    """Streams to follow, each `jobs/<id>:<cursor>` or `conversations/<id>:<cursor>`; repeatable."""

    follow: str = ""


@routes.get("/jobs/<id>/events")
@operation(
    "The log of a job: a page of JSON, or its events as they come.",
    query=LogQuery,
    answers=LogPage,
    streams="also",
    others=AT_END,
    problems=(CursorAhead, TooManyRequests),
)
async def read_job_events(call: Call[Nothing, LogQuery], id: str) -> Response:
    return await _read_log(call, f"jobs/{id}")


@routes.get("/conversations/<id>/events")
@operation(
    "The log of a conversation, which has no end.",
    query=LogQuery,
    answers=LogPage,
    streams="also",
    problems=(CursorAhead, TooManyRequests),
)
async def read_conversation_events(call: Call[Nothing, LogQuery], id: str) -> Response:
    return await _read_log(call, f"conversations/{id}")


@routes.get("/events")
@operation(
    "Several logs over one connection, for a browser that can open only six.",
    query=FeedQuery,
    streams="only",
    problems=(CursorAhead, TooManyRequests),
)
async def follow_events(call: Call[Nothing, FeedQuery]) -> Response:
    negotiation.wants_sse(request.headers.get("Accept", ""))
    known = services()
    known.readers.admit(call.caller)
    cursors = _follows(call.caller, request.args.getlist("follow"), known)
    follows = [
        (_subscribe(known, stream, cursor), sse.FeedFrame(stream))
        for stream, cursor in cursors.items()
    ]
    reader = sse.Reader(
        caller=call.caller,
        follows=follows,
        hub=known.hub,
        readers=known.readers,
        permitted=_permission(known, call, list(cursors)),
        first=sse.opening(None),
        ends=False,
    )
    return sse.stream(reader)


async def _read_log(call: Call[Nothing, LogQuery], stream: str) -> Response:
    known = services()
    kind = negotiation.json_or_sse(request.headers.get("Accept", ""))
    known.desk.open_stream(call.caller, stream)
    head = reading.head_of(known.log, stream)
    resumed = request.headers.get("Last-Event-ID", "") if kind == "sse" else ""
    cursor = reading.cursor_of(resumed, call.query.after, head, known.log_epoch)
    if kind == "json":
        return await reading.read_page(
            known.log, known.hub, known.readers, stream, cursor, call.query
        )
    if head.ended and cursor == head.sequence:
        return empty(204)
    known.readers.admit(call.caller)
    reader = sse.Reader(
        caller=call.caller,
        follows=[(_subscribe(known, stream, cursor), sse.frame)],
        hub=known.hub,
        readers=known.readers,
        permitted=_permission(known, call, [stream]),
        first=sse.opening(cursor),
    )
    return sse.stream(reader)


def _subscribe(known: Services, stream: str, cursor: int) -> Subscription:
    terminal = reading.terminal_of(stream)
    return Subscription(known.log, known.hub, stream, after=cursor, terminal=terminal)


def _permission(
    known: Services, call: Call[Any, Any], streams: Sequence[str]
) -> Callable[[], Awaitable[None]]:
    """Return what looks again at whether the caller may read these streams."""
    credentials: Credentials = call.credentials

    async def permitted() -> None:
        caller = known.authenticator.authenticate(credentials)
        for stream in streams:
            known.desk.open_stream(caller, stream)

    return permitted


def _follows(caller: Caller, asked: Sequence[str], known: Services) -> dict[str, int]:
    """Return the streams that a feed follows, each with its cursor.

    Raises:
        Invalid, NotFound, CursorAhead.
    """
    if not 1 <= len(asked) <= limits.FEED_STREAMS_MAX:
        raise Invalid.at("/follow", f"A feed follows 1 to {limits.FEED_STREAMS_MAX} streams.")
    cursors: dict[str, int] = {}
    for index, each in enumerate(asked):
        stream, _, cursor = each.partition(":")
        known.desk.open_stream(caller, stream)
        head = reading.head_of(known.log, stream)
        where = f"/follow/{index}"
        cursors[stream] = reading.place(cursor or "0", head, known.log_epoch, where)
    return cursors
