"""One request and its answer, in one task: Hypercorn's side of it, and Quart's.

Hypercorn hands an app its messages through a channel, and quart-trio spends a task and a nursery on
listening to it. Here the body goes straight to the request and a client that leaves cancels the
exchange, so that an open stream is one task; and what an answer no longer needs (the request, its
headers, the page just sent) is let go, since a reader may stay for days.
Source: hypercorn 0.18 `trio/task_group.py`, quart-trio 0.12 `asgi.py`, quart 0.22 `asgi.py`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, Self

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import AppWrapper
from quart import Request
from quart.asgi import ASGIHTTPConnection, ASGIWebsocketConnection
from quart.wrappers.request import Body
from quart.wrappers.response import DataBody
from quart_trio.wrappers.request import TrioBody, TrioRequest
from werkzeug.datastructures import Headers

from runtime import limits
from transports.ingress.http import sockets
from transports.ingress.http.fields import Fields
from transports.ingress.http.following import Following
from transports.ingress.http.line import Line
from transports.ingress.http.sockets import SocketMail

MAIL: Final = "runchat.mail"  # where the scope carries the Mail
LINE: Final = "runchat.line"  # and the Line
Message = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]  # headers, names in lower case
log = structlog.get_logger(__name__)


class WholeBody(TrioBody):
    """A request's body, which is often there before anybody asks for it."""

    def at_once(self) -> bytes | None:
        """Return the body and forget it; None where it must be waited for, or is refused."""
        if self._must_raise is not None or not self._complete.is_set():
            return None
        data = bytes(self._data)
        self._data.clear()
        return data


class Asked(TrioRequest):
    """A request as Quart has it."""

    body_class = WholeBody


class Mail:
    """What a client sends after the header: its body, and that it has left."""

    __slots__ = ("_body", "_early", "_scope")

    def __init__(self) -> None:
        self._body: Body | None = None
        self._scope: trio.CancelScope | None = None
        self._early: list[Message] = []  # came before the exchange began

    async def put(self, message: Message) -> None:
        """Take a message of Hypercorn's; never waits, since the request bounds its own body."""
        if self._scope is None:
            self._early.append(message)
        elif message["type"] == "http.disconnect":
            self._scope.cancel()
        elif self._body is not None:
            self._body.append(message["body"])
            if not message["more_body"]:
                self._body.set_complete()
                self._body = None

    async def deliver(self, body: Body, scope: trio.CancelScope) -> None:
        """Send the body to `body` from now on, and cancel `scope` when the client leaves."""
        self._body, self._scope = body, scope
        early, self._early = self._early, []
        for message in early:
            await self.put(message)


class Tasks(TaskGroup):
    """Hypercorn's task group of a connection, with an exchange that costs one task."""

    def __init__(
        self,
        write: Callable[[bytes | memoryview], Awaitable[None]],
        write_now: Callable[[bytes], int] | None,
    ) -> None:
        super().__init__()
        self._write, self._write_now = write, write_now

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,  # noqa: ARG002 - Hypercorn's signature
        scope: Any,
        send: Any,
    ) -> Callable[[Any], Awaitable[None]]:
        assert self._nursery is not None
        if scope["type"] == "websocket":
            said = SocketMail()
            scope["extensions"][sockets.MAIL] = said
            self._nursery.start_soon(_run, app, scope, send)
            return said.put
        mail = Mail()
        scope["extensions"][MAIL] = mail
        if scope["http_version"] == "1.1":
            scope["extensions"][LINE] = Line(send, self._write, self._write_now)
        self._nursery.start_soon(_run, app, scope, send)
        return mail.put

    def end(self) -> None:
        """Cancel whatever still runs on the connection."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()


async def _run(app: Any, scope: Any, send: Send) -> None:
    """Run the app; what it lets through is a bug, and the answer an empty 500."""
    try:
        await app(scope, _no_receive, send, None, None)
    except Exception:
        log.exception("exchange.failed")
    finally:
        await send(None)


async def _no_receive() -> Message:
    raise AssertionError("The Mail in the scope takes the place of receive.")


class Exchange(ASGIHTTPConnection):
    """Answers one request through Quart."""

    async def __call__(self, receive: Any, send: Any) -> None:  # noqa: ARG002 - see Mail
        scope: Any = self.scope
        mail: Mail = scope["extensions"].pop(MAIL)
        line: Line | None = scope["extensions"].pop(LINE, None)
        if line is not None and line.send != send:
            line = None  # somebody between us and Hypercorn wants to see what is sent
        with trio.CancelScope() as client_is_here:
            response, headers = await self._answer(mail, client_is_here)
            if scope["method"] == "HEAD":
                response.response, line = DataBody(b""), None  # a stream would never end
            await _send_answer(response, headers, send, line)

    async def _answer(self, mail: Mail, client_is_here: trio.CancelScope) -> tuple[Any, Pairs]:
        """Return the response; a late body is waited for, as answering before it costs the line."""
        app: Any = self.app
        request = self._request()
        await mail.deliver(request.body, client_is_here)
        response, headers = await app.respond(request)
        complete = request.body._complete  # noqa: SLF001 - Quart offers no other way
        if not complete.is_set():
            with trio.move_on_after(limits.LATE_BODY_S):
                await complete.wait()
        return response, headers

    def _request(self) -> Request:
        """Return the request as Quart has it, with headers that are found at once."""
        scope: Any = self.scope
        client = (scope.get("client") or ("<local>",))[0]
        return Asked(
            scope["method"],
            scope["scheme"],
            scope["path"],
            scope["query_string"],
            Fields([(b"remote-addr", client.encode()), *scope["headers"]]),
            scope["root_path"],
            scope["http_version"],
            max_content_length=limits.BODY_BYTES_MAX,
            body_timeout=limits.BODY_S,  # type: ignore[arg-type]  # trio takes any number
            send_push_promise=_no_push,
            scope=scope,
        )


class SocketExchange(ASGIWebsocketConnection):
    """Hands a WebSocket to the app, past Quart: there is one address, and nothing to find."""

    async def __call__(self, receive: Any, send: Any) -> None:  # noqa: ARG002 - see SocketMail
        scope: Any = self.scope
        app: Any = self.app
        await app.converse(scope, scope["extensions"].pop(sockets.MAIL), send)


async def _no_push(_path: str, _headers: Headers) -> None:
    """Push nothing: browsers take no pushes any more."""


async def _send_answer(response: Any, headers: Pairs, send: Send, line: Line | None) -> None:
    status, whole = response.status_code, response.response
    await send({"type": "http.response.start", "status": status, "headers": headers})
    headers.clear()  # Hypercorn keeps the message for its access log
    if isinstance(whole, DataBody):
        data = whole.data[whole.begin : whole.end]
        await send({"type": "http.response.body", "body": data, "more_body": False})
        return
    if response.content_length is not None or status != HTTPStatus.OK:
        line = None
    async with response.response as body:
        del response
        parts = aiter(body)
        if line is not None:
            await _send_first(body, parts, line)
            while await _write_chunk(parts, line.write):
                pass
        else:
            while await _send_part(parts, send):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_first(body: Any, parts: Any, line: Line) -> None:
    """Send the header, with the first part where that is there already."""
    if isinstance(body, Following):
        body.line = line
    if getattr(body, "greets", False):
        await _send_part(parts, line.send)
        os.sched_yield()  # a reader woken on our core would else wait for a tick, while we page on
    else:
        await line.send({"type": "http.response.body", "body": b"", "more_body": True})


async def _write_chunk(parts: Any, write: Callable[[bytes], Awaitable[None]]) -> bool:
    """Write the next part as a chunk and forget it; False at the end."""
    try:
        part = await anext(parts)
    except StopAsyncIteration:
        return False
    if len(part) >= limits.PAGE_BYTES:  # shared by all readers: who takes it slowly has no copy
        for piece in (b"%x\r\n" % len(part), part, b"\r\n"):
            await write(piece)
    elif part:  # an empty chunk would be the end
        await write(b"%x\r\n%b\r\n" % (len(part), part))
    return True


async def _send_part(parts: Any, send: Send) -> bool:
    """Send the next part and forget it; False at the end."""
    try:
        part = await anext(parts)
    except StopAsyncIteration:
        return False
    await send({"type": "http.response.body", "body": part, "more_body": True})
    return True
