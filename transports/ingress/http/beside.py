"""Another protocol beside the HTTP API, at an address of its own: same gate, callers and bounds.

A neighbour speaks plain ASGI and says what it likes; who asks, for which host and from which page
has been settled before it hears of a request, its body has come whole, and what it refuses as a
Problem is said as everywhere. A client that leaves cancels its exchange, and so does a credential
that counts no more: it is looked at again in the course of a long answer. The neighbour is called
with the caller, the request's id, and ASGI's three. Source: ASGI HTTP 2.4, contract section 2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import orjson
import structlog
import trio
from werkzeug.exceptions import RequestEntityTooLarge

from runtime import limits
from runtime.caller import Caller
from runtime.problems import (
    BodyTooSlow,
    InternalError,
    MethodNotAllowed,
    OriginNotAllowed,
    Problem,
    TooLarge,
    Unauthenticated,
)
from transports.ingress.http.app import ALWAYS, App
from transports.ingress.http.caller import SAFE, Credentials
from transports.ingress.http.context import Services
from transports.ingress.http.exchange import (
    LINE,
    MAIL,
    Mail,
    Message,
    Pairs,
    Send,
    WholeBody,
)
from transports.ingress.http.fields import Fields
from transports.ingress.http.gate import Gate, Seen, cors_headers
from transports.ingress.http.problems import MEDIA_TYPE, document, headers_of, refusal

Receive: TypeAlias = Callable[[], Awaitable[Message]]
Neighbour: TypeAlias = Callable[[Caller, str, Any, Receive, Send], Awaitable[None]]
METHODS: Final = ("DELETE", "GET", "POST")
ONE_HOP: Final = frozenset({b"connection", b"transfer-encoding"})  # the front's to say
EVENTS: Final = b"text/event-stream"
log = structlog.get_logger(__name__)


class Beside:
    """The app of the HTTP API, and its neighbours by their paths."""

    def __init__(
        self,
        app: App,
        services: Services,
        gate: Gate,
        neighbours: Mapping[str, Neighbour],
        *,
        recheck_s: float = limits.RECHECK_S,
    ) -> None:
        """Take what is beside what.

        Args:
            recheck_s: so often a credential is looked at again while its answer goes on.
        """
        self._app, self._services, self._gate = app, services, gate
        self._neighbours, self._recheck_s = neighbours, recheck_s

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one connection's exchange, as ASGI has it."""
        of_http = scope["type"] == "http"
        neighbour = self._neighbours.get(scope["path"]) if of_http else None
        if neighbour is None:
            await cast("Any", self._app)(scope, receive, send)
        else:
            visit = _Visit(self._services, self._gate, scope, send, self._recheck_s)
            await visit.run(neighbour)


class _Visit:
    """One request to a neighbour."""

    def __init__(
        self, services: Services, gate: Gate, scope: Any, send: Send, recheck_s: float
    ) -> None:
        self._services, self._gate, self._scope, self._send = services, gate, scope, send
        self._recheck_s = recheck_s
        self._headers = Fields(scope["headers"])
        self._request_id = services.ids.new("req_")
        self._more: dict[bytes, str] = {}  # headers that let a page read the answer
        self._status = 0  # 0 until the answer has begun
        self._body = WholeBody(None, limits.BODY_BYTES_MAX)

    async def run(self, neighbour: Neighbour) -> None:
        """Answer it, whatever comes of it."""
        structlog.contextvars.bind_contextvars(request_id=self._request_id)
        extensions = self._scope["extensions"]
        mail: Mail = extensions.pop(MAIL)
        extensions.pop(LINE, None)
        with trio.CancelScope() as client_is_here:
            await mail.deliver(self._body, client_is_here)
            try:
                await self._answer(neighbour)
            except* Problem as group:
                await self._refuse(group)
            except* Exception:  # the last to catch what nobody expected
                log.exception("request.failed", request_id=self._request_id)
                if self._status:
                    raise  # what was begun cannot end well
                await self._say(InternalError("Something went wrong here; it has been logged."))
        tell = log.debug if self._scope["method"] in SAFE else log.info
        tell(
            "answered", method=self._scope["method"], route=self._scope["path"], status=self._status
        )

    async def _answer(self, neighbour: Neighbour) -> None:
        method = self._scope["method"]
        seen = self._gate.see(
            scheme=self._scope["scheme"],
            headers=self._headers,
            client=self._scope.get("client"),
            server=self._scope.get("server"),
        )
        self._gate.check_host(seen)
        if self._is_preflight(seen):
            await self._pass_on({"type": "http.response.start", "status": 204, "headers": []})
            await self._pass_on({"type": "http.response.body", "body": b""})
            return
        if method not in METHODS:
            raise MethodNotAllowed("This address does not know this method.", allow=[*METHODS])
        caller = self._caller(seen)
        body = await self._whole_body()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_again)
            await neighbour(caller, self._request_id, self._scope, _received(body), self._pass_on)
            nursery.cancel_scope.cancel()

    def _is_preflight(self, seen: Seen) -> bool:
        """Check the Origin; return whether a page only asks if it may ask."""
        origin = self._headers.get("Origin", "")
        preflight = self._scope["method"] == "OPTIONS" and bool(
            self._headers.get("Access-Control-Request-Method", "")
        )
        wanted = self._headers.get("Access-Control-Request-Headers", "").lower()
        token = Credentials.of(self._headers).token
        bearer = "authorization" in wanted if preflight else bool(token)
        allowed = self._gate.check_origin(seen, origin, bearer=bearer)
        if allowed is not None:
            self._more = cors_headers(allowed, preflight=preflight)
        return preflight and allowed is not None

    def _caller(self, seen: Seen) -> Caller:
        credentials = Credentials.of(self._headers)
        caller = self._services.authenticator.authenticate(credentials)
        unsafe = bool(credentials.cookie) and self._scope["method"] not in SAFE
        if unsafe and not self._gate.is_own(seen, self._headers.get("Origin", "")):
            raise OriginNotAllowed("With a session, only this service's own pages may do that.")
        return caller

    async def _whole_body(self) -> bytes:
        with trio.move_on_after(limits.BODY_S):
            try:
                return bytes(await self._body)
            except RequestEntityTooLarge:
                raise TooLarge("The body is larger than 8 MiB.") from None
        raise BodyTooSlow("The body did not come in time.")

    async def _look_again(self) -> None:
        """End the exchange once its credential counts no more."""
        credentials = Credentials.of(self._headers)
        while True:
            await trio.sleep(self._recheck_s)
            self._services.authenticator.authenticate(credentials)

    async def _pass_on(self, message: Message) -> None:
        """Send a message of the neighbour's, with the headers that every answer has."""
        if message["type"] != "http.response.start":
            silent = self._scope["method"] == "HEAD"
            await self._send({**message, "body": b""} if silent else message)
            return
        self._status, told = int(message["status"]), dict(message["headers"])
        await self._send({**message, "headers": self._with_ours(message["headers"])})
        if told.get(b"content-type", b"").startswith(EVENTS):  # its reader waits for the header
            await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    def _with_ours(self, pairs: Pairs) -> Pairs:
        told = {name for name, _ in pairs}
        kept = [pair for pair in pairs if pair[0] not in ONE_HOP]
        kept += [(name, value.encode()) for name, value in self._more.items()]
        kept += [pair for pair in ALWAYS if pair[0] not in told and pair[0] not in self._more]
        return [*kept, (b"x-request-id", self._request_id.encode())]

    async def _refuse(self, group: BaseExceptionGroup[Any]) -> None:
        problem = refusal(group)
        assert problem is not None
        if not self._status:
            await self._say(problem)
        elif isinstance(problem, Unauthenticated):  # revoked in the midst of an answer: it ends
            await self._pass_on({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            raise group

    async def _say(self, problem: Problem) -> None:
        """Send the problem document; a late body is waited for, else it would cost the line."""
        with trio.move_on_after(limits.LATE_BODY_S):
            await self._body._complete.wait()  # noqa: SLF001 - Quart offers no other way
        body = orjson.dumps(document(problem, self._request_id))
        headers = [(b"content-type", MEDIA_TYPE.encode())]
        headers += [(b"content-length", str(len(body)).encode())]
        told = headers_of(problem).items()
        headers += [(name.lower().encode(), value.encode()) for name, value in told]
        start = {"type": "http.response.start", "status": problem.status, "headers": headers}
        await self._pass_on(start)
        await self._pass_on({"type": "http.response.body", "body": body, "more_body": False})


def _received(body: bytes) -> Receive:
    """Return ASGI's `receive` of a request that has come whole; a leaving client cancels it all."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await trio.sleep_forever()
        return messages.pop()

    return receive
