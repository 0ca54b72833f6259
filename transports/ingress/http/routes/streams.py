"""The Durable Streams protocol 1.0 at `/v1/stream/<path>`: a second door to the one event log.

Paths are the caller's own; `jobs/<id>` reads the log of a job. Beyond the protocol, an event stream
has an id on every event, takes Last-Event-ID before the offset, and answers a browser that comes
back to the closed end with 204. Source: the protocol's PROTOCOL.md, contract section 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import trio
from quart import Blueprint, Response, g, request

from actors.streams import view as stream_view
from actors.streams.body import is_json
from actors.streams.view import View
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.offsets import offset_of
from runtime.problems import (
    AuditUnavailable,
    BadJson,
    BadRequest,
    NotFound,
    PathReserved,
    ProducerFenced,
    ProducerGap,
    StreamClosed,
    StreamConflict,
    StreamGone,
    TooLarge,
    TooManyRequests,
)
from transports.ingress.http.caller import Credentials
from transports.ingress.http.context import Services, services
from transports.ingress.http.durable import asked, events, pages
from transports.ingress.http.durable.asked import Reading
from transports.ingress.http.durable.cursors import cursor_at
from transports.ingress.http.operation import Call, Nothing, empty, operation

routes = Blueprint("streams", __name__, url_prefix="/v1/stream")
WRITING = (BadRequest, NotFound, PathReserved, StreamConflict, TooLarge, AuditUnavailable)


@routes.put("/<stream:path>")
@operation(
    "Make a stream, or a fork of one, or confirm that it is there as asked.",
    makes=True,
    takes="*/*",
    status=201,
    others=((200, "The stream is there already, as asked."),),
    problems=(*WRITING, BadJson),
)
async def put_stream(call: Call[Nothing, Nothing], path: str) -> Response:
    known = services()
    order = asked.new_stream(request.headers, call.raw)
    made = await known.desk.streams.create(call.caller, path, order, call.request_id)
    response = empty(201 if made.is_new else 200)
    response.headers["Content-Type"] = made.view.content_type
    if made.is_new:
        response.headers["Location"] = f"{g.seen.origin}{request.root_path}{_raw_path()}"
    return _ends_at(response, made.view.tail, closed=made.view.closed)


@routes.post("/<stream:path>")
@operation(
    "Append to a stream, close it, or both at once.",
    takes="*/*",
    status=204,
    others=((200, "Appended for an idempotent producer, for the first time."),),
    problems=(*WRITING, BadJson, StreamClosed, StreamGone, ProducerFenced, ProducerGap),
)
async def append_to_stream(call: Call[Nothing, Nothing], path: str) -> Response:
    addition = asked.addition(request.headers, call.raw)
    done = await services().desk.streams.append(call.caller, path, addition, call.request_id)
    response = empty(200 if done.is_new and done.producer and call.raw else 204)
    if done.producer is not None:
        response.headers["Producer-Epoch"] = str(done.producer.epoch)
        response.headers["Producer-Seq"] = str(done.producer.sequence)
    return _ends_at(response, done.tail, closed=done.closed)


@routes.delete("/<stream:path>")
@operation(
    "Take a stream away; one that has forks is kept for them, out of reach.",
    status=204,
    problems=(NotFound, PathReserved, StreamGone, AuditUnavailable),
)
async def delete_stream(call: Call[Nothing, Nothing], path: str) -> Response:
    await services().desk.streams.delete(call.caller, path, call.request_id)
    return empty(204)


@routes.get("/<stream:path>")
@operation(
    "Read a stream from an offset: what is there, or what comes, by long poll or event stream.",
    sends="*/*",
    others=(
        (204, "A long poll ended with nothing new, or a browser came back to the closed end."),
        (304, "The client has this very answer."),
    ),
    problems=(BadRequest, NotFound, StreamGone, TooManyRequests),
)
async def read_stream(call: Call[Nothing, Nothing], path: str) -> Response:
    known = services()
    wants = asked.reading(request.args, request.headers)
    uses = request.method != "HEAD"
    view = await known.desk.streams.look(call.caller, path, uses=uses)
    if not uses:
        return _head(view)
    reading = _Read(known, call.caller, call.credentials, path, wants)
    match wants.live:
        case "sse":
            return reading.follow(view)
        case "long-poll":
            return await reading.poll(view)
        case None:
            return await reading.catch_up(view, asked.start(wants, view))


@dataclass(slots=True, eq=False)
class _Read:
    """One GET under way."""

    known: Services
    caller: Caller
    credentials: Credentials
    path: str
    wants: Reading
    waiting: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def catch_up(self, view: View, start: int) -> Response:
        """Return all that lies after `start`."""
        if self.wants.sequence is None and self.wants.live is None:
            body = b"[]" if is_json(view.content_type) else b""
            response = Response(body, 200, content_type=view.content_type)
            return pages.place(response, view, view.tail)
        tag = pages.etag(view, start)
        if pages.matches(request.headers.get("If-None-Match", ""), tag):
            response = empty(304)
        else:
            body_pages = pages.Pages(self.known.log, self.known.hub, view, start)
            response = await pages.body_of(body_pages, view.content_type)
        response.headers["ETag"] = tag
        response.headers["Cache-Control"] = pages.NO_CACHE
        return pages.place(response, view, view.tail)

    async def poll(self, view: View) -> Response:
        """Return what comes, or 204 once the stream is closed or nothing has come for long."""
        start = asked.start(self.wants, view)
        self.known.readers.admit(self.caller)
        self.known.readers.join(self)
        try:
            self.waiting.deadline = trio.current_time() + self.known.settings.streams.long_poll_s
            with self.waiting:
                await self._until_more(view, start)
        finally:
            self.known.readers.leave(self)
        view = await self.known.desk.streams.look(self.caller, self.path, uses=False)
        if view.tail > start:
            response = await self.catch_up(view, start)
        else:
            response = pages.place(empty(204), view, view.tail)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Stream-Cursor"] = str(self._cursor(self.wants.cursor))
        return response

    def wake(self) -> None:
        """End the wait: the service is stopping."""
        self.waiting.cancel()

    async def _until_more(self, view: View, after: int) -> None:
        own = view.own.stream
        while not self.known.readers.draining:
            if any(True for _ in stream_view.read(self.known.log, view.links, after)):
                return
            head = self.known.log.head(own)
            if head is None or head.ended:
                return
            await self.known.hub.wait(own)

    def follow(self, view: View) -> Response:
        """Return the stream as events, from where the reader was."""
        start = asked.start(self.wants, view)
        if self.wants.resumes and view.closed and start == view.tail:
            return pages.place(empty(204), view, start)
        self.known.readers.admit(self.caller)
        reader = events.StreamReader(
            caller=self.caller,
            view=view,
            after=start,
            log=self.known.log,
            hub=self.known.hub,
            readers=self.known.readers,
            clock=self.known.clock,
            least_cursor=self._cursor(self.wants.cursor),
            permitted=self._permitted,
        )
        return events.answer(reader, view.content_type)

    async def _permitted(self) -> None:
        caller = self.known.authenticator.authenticate(self.credentials)
        await self.known.desk.streams.look(caller, self.path, uses=True)

    def _cursor(self, seen: int | None) -> int:
        return cursor_at(self.known.clock.now_ms(), seen, self.known.ids.random)


def _head(view: View) -> Response:
    response = empty(200)
    response.headers["Content-Type"] = view.content_type
    if view.ttl_s is not None:
        response.headers["Stream-TTL"] = str(view.ttl_s)
    elif view.expires_at_ms is not None:
        response.headers["Stream-Expires-At"] = rfc3339(view.expires_at_ms)
    return _ends_at(response, view.tail, closed=view.closed)


def _ends_at(response: Response, tail: int, *, closed: bool) -> Response:
    response.headers["Stream-Next-Offset"] = offset_of(tail)
    if closed:
        response.headers["Stream-Closed"] = "true"
    return response


def _raw_path() -> str:
    """Return the path as the client wrote it."""
    raw: Any = request.scope.get("raw_path")
    return raw.decode("ascii").partition("?")[0] if raw else request.path
