"""The SDKs of the vendors, MCP and OAuth take the guard's client, and go where it lets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]
from google import genai
from mcp.client.streamable_http import streamable_http_client

from specs.requirements import requirement
from specs.unit.egress.small_server import serving, whole
from transports.egress import guard
from transports.egress.denial import Denied
from transports.egress.guard import Reach

INSIDE = "http://10.0.0.1"


async def ask_openai(url: str, client: Any) -> Any:
    sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", http_client=client, max_retries=0)
    return await sdk.models.list()


async def ask_anthropic(url: str, client: Any) -> Any:
    sdk = anthropic.AsyncAnthropic(base_url=url, api_key="k", http_client=client, max_retries=0)
    return await sdk.models.list()


async def ask_google(url: str, client: Any) -> Any:
    options = genai.types.HttpOptions(base_url=url, httpx_async_client=client)
    return await genai.Client(api_key="k", http_options=options).aio.models.list()


async def ask_mcp(url: str, client: Any) -> Any:
    from mcp import Client  # noqa: PLC0415 -- its name is a client's of ours too

    async with Client(streamable_http_client(f"{url}/mcp", http_client=client)) as session:
        return await session.list_tools()


async def ask_oauth(url: str, client: Any) -> Any:
    return await client.fetch_token(f"{url}/token", grant_type="client_credentials")


Ask = Callable[[str, Any], Awaitable[Any]]
EACH: dict[str, tuple[Ask, str]] = {
    "openai": (ask_openai, "GET /v1/models HTTP/1.1"),
    "anthropic": (ask_anthropic, "GET /v1/models HTTP/1.1"),
    "google": (ask_google, "GET /v1/models HTTP/1.1"),
    "mcp": (ask_mcp, "POST /mcp HTTP/1.1"),
    "oauth": (ask_oauth, "POST /token HTTP/1.1"),
}


def made(name: str, reach: Reach) -> Any:
    more = {"kind": AsyncOAuth2Client, "client_id": "me"} if name == "oauth" else {}
    return guard.client(reach, **more)


def leaves(error: BaseException) -> list[BaseException]:
    """Return an error, what is inside it and what is behind it."""
    found = [error]
    for each in found:
        inner = list(each.exceptions) if isinstance(each, BaseExceptionGroup) else []
        found += [*inner, *([each.__cause__] if each.__cause__ else [])]
    return found


@pytest.mark.parametrize("name", EACH)
async def test_a_library_speaks_through_the_guard(name: str) -> None:
    ask, expected = EACH[name]
    body = b'{"error": "no"}'
    async with (
        serving(lambda _: whole(body, "Content-Type: application/json", status="401 No")) as server,
        made(name, Reach(exempt=frozenset({("127.0.0.1", server.port)}))) as client,
    ):
        with pytest.raises(Exception):  # noqa: B017, PT011 -- each library's own
            await ask(server.url, client)
    assert server.requests[0][""] == expected


@pytest.mark.parametrize("name", EACH)
@requirement("egress.sdks")
async def test_a_library_is_stopped_by_the_guard(name: str) -> None:
    ask, _ = EACH[name]
    async with made(name, Reach()) as client:
        with pytest.raises(Exception) as raised:  # noqa: PT011 -- each library's own
            await ask(INSIDE, client)
    assert [each.rule for each in leaves(raised.value) if isinstance(each, Denied)] == ["private"]
