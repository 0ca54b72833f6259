"""A configured endpoint that speaks OpenAI's chat-completions wire, `wire = "openai-chat"`.

What happened on the wire decides the end: its own mark, `[DONE]` without a reason, a clean end of
the body (the generator just stops: truncated), a broken or silent connection (UpstreamLost), an
error in whatever form (UpstreamSaid). Nothing is tried again here. Leaving the generator closes the
connection, which is what tells the provider to stop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import orjson
import structlog
import trio

from runtime import limits
from runtime.problems import Upstream, UpstreamLost, UpstreamSaid
from transports.egress import guard
from transports.egress.guard import Reach
from transports.egress.providers.base import Model, Options, Part, Request
from transports.egress.providers.chat_wire import ChatAnswer, said
from transports.egress.sse_decoder import ServerEvent, SseDecoder

if TYPE_CHECKING:
    import httpx2

    from transports.egress.connection import Client

log = structlog.get_logger(__name__)

OK = 200
REQUEST_IDS = ("x-request-id", "request-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What the settings say of one endpoint.

    Args:
        name: the first word of its models' ids.
        base_url: what comes before `/chat/completions`.
        models: the provider's own names.
        reach: where its client may go; exempts the endpoint's own place where the settings say so.
    """

    name: str
    base_url: str
    models: tuple[str, ...]
    api_key: str = field(default="", repr=False)
    context: int | None = None
    concurrency: int = limits.UPSTREAM_JOBS_MAX
    reach: Reach = field(default_factory=Reach)


class Compatible:
    """The provider behind one endpoint."""

    merges = True

    def __init__(self, endpoint: Endpoint) -> None:
        """Open nothing yet.

        Raises:
            ValueError: the base URL cannot be used.
        """
        guard.origin(endpoint.base_url)
        self._settings = endpoint
        self.endpoint = endpoint.name
        self.concurrency = endpoint.concurrency
        self.models: tuple[Model, ...] = tuple(
            Model(id=f"{endpoint.name}/{name}", endpoint=endpoint.name, context=endpoint.context)
            for name in endpoint.models
        )
        self._client: Client | None = None

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield the provider's answer.

        Raises:
            UpstreamSaid: the provider said an error.
            UpstreamLost: the connection could not be made, broke, or fell silent.
        """
        answer = ChatAnswer()
        problem: Upstream | None = None
        try:
            async with aclosing(self._parts(request, answer)) as parts:
                async for part in parts:
                    yield part
        except UpstreamSaid as error:
            problem = error
        except UpstreamLost as error:
            problem = None if answer.reason else error  # after the wire's own mark it is no loss
        if answer.usage:
            yield answer.usage
        if problem:
            raise problem
        for part in answer.close():
            yield part
        if answer.ignored:
            log.info("provider_unknown_values", job_id=request.job_id, count=answer.ignored)

    async def aclose(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client:
            await client.aclose()

    async def _parts(self, request: Request, answer: ChatAnswer) -> AsyncGenerator[Part, None]:
        """Yield what the wire says, until it says no more."""
        client = self._client = self._client or self._make_client()
        from transports.egress import connection  # noqa: PLC0415 -- as in guard; loaded by now

        with connection.lost():
            trace = {"traceparent": request.traceparent} if request.traceparent else {}
            sent = client.stream("POST", "/chat/completions", json=_body(request), headers=trace)
            async with sent as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if response.status_code != OK:
                    raise await self._refusal(response)
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise _strange("The provider sent a coding that was not asked for.")
                if kind == "application/json":  # it does not stream; its answer comes whole
                    whole = await guard.body(response, limits.UPSTREAM_BODY_BYTES)
                    for part in answer.take(whole.decode(errors="replace")):
                        yield part
                elif kind == "text/event-stream":
                    async with aclosing(_events(response, answer)) as events:
                        async for event in events:
                            for part in answer.take(event.data):
                                yield part
                else:
                    raise _strange("The provider answered with something else than a stream.")

    def _make_client(self) -> Client:
        headers = {"Accept": "text/event-stream"}
        if self._settings.api_key:
            headers["Authorization"] = f"Bearer {self._settings.api_key}"
        base_url = self._settings.base_url.rstrip("/")
        return guard.client(self._settings.reach, base_url=base_url, headers=headers)

    async def _refusal(self, response: httpx2.Response) -> UpstreamSaid:
        """Return the error in a response that is none of our answers, without our key in it."""
        status = response.status_code
        words = (await guard.body(response, limits.UPSTREAM_ERROR_BYTES)).decode(errors="replace")
        if self._settings.api_key:
            words = words.replace(self._settings.api_key, "***")
        try:
            document = orjson.loads(words)
        except orjson.JSONDecodeError:
            document = {"message": f"The provider answered with status {status}."}
        named = (response.headers.get(name) for name in REQUEST_IDS)
        return said(document, status=status, request_id=next(filter(None, named), None))


async def _events(
    response: httpx2.Response, answer: ChatAnswer
) -> AsyncGenerator[ServerEvent, None]:
    """Yield events until [DONE], the end of the body, or a while after the answer's own end."""
    decoder, chunks = SseDecoder(), response.aiter_raw()
    while not answer.is_done:
        wait_s = limits.UPSTREAM_AFTER_END_S if answer.reason else inf
        chunk = None
        with trio.move_on_after(wait_s):
            chunk = await anext(chunks, None)
        for event in decoder.close() if chunk is None else decoder.feed(chunk):
            yield event
        if chunk is None:
            return


def _body(request: Request) -> dict[str, Any]:
    options: Options = request.options
    asked = {
        "temperature": options.temperature,
        "max_tokens": options.max_output_tokens,
        "seed": options.seed,
    }
    return {
        "model": request.model.id.removeprefix(f"{request.model.endpoint}/"),
        "messages": [{"role": each.role, "content": each.text} for each in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    } | {name: value for name, value in asked.items() if value is not None}


def _strange(detail: str) -> UpstreamSaid:
    return UpstreamSaid(detail, code="protocol", **{"class": "protocol"})
