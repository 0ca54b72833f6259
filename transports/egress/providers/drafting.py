"""How a request to an endpoint is made: by its vendor's own SDK, or in the wire's plain words.

OpenAI, Anthropic and Google are asked by what their official packages build and authenticate: URL,
version of the API, form of the key and headers are the vendor's to say. The SDK is given a client
that sends nothing, and what it would have sent is the draft: sending, times, retries, bounds and
the reading of the answer stay ours. The body goes in as it is, since it holds what a model said to
the byte. Whoever else speaks a wire, and an endpoint without a key, is asked plainly.
Importing an SDK takes 0.4 to 1.6 s and 20 to 45 MB: on a thread, when its endpoint is first asked.
Source: openai 3.54, anthropic 2.12, google-genai 3.4; Anthropic's guide to API version 2026-10-21.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import trio

from transports.egress.providers import (
    anthropic_wire,
    chat_wire,
    google_request,
    google_wire,
    responses_wire,
)
from transports.egress.providers.wires import ANTHROPIC_SAMPLING_VERSION, Wire

if TYPE_CHECKING:
    import anthropic
    import httpx2
    import openai

    from transports.egress.connection import Client

JSON = "application/json"
# What the SDKs take from the environment without being asked: another's headers, and a log that
# would hold the words of people. An endpoint's settings alone say what is sent to it.
AMBIENT = (
    *("ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_LOG", "GOOGLE_GENAI_HTTP_CLIENT"),
    *("OPENAI_CUSTOM_HEADERS", "OPENAI_LOG", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
)
SAMPLING = frozenset({"temperature", "top_k", "top_p"})
NO_HEADERS: Mapping[str, str] = {}
NEVER = "a client that sends nothing has answered"


class Drafter(Protocol):
    """Makes the requests of one endpoint."""

    async def draft(
        self, model: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx2.Request:
        """Return a request, ready to be sent.

        Args:
            model: the provider's own name.
            headers: of this request alone.
        """
        ...


class Plain:
    """Asks in the wire's plain words."""

    def __init__(self, wire: Wire, client: Client, key: str) -> None:
        self._wire, self._client = wire, client
        self._headers = {"Content-Type": JSON, **wire.headers(key)}
        self._places: dict[str, httpx2.URL] = {}  # by a model's path; as many as there are models

    async def draft(
        self, model: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx2.Request:
        """Return a request; a URL is put together once a model."""
        path = self._wire.path(model)
        where, content = self._places.get(path, path), _encoded(body)
        made = self._client.build_request(
            "POST", where, content=content, headers={**self._headers, **headers}
        )
        self._places[path] = made.url
        return made


class Posting:
    """Asks by a package whose client posts what it is given.

    Args:
        unsent: what the package raises where its client sends nothing.
        sampling: headers of a request that says how to sample.
    """

    def __init__(
        self,
        wire: Wire,
        sdk: openai.AsyncOpenAI | anthropic.AsyncAnthropic,
        unsent: type[openai.APIConnectionError | anthropic.APIConnectionError],
        *,
        sampling: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        self._wire, self._sdk, self._unsent, self._sampling = wire, sdk, unsent, sampling

    async def draft(
        self, model: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx2.Request:
        """Return a request."""
        sampling = self._sampling if body.keys() & SAMPLING else NO_HEADERS
        how: Any = {"headers": {"Content-Type": JSON, **sampling, **headers}}
        try:
            await self._sdk.post(
                self._wire.path(model), cast_to=object, content=_encoded(body), options=how
            )
        except self._unsent as unsent:
            return unsent.request
        raise AssertionError(NEVER)


def _by_openai(wire: Wire, base_url: str, key: str) -> Drafter:
    import openai  # noqa: PLC0415 -- slow; see above

    from transports.egress import connection  # noqa: PLC0415 -- as in guard

    nowhere = connection.unsending()
    sdk = openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, http_client=nowhere)
    return Posting(wire, sdk, openai.APIConnectionError)


def _by_anthropic(wire: Wire, base_url: str, key: str) -> Drafter:
    """Return what asks by Anthropic's package.

    The version of the API that it names refuses what says how to sample; a request that does goes
    by the version before, which leaves that to the model.
    """
    import anthropic  # noqa: PLC0415 -- slow; see above

    from transports.egress import connection  # noqa: PLC0415 -- as in guard

    nowhere = connection.unsending()
    sdk = anthropic.AsyncAnthropic(
        api_key=key, base_url=base_url, max_retries=0, http_client=nowhere
    )
    older = {"anthropic-version": ANTHROPIC_SAMPLING_VERSION}
    return Posting(wire, sdk, anthropic.APIConnectionError, sampling=older)


class Google:
    """Asks by the `google-genai` package; the words it must be given are replaced by the body's."""

    def __init__(self, wire: Wire, base_url: str, key: str) -> None:
        from google import genai  # noqa: PLC0415 -- slow; see above

        from transports.egress import connection  # noqa: PLC0415 -- as in guard

        self._unsent = connection.Unsent
        nobody = {"verify": connection.trusting_nobody()}  # else it reads what the machine trusts
        version, _, _ = wire.path("").strip("/").partition("/")
        self._sdk = genai.Client(
            api_key=key,
            vertexai=False,
            http_options=genai.types.HttpOptions(
                base_url=base_url,
                api_version=version,
                client_args=nobody,
                async_client_args=nobody,
                httpx_async_client=connection.unsending(),
            ),
        )

    async def draft(
        self, model: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx2.Request:
        """Return a request."""
        how: Any = {"http_options": {"extra_body": body, "headers": headers}}
        try:
            async for _ in await self._sdk.aio.models.generate_content_stream(
                model=google_request.place(model), contents="-", config=how
            ):
                pass
        except self._unsent as unsent:
            return unsent.request
        raise AssertionError(NEVER)


Make = Callable[[Wire, str, str], Drafter]
OFFICIAL: Mapping[tuple[str, str], Make] = {  # by vendor and wire
    ("openai", chat_wire.WIRE): _by_openai,
    ("openai", responses_wire.WIRE): _by_openai,
    ("anthropic", anthropic_wire.WIRE): _by_anthropic,
    ("google", google_wire.WIRE): Google,
}


async def drafter_for(
    wire: Wire, client: Client, *, vendor: str | None, base_url: str, key: str
) -> Drafter:
    """Return what makes the requests of an endpoint: without a key there is nothing to sign."""
    make = OFFICIAL.get((vendor or "", wire.name)) if key else None
    if make is None:
        return Plain(wire, client, key)
    for name in AMBIENT:
        os.environ.pop(name, None)
    return await trio.to_thread.run_sync(make, wire, base_url, key)


def _encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body's bytes; a long history takes a tenth of the time that httpx2's way does."""
    try:
        return orjson.dumps(body)
    except TypeError:  # an integer beyond 64 bits, in somebody's schema
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
