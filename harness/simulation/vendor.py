"""How the vendor's bytes reach the product: over a connection, or straight into its decoder.

Theory: over the wire the product's guard dials into the run's memory network and its HTTP client
reads head, chunks and body, so a break can come in any of them; a call then costs 4 ms. Without it
the body's bytes are handed to the provider as its client would hand them over, which costs a tenth;
the decoder, and all from there on, is the product's in both. Source: httpx2's client, as the
product uses it (`transports/egress/providers/compatible.py`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

import httpx2
import trio

from harness.simulation.network import Pipe, pair
from harness.simulation.scripted import Call, Scripted, ScriptedProvider, speech
from runtime import limits
from transports.egress import guard
from transports.egress.providers.compatible import Endpoint

HOST: Final = "vendor.test"
CONCURRENCY: Final = 6  # fewer than may run, so that calls wait their turn
JOB: Final = re.compile(rb"traceparent: (\S+)", re.IGNORECASE)
LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
ENDPOINT: Final = Endpoint(
    name="script", base_url=f"http://{HOST}/v1", models=("one",), concurrency=CONCURRENCY
)


class Straight(ScriptedProvider):
    """Takes the body's bytes from the vendor's hand."""

    def _make_client(self) -> Any:
        return Hand(self._vendor, Response)


@dataclass(frozen=True, slots=True)
class Sent:
    """What the provider uses of its client's request."""

    url: str
    headers: Mapping[str, str]
    extensions: dict[str, Any] = field(default_factory=lambda: {"timeout": {}})


@dataclass(slots=True)
class Hand:
    """What the provider uses of its HTTP client."""

    timeout: ClassVar[httpx2.Timeout] = httpx2.Timeout(None)  # a run has its own silence
    vendor: Scripted
    response: type[Response]

    def build_request(
        self,
        method: str,  # noqa: ARG002  httpx2's signature
        url: str,
        *,
        content: bytes,  # noqa: ARG002
        headers: Mapping[str, str],
    ) -> Sent:
        return Sent(url, headers)

    async def send(self, sent: Sent, *, stream: bool) -> Response:  # noqa: ARG002
        await trio.lowlevel.checkpoint()
        return self.response(self.vendor.take_call(sent.headers["traceparent"]))

    async def aclose(self) -> None:
        """There is nothing to close."""


class Response:
    """What the provider uses of its client's response."""

    def __init__(self, call: Call) -> None:
        self._call = call
        refused = call.script.end == "refuse"
        self.status_code = 503 if refused else 200
        self.headers = {"content-type": "text/event-stream"}

    async def aclose(self) -> None:
        """Let go of it."""
        self._call.answering = False

    def aiter_raw(self) -> AsyncIterator[bytes]:
        """Return the body's bytes as they come."""
        return _Pieces(self._call, self.heard)

    def heard(self, piece: bytes) -> bytes:
        """Return what the decoder is given of a piece."""
        return piece


class _Pieces(AsyncIterator[bytes]):
    """The bytes of one answer. No generator: whoever is cancelled leaves nothing to be closed."""

    def __init__(self, call: Call, heard: Callable[[bytes], bytes]) -> None:
        said = speech(call.script, framed=False)
        self._call, self._heard, self._said = call, heard, said
        self._pieces, self._sent = iter(said.pieces), 0

    async def __anext__(self) -> bytes:
        for pause_s, piece in self._pieces:
            await trio.sleep(pause_s)
            self._sent += len(piece)
            self._call.marked |= self._sent >= self._said.mark
            return self._heard(piece)
        if self._said.then == "reset":
            raise httpx2.ReadError("reset")
        if self._said.then == "stall":
            await trio.sleep(limits.PROVIDER_IDLE_S)
            raise httpx2.ReadTimeout("silence")
        raise StopAsyncIteration


class Exchanged(ScriptedProvider):
    """Goes over the network with the product's own client."""

    def __init__(self, vendor: Scripted, network: Network) -> None:
        reach = guard.Reach(exempt=frozenset({(HOST, 80)}), dial=network.dial)
        endpoint = Endpoint(
            name=ENDPOINT.name,
            base_url=ENDPOINT.base_url,
            models=ENDPOINT.models,
            concurrency=ENDPOINT.concurrency,
            reach=reach,
        )
        super().__init__(endpoint, vendor)


class Network:
    """The way from one life of the process to the vendor."""

    def __init__(self, vendor: Scripted, start: Callable[..., None]) -> None:
        self._vendor, self._start = vendor, start
        self._ours: dict[Pipe, None] = {}

    async def dial(self, host: str, port: int) -> trio.abc.Stream:  # noqa: ARG002
        """Return a connection to the vendor."""
        ours, theirs = pair()
        self._ours[ours] = None
        self._start(self._serve, theirs)
        await trio.lowlevel.checkpoint()
        return ours

    def hang_up(self) -> None:
        """Close what the dead process had open."""
        for each in self._ours:
            each.hang_up()

    async def _serve(self, stream: Pipe) -> None:
        try:
            while (asked := await self._request(stream)) is not None:
                await self._answer(stream, self._vendor.take_call(asked, stream.incoming))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            stream.hang_up()

    async def _request(self, stream: Pipe) -> str | None:
        """Return the job that asks; None where the connection has ended."""
        read = b""
        while True:
            piece = await stream.receive_some()
            if not piece:
                return None
            read += piece
            head, end, body = read.partition(b"\r\n\r\n")
            if end and len(body) >= int(cast("re.Match[bytes]", LENGTH.search(head))[1]):
                return cast("re.Match[bytes]", JOB.search(head))[1].decode()

    async def _answer(self, stream: Pipe, call: Call) -> None:
        said, sent = speech(call.script, framed=True), 0
        try:
            for pause_s, piece in said.pieces:
                if pause_s:
                    await _pause(stream, pause_s)
                sent += len(piece)
                call.marked |= sent >= said.mark
                await stream.send_all(piece)
            if said.then == "reset":
                stream.reset()
            elif call.script.at is not None:
                stream.outgoing.close()
            if said.then == "stall" or call.script.at is not None:
                await stream.receive_some()  # nothing, until the other side has had enough
        finally:
            call.answering = False


async def _pause(stream: Pipe, pause_s: float) -> None:
    """Wait, as long as the other side is there.

    Raises:
        BrokenResourceError: it has gone.
    """
    with trio.move_on_after(pause_s):
        await stream.receive_some()
        raise trio.BrokenResourceError
