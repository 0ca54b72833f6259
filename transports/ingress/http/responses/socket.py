"""The Responses API over a WebSocket: one `response.create` after the other, each answered whole.

A response that is not stored can be gone on from on its own connection alone, until the connection
ends or going on from it fails. Who leaves has the answer under way ended. What is refused is an
event, and the connection stays. Source: Open Responses 2026-04-24, "WebSocket mode"; contract
section 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson
import structlog
import trio

from actors.turn_desk import Found
from runtime import limits
from runtime.caller import Caller
from runtime.problems import InternalError, Invalid, NotFound, OriginNotAllowed, Problem, TooLarge
from transports.ingress.http import dto, openai_errors
from transports.ingress.http.caller import Credentials
from transports.ingress.http.context import Services
from transports.ingress.http.fields import Fields
from transports.ingress.http.gate import Gate
from transports.ingress.http.problems import NOTHING_HERE
from transports.ingress.http.responses.asked import CreateResponse
from transports.ingress.http.responses.beginning import begin, wanted
from transports.ingress.http.responses.projection import Projection
from transports.ingress.http.responses.resource import Shown, job_id_of
from transports.ingress.http.sockets import TOO_LARGE, Message, Send, SocketMail

PATH: Final = "/v1/responses"
OF_HTTP: Final = ("stream", "stream_options", "background")  # have no meaning over a socket
CREATE: Final = "response.create"
GOING_AWAY: Final = 1001  # RFC 6455, section 7.4.1
log = structlog.get_logger(__name__)


class ResponsesSocket:
    """One connection of one caller."""

    def __init__(
        self, known: Services, gate: Gate, scope: Any, mail: SocketMail, send: Send
    ) -> None:
        self._known, self._gate, self._scope = known, gate, scope
        self._mail, self._send = mail, send
        self._credentials = Credentials()
        self.caller = Caller(tenant="", user="")
        self._unstored: dict[str, None] = {}  # jobs of this connection, the newest last
        self._waiting = trio.CancelScope()

    async def run(self) -> None:
        """Let the client in, or refuse it; then answer until it leaves or the service stops."""
        try:
            self._come_in()
            self._known.readers.admit(self.caller)
        except Problem as problem:
            await self._refuse(problem)
            return
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        self._known.readers.join(self)
        try:
            with self._mail.scope:
                await self._serve()
        finally:
            self._known.readers.leave(self)

    def wake(self) -> None:
        """Let a connection that waits for its client end: the service is stopping."""
        self._waiting.cancel()

    def _come_in(self) -> None:
        headers = Fields(self._scope["headers"])
        seen = self._gate.see(
            scheme="https" if self._scope["scheme"] == "wss" else "http",
            headers=headers,
            client=self._scope.get("client"),
            server=self._scope.get("server"),
        )
        self._gate.check_host(seen)
        if self._scope["path"].rstrip("/") != PATH:
            raise NotFound(NOTHING_HERE)
        self._credentials = Credentials.of(headers)
        origin = headers.get("Origin", "")
        self._gate.check_origin(seen, origin, bearer=bool(self._credentials.token))
        self.caller = self._known.authenticator.authenticate(self._credentials)
        if self._credentials.cookie and not self._gate.is_own(seen, origin):
            raise OriginNotAllowed("With a session, only this service's own pages may do that.")

    async def _refuse(self, problem: Problem) -> None:
        body = orjson.dumps({"error": openai_errors.error_of(problem)})
        status = openai_errors.status_of(type(problem))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
        await self._send(start)
        await self._send({"type": "websocket.http.response.body", "body": body})

    async def _serve(self) -> None:
        while not self._known.readers.draining:
            message: Message | None = None
            with trio.CancelScope() as self._waiting:
                message = await self._mail.take()
            if message is None:
                break
            if message is TOO_LARGE:
                await self._tell(TooLarge("The message is larger than 8 MiB."))
            elif message["type"] == "websocket.receive":
                await self._take(message)
        await self._send({"type": "websocket.close", "code": GOING_AWAY})

    async def _take(self, message: Message) -> None:
        """Answer one message; what cannot be answered is told, and the connection goes on."""
        previous = ""
        try:
            body, previous = _read(message.get("text") or message.get("bytes") or b"")
            self.caller = self._known.authenticator.authenticate(self._credentials)
            new = wanted(self._known, body, unstored=self._unstored)
            request_id = self._known.ids.new("req_")
            begun = await begin(self._known, self.caller, new, request_id)
            whole = await self._answer(begun.found)
        except Problem as problem:
            self._unstored.pop(previous, None)
            await self._tell(problem)
        except Exception:
            log.exception("socket.failed")
            await self._tell(InternalError("Something went wrong here; it has been logged."))
        else:
            if not whole:
                self._unstored.pop(previous, None)
            elif not new.stored:
                self._keep(begun.found.job.id)

    def _keep(self, job_id: str) -> None:
        self._unstored[job_id] = None
        while len(self._unstored) > limits.SOCKET_RESPONSES_MAX:
            del self._unstored[next(iter(self._unstored))]

    async def _tell(self, problem: Problem) -> None:
        error = openai_errors.error_of(problem)
        status = openai_errors.status_of(type(problem))
        await self._say({"type": "error", "status": status, "error": error})

    async def _say(self, event: Any) -> None:
        await self._send({"type": "websocket.send", "text": orjson.dumps(event).decode()})

    async def _answer(self, found: Found) -> bool:
        """Send the events of a response; say whether it was not broken off."""
        projection = Projection(Shown.of(found.turn, found.job))
        place, kind = found.desk.log_of(found.job.id), ""
        try:
            while not place.ended:
                segments = place.read()
                for event in _events(projection, segments):
                    _, kind, data = event
                    await self._send({"type": "websocket.send", "text": data.decode()})
                if not segments:
                    await place.wait()
        except trio.Cancelled:
            found.desk.leave(found.job.id)
            raise
        return kind in {"response.completed", "response.incomplete"}


def _events(projection: Projection, segments: Iterable[Any]) -> Iterable[tuple[int, str, bytes]]:
    return (
        event
        for segment in segments
        for record in segment.records
        for event in projection.take(record)
    )


def _read(said: str | bytes) -> tuple[CreateResponse, str]:
    """Return the body of a `response.create`, and the job that it goes on from, "" for none.

    Raises:
        BadJson, Invalid: it is none.
    """
    raw = said.encode() if isinstance(said, str) else said
    document = dto.parse(raw)
    if not isinstance(document, dict) or document.pop("type", None) != CREATE:
        raise Invalid.at("/type", f"A message is an object of type {CREATE!r}.")
    for name in OF_HTTP:
        if name in document:
            raise Invalid.at(f"/{name}", "This is not taken over a WebSocket.")
    previous = document.get("previous_response_id")
    body = dto.read_body(orjson.dumps(document), CreateResponse)
    return body, job_id_of(previous) if isinstance(previous, str) else ""
