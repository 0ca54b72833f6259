"""A compatible endpoint on loopback, and what a spec asks it and hears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import trio

from harness.upstream.program import Upstream
from harness.upstream.script import Script
from runtime.problems import Upstream as Failure
from runtime.problems import UpstreamLost, UpstreamSaid
from transports.egress.guard import Reach
from transports.egress.providers.asked import said
from transports.egress.providers.base import Delta, Options, Part, Request
from transports.egress.providers.compatible import Compatible, Endpoint

KEY = "made-up-key"
USAGE = {"prompt_tokens": 3, "completion_tokens": 3}
TEXT = "Hello from upstream."
CHAT, RESPONSES = "openai-chat", "openai-responses"
CLAUDE, GEMINI = "anthropic-messages", "google-generate"
VENDORS = {CHAT: "openai", RESPONSES: "openai", CLAUDE: "anthropic", GEMINI: "google"}
WIRES = tuple(VENDORS)


@asynccontextmanager
async def reaching(
    *scripts: Script,
    idle_s: float = 5.0,
    key: str = KEY,
    wire: str = CHAT,
    vendor: str | None = None,
    retries: int = 0,
) -> AsyncIterator[tuple[Compatible, Upstream]]:
    """Run an upstream on loopback with models m0, m1, ... and a provider that may go there."""
    upstream = Upstream({f"m{number}": script for number, script in enumerate(scripts)})
    async with trio.open_nursery() as nursery:
        port = await nursery.start(upstream.serve)
        provider = Compatible(
            Endpoint(
                name="up",
                base_url=f"http://127.0.0.1:{port}/v1/",
                models=tuple(upstream.scripts),
                api_key=key,
                wire=wire,
                vendor=vendor,
                retries=retries,
                reach=Reach(exempt=frozenset({("127.0.0.1", port)}), idle_s=idle_s),
            )
        )
        with trio.fail_after(10):
            yield provider, upstream
        await provider.aclose()
        nursery.cancel_scope.cancel()


def asking(provider: Compatible, name: str = "m0", options: Options | None = None) -> Request:
    model = next(each for each in provider.models if each.id == f"up/{name}")
    messages = (said("user", "Hi \u2028 \U0001f600"),)
    return Request(job_id="job_1", model=model, input=messages, options=options or Options())


async def heard(
    provider: Compatible, name: str = "m0", request: Request | None = None
) -> tuple[list[Part], Failure | None]:
    parts: list[Part] = []
    try:
        async with aclosing(provider.answer(request or asking(provider, name))) as answer:
            async for part in answer:
                parts.append(part)  # noqa: PERF401 -- what came before an error counts
    except (UpstreamSaid, UpstreamLost) as failure:
        return parts, failure
    return parts, None


def text(parts: list[Part]) -> str:
    return "".join(part.text or "" for part in parts if isinstance(part, Delta))
