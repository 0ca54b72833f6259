"""Reading a log: the cursor a client brings, and the page of JSON it gets.

`Last-Event-ID` (a browser's own memory; empty is absent) counts before `?after=`; `now` is the
head. A page is the stored bytes of its events between brackets: nothing is parsed or made again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
import trio
from pydantic import Field
from quart import Response

from runtime import limits
from runtime.events import JOB_END
from runtime.hub import Hub
from runtime.log import EventLog, Head, Subscription
from runtime.problems import CursorAhead, Invalid
from transports.ingress.http.readers import Readers

NOW: Final = "now"
DIGITS: Final = re.compile(r"[0-9]{1,15}")
EMPTY: Final = Head(sequence=0, ended=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which part of a log, and how long to wait for it."""

    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=limits.LOG_LIMIT_MAX)] = limits.LOG_LIMIT
    wait: Annotated[float, Field(ge=0, le=limits.WAIT_S_MAX, allow_inf_nan=False)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """A page of a log. `ended` says that the log has its terminal event."""

    events: tuple[Any, ...]
    head: int
    ended: bool


def terminal_of(stream: str) -> str | None:
    """Return the kind that ends a stream; a conversation has no end."""
    return JOB_END if stream.startswith("jobs/") else None


def place(text: str, head: Head, epoch: str, pointer: str) -> int:
    """Return the cursor that a client gave as a number.

    Args:
        epoch: tells a restored log from the one the cursor came from.
        pointer: where the client gave it, for the problem.

    Raises:
        Invalid: it is no number.
        CursorAhead: it lies past the head.
    """
    if text == NOW:
        return head.sequence
    if not DIGITS.fullmatch(text):
        raise Invalid.at(pointer, "A cursor is a whole number from 0, or `now`.")
    cursor = int(text)
    if cursor > head.sequence:
        detail = "The cursor is ahead of the log; begin again where `log_epoch` has changed."
        errors = [{"pointer": pointer, "detail": detail}]
        raise CursorAhead(detail, errors=errors, head=head.sequence, log_epoch=epoch)
    return cursor


def cursor_of(last_event_id: str, after: str | None, head: Head, epoch: str) -> int:
    """Return where a reader goes on: after its last event id, else `after`, else the start.

    Raises:
        Invalid, CursorAhead.
    """
    if last_event_id:
        return place(last_event_id, head, epoch, "/Last-Event-ID")
    return place(after, head, epoch, "/after") if after is not None else 0


async def read_page(
    log: EventLog, hub: Hub, readers: Readers, stream: str, after: int, query: LogQuery
) -> Response:
    """Return the events after the cursor as JSON; wait for the first at most `query.wait` s."""
    subscription = Subscription(log, hub, stream, after=after, terminal=terminal_of(stream))
    with trio.move_on_after(query.wait):
        # asked by `read`: `head` may know of a commit that has not been announced yet
        while not readers.draining and not log.read(stream, after=after, limit=1):
            head = head_of(log, stream)
            if head.ended and head.sequence <= after:
                break
            await subscription.wait()
    bodies: list[bytes] = []
    size_bytes = 0
    while len(bodies) < query.limit and size_bytes < limits.LOG_PAGE_BYTES:
        segments = log.read(stream, after=after, limit=query.limit - len(bodies))
        if not segments:
            break
        for segment in segments:
            bodies += segment.bodies
            size_bytes += segment.size_bytes
        after = segments[-1].last
        await trio.lowlevel.checkpoint()
    head = head_of(log, stream)
    rest = orjson.dumps({"head": head.sequence, "ended": head.ended})
    body = b'{"events":[%b],%b' % (b",".join(bodies), rest[1:])
    return Response(body, 200, content_type="application/json")


def head_of(log: EventLog, stream: str) -> Head:
    """Return where a stream stands; one that nobody has written to is empty."""
    return log.head(stream) or EMPTY
