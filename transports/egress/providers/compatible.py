"""A configured endpoint: one of the four wires, asked over the network.

What happened on the wire decides the end: its own mark, `[DONE]` without a reason, a clean end of
the body (the generator just stops: truncated), a broken or silent connection (UpstreamLost), an
error in whatever form (UpstreamSaid). Leaving the generator closes the connection, which is what
tells the provider to stop. What fails before its first word is asked for again, as `retrying` says.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from math import inf
from random import Random, SystemRandom
from typing import TYPE_CHECKING

import orjson
import structlog
import trio

from runtime import limits
from runtime.problems import Upstream, UpstreamLost, UpstreamSaid
from transports.egress import guard
from transports.egress.guard import Reach
from transports.egress.providers import chat_wire, facts, retrying
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Model,
    NetworkOptions,
    Noted,
    Part,
    Request,
    Retracted,
    Usage,
)
from transports.egress.providers.drafting import Drafter, drafter_for
from transports.egress.providers.patience import Patience
from transports.egress.providers.prices import PUBLIC, Prices, Rates
from transports.egress.providers.upstream_errors import said, strange, without
from transports.egress.providers.wire import Answer
from transports.egress.providers.wires import WIRES, own
from transports.egress.sse_decoder import SseDecoder

if TYPE_CHECKING:
    import httpx2

    from transports.egress.connection import Client

log = structlog.get_logger(__name__)

OK = 200
JSON = "application/json"
STREAM = "text/event-stream"
REQUEST_IDS = ("x-request-id", "request-id")
AGAIN = Noted(
    code="asked-again", detail="The provider failed before its first word and is asked again."
)
DROPPED = Noted(
    code="foreign-state-dropped",
    detail="What another model thought, in a form that only it can read, was left out.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What the settings say of one endpoint.

    Args:
        name: the first word of its models' ids.
        base_url: what comes before the wire's own path.
        wire: one of `wires.WIRES`.
        vendor: whose models they are: what is known of them, what they cost, and whose SDK asks.
        models: the provider's own names.
        first_byte_s: its first event is there by then.
        idle_s: an answer may be without a further part for so long.
        total_s: of one try.
        retries: how often it is asked again.
        reach: where its client may go; exempts the endpoint's own place where the settings say so.
        chance: of the pauses before a retry, and of its key.
    """

    name: str
    base_url: str
    models: tuple[str, ...]
    wire: str = chat_wire.WIRE
    vendor: str | None = None
    api_key: str = field(default="", repr=False)
    context: int | None = None
    concurrency: int = limits.UPSTREAM_JOBS_MAX
    first_byte_s: float = limits.PROVIDER_IDLE_S
    idle_s: float = limits.PROVIDER_IDLE_S
    total_s: float = limits.EGRESS_TOTAL_S
    retries: int = 0
    reach: Reach = field(default_factory=Reach)
    prices: Prices = PUBLIC
    chance: Random = field(default_factory=SystemRandom)


class Compatible:
    """The provider behind one endpoint."""

    merges = True
    patience_s = inf  # it has its own

    def __init__(self, endpoint: Endpoint) -> None:
        """Open nothing yet.

        Raises:
            ValueError: the base URL cannot be used.
        """
        guard.origin(endpoint.base_url)
        self._settings = endpoint
        self.endpoint = endpoint.name
        self.concurrency = endpoint.concurrency
        self._wire = WIRES[endpoint.wire]
        self.models: tuple[Model, ...] = tuple(map(self._model, dict.fromkeys(endpoint.models)))
        self._client: Client | None = None
        self._drafter: Drafter | None = None

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield the provider's answer.

        Raises:
            UpstreamSaid: the provider said an error.
            UpstreamLost: the connection could not be made, broke, or fell silent.
        """
        request, dropped = own(self._wire.name, request)
        if request.wanted.whole and not self._wire.tells_whole:
            request = replace(request, wanted=replace(request.wanted, whole=False))
        if dropped:
            yield replace(DROPPED, count=dropped)
        settings = self._settings
        key = f"{settings.chance.getrandbits(128):032x}"
        for tried in count(1):
            begun = spoken = False
            try:
                async with aclosing(self._once(request, key)) as parts:
                    async for part in parts:
                        begun = begun or isinstance(part, ItemStart)
                        spoken = spoken or isinstance(part, Delta | ItemDone | End)
                        yield part
            except Upstream as problem:
                may = not spoken and tried <= settings.retries
                pause_s = retrying.pause_s(problem, tried, settings.chance) if may else None
                if pause_s is None:
                    raise
                log.info("provider_asked_again", job_id=request.job_id, error=problem.detail)
            else:
                return
            if begun:
                yield Retracted()
            yield AGAIN
            await trio.sleep(pause_s)

    async def _once(self, request: Request, key: str) -> AsyncGenerator[Part, None]:
        """Yield the answer of one try."""
        answer = self._wire.answer(request.model.name)
        problem: Upstream | None = None
        try:
            async with aclosing(self._parts(request, answer, key)) as parts:
                async for part in parts:
                    yield part
        except UpstreamSaid as error:
            problem = without(error, self._settings.api_key)
        except UpstreamLost as error:
            problem = None if answer.reason else error  # after the wire's own mark it is no loss
        if answer.usage:
            whole = answer.reason is not None or answer.is_done
            yield await self._priced(request, answer.usage, whole=whole)
        if problem:
            raise problem
        for part in answer.close():
            yield part
        if answer.ignored:
            log.info("provider_unknown_values", job_id=request.job_id, count=answer.ignored)

    async def _priced(self, request: Request, usage: Usage, *, whole: bool) -> Usage:
        """Return the usage with what it cost, marked where the answer was broken off."""
        usage = usage if whole else replace(usage, source="partial")
        if request.model.rates:
            own_cost = Rates.of(request.model.rates).cost(usage)
            return replace(usage, cost=own_cost.to_json()) if own_cost else usage
        if self._settings.vendor is None:
            return usage
        await self._settings.prices.load()
        cost = self._settings.prices.cost(
            self._settings.vendor,
            self._wire.name,
            request.model.name,
            usage,
            datetime.fromtimestamp(request.at_ms / 1000, UTC),
        )
        return replace(usage, cost=cost.to_json()) if cost else usage

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client:
            await client.aclose()

    def _model(self, name: str) -> Model:
        known = facts.find(self._settings.vendor, name)
        return Model(
            id=f"{self.endpoint}/{name}",
            endpoint=self.endpoint,
            context=self._settings.context or known.context or known.input_limit,
            output_limit=known.output_limit,
            abilities=("text", *(known.abilities or ())),
            inputs=known.inputs,
            efforts=known.efforts,
            ends_on=known.ends_on,
            vendor=self._settings.vendor,
            options=NetworkOptions,
        )

    async def _parts(
        self, request: Request, answer: Answer, key: str
    ) -> AsyncGenerator[Part, None]:
        """Yield what the wire says, until it says no more."""
        client = self._client = self._client or self._make_client()
        from transports.egress import connection  # noqa: PLC0415 -- as in guard; loaded by now

        settings = self._settings
        times = limits.UPSTREAM_WHOLE_TIMES if request.wanted.whole else 1
        first_s = times * settings.first_byte_s
        patience = Patience(first_s, settings.idle_s, settings.total_s)
        with connection.lost():
            response = await self._send(client, request, key, patience)
            async with aclosing(response):
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if response.status_code != OK:
                    raise await self._refusal(response)
                if kind == JSON:  # it does not stream; its answer comes whole
                    whole = await guard.body(response, limits.UPSTREAM_BODY_BYTES)
                    for part in self._whole(whole, answer):
                        yield part
                elif kind == STREAM:
                    async with aclosing(_told(response, answer, patience)) as parts:
                        async for part in parts:
                            yield part
                else:
                    raise strange("The provider answered with something else than a stream.")

    async def _send(
        self, client: Client, request: Request, key: str, patience: Patience
    ) -> httpx2.Response:
        headers = {"traceparent": request.traceparent} if request.traceparent else {}
        headers |= {self._wire.once: key} if self._wire.once else {}
        headers["Accept"] = JSON if request.wanted.whole else STREAM
        body = self._wire.body(request)
        with trio.CancelScope(deadline=patience.until) as waiting:
            drafter = self._drafter = self._drafter or await self._make_drafter(client)
            sent = await drafter.draft(request.model.name, body, headers)
            sent.extensions["timeout"] = times = client.timeout.as_dict()  # a drafter's own go
            if request.wanted.whole:
                times["read"] = None  # it is silent until its end: see `patience`
            return await client.send(sent, stream=True)
        assert waiting.cancelled_caught, "or it would have returned"
        raise patience.lost()

    def _whole(self, body: bytes, answer: Answer) -> Iterator[Part]:
        """Yield the parts of an answer that came in one piece: it does not stream."""
        text = body.decode(errors="replace")
        try:
            payloads = self._wire.whole(text)
        except orjson.JSONDecodeError as error:
            raise strange("The provider sent what is not JSON.") from error
        for payload in payloads:
            yield from answer.take(payload)

    def _make_client(self) -> Client:
        return guard.client(self._settings.reach, base_url=self._settings.base_url.rstrip("/"))

    async def _make_drafter(self, client: Client) -> Drafter:
        settings = self._settings
        base_url, key = settings.base_url.rstrip("/"), settings.api_key
        return await drafter_for(
            self._wire, client, vendor=settings.vendor, base_url=base_url, key=key
        )

    async def _refusal(self, response: httpx2.Response) -> UpstreamSaid:
        """Return the error in a response that is none of our answers."""
        status = response.status_code
        words = (await guard.body(response, limits.UPSTREAM_ERROR_BYTES)).decode(errors="replace")
        try:
            document = orjson.loads(words)
        except orjson.JSONDecodeError:
            document = {"message": f"The provider answered with status {status}."}
        named = (response.headers.get(name) for name in REQUEST_IDS)
        known = next(filter(None, named), None)
        wait_s = retrying.told_s(response.headers)
        return said(document, status=status, request_id=known, retry_after_s=wait_s)


async def _told(
    response: httpx2.Response, answer: Answer, patience: Patience
) -> AsyncGenerator[Part, None]:
    """Yield the parts of a stream; early what is known of its usage, in case it is broken off."""
    is_told = False
    async with aclosing(_events(response, answer, patience)) as events:
        async for payload in events:
            if not patience.heard:
                patience.hear()
            for part in answer.take(payload):
                yield part
                patience.hear()
            if not is_told and answer.usage and not answer.reason:
                is_told = True
                yield replace(answer.usage, source="partial")


async def _events(
    response: httpx2.Response, answer: Answer, patience: Patience
) -> AsyncGenerator[str, None]:
    """Yield payloads until the answer is done, the body ends, or a while after its own end.

    What the end of the body cut in its middle is left out: that half was never said. Hundreds of
    events can come in one read: the first go their way before the rest is looked at.
    """
    decoder, chunks, came = SseDecoder(), response.aiter_raw(), 0
    while not answer.is_done:
        after_end = trio.current_time() + limits.UPSTREAM_AFTER_END_S
        chunk = None
        with trio.CancelScope(deadline=after_end if answer.reason else patience.until) as waiting:
            chunk = await anext(chunks, None)
        if waiting.cancelled_caught and not answer.reason:
            raise patience.lost()
        for event in decoder.close() if chunk is None else decoder.feed(chunk):
            if chunk is not None or _is_whole(event.data):
                yield event.data
            came += 1
            if came in limits.FIRST_EVENTS or not came % limits.MADE_PARTS_BURST:
                await trio.lowlevel.checkpoint()
        if chunk is None:
            return
    await _finish(chunks)


async def _finish(chunks: AsyncIterator[bytes]) -> None:
    """Read the end of a body that has said all, if it comes now: its connection is used again."""
    from transports.egress import connection  # noqa: PLC0415 -- as in guard; loaded by now

    with suppress(UpstreamLost), connection.lost(), trio.move_on_after(limits.UPSTREAM_FINISH_S):
        async for _ in chunks:
            pass


def _is_whole(payload: str) -> bool:
    if payload.strip() == chat_wire.DONE:
        return True
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return True
