"""What is asked again, when, and how often; on virtual time, over a network in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

from harness.upstream.program import Upstream
from harness.upstream.script import Script, chunk
from runtime import limits
from runtime.problems import Upstream as Failure
from runtime.problems import UpstreamLost, UpstreamSaid
from specs.requirements import requirement
from specs.unit.egress import streams_of_others as others
from specs.unit.egress.streams_of_openai import sse
from transports.egress.guard import Reach
from transports.egress.providers.asked import said
from transports.egress.providers.base import (
    Delta,
    End,
    ItemStart,
    Noted,
    Options,
    Part,
    Request,
    Retracted,
    Usage,
)
from transports.egress.providers.compatible import Compatible, Endpoint
from transports.egress.providers.retrying import pause_s, told_s
from transports.egress.providers.wires import WIRES

GOOD = Script(text="Well.")
BASE_S, CAP_S = limits.UPSTREAM_RETRY_S


def failing(status: int = 503, code: str = "overloaded_error", **headers: str) -> Script:
    error = {"error": {"type": code, "message": "Not now."}}
    return Script(
        status=status, error=error, headers={k.replace("_", "-"): headers[k] for k in headers}
    )


class InTurn(Upstream):
    """An upstream whose answers come one after the other, whatever is asked."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__()
        self.coming = list(scripts)

    def find(self, model: str) -> Script | None:
        return self.coming.pop(0) if self.coming else GOOD


@asynccontextmanager
async def asking(
    *scripts: Script, wire: str = "openai-chat", **settings: Any
) -> AsyncIterator[tuple[Compatible, InTurn]]:
    upstream = InTurn(*scripts)
    async with trio.open_nursery() as nursery:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(upstream.serve_stream, theirs)
            return ours

        reach = Reach(exempt=frozenset({("memory", 80)}), dial=dial)
        endpoint = Endpoint(
            name="up",
            base_url="http://memory",
            models=("m",),
            wire=wire,
            reach=reach,
            chance=Random(7),  # noqa: S311  a seed
            **{"retries": 2, **settings},
        )
        provider = Compatible(endpoint)
        yield provider, upstream
        await provider.aclose()
        nursery.cancel_scope.cancel()


async def heard(provider: Compatible) -> tuple[list[Part], Failure | None]:
    parts: list[Part] = []
    asked = (said("user", "Hi"),)
    request = Request(job_id="j", model=provider.models[0], input=asked, options=Options())
    try:
        async with aclosing(provider.answer(request)) as answer:
            async for part in answer:
                parts.append(part)  # noqa: PERF401  what came before an error counts
    except (UpstreamSaid, UpstreamLost) as failure:
        return parts, failure
    return parts, None


def text(parts: list[Part]) -> str:
    return "".join(part.text or "" for part in parts if isinstance(part, Delta))


@requirement("providers.again")
@pytest.mark.parametrize(
    "failure",
    [
        failing(429, "rate_limit_error"),
        failing(503),
        failing(500, "server_error"),
        Script(cut_events=0, then="close"),
        Script(chunks=({"error": {"type": "overloaded_error", "message": "Not now."}},)),
    ],
    ids=["rate", "overloaded", "server", "broken", "an error in the stream"],
)
async def test_a_failure_before_the_first_word_is_asked_again(
    failure: Script, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking(failure, failure) as (provider, upstream):
        parts, problem = await heard(provider)
    assert problem is None
    assert (text(parts), parts[-1]) == ("Well.", End(provider_reason="stop"))
    assert [part.code for part in parts if isinstance(part, Noted)] == ["asked-again"] * 2
    assert [part for part in parts if isinstance(part, Retracted)] == []
    keys = {record.headers["idempotency-key"] for record in upstream.records}
    assert (len(upstream.records), len(keys)) == (3, 1)
    waits = [record.began_at for record in upstream.records]
    assert 0 < waits[1] - waits[0] <= BASE_S
    assert waits[2] - waits[1] <= 2 * BASE_S


@requirement("providers.again")
async def test_two_answers_have_two_keys_and_only_where_the_vendor_knows_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking() as (provider, upstream):
        await heard(provider)
        await heard(provider)
    assert len({record.headers["idempotency-key"] for record in upstream.records}) == 2
    known = [name for name, wire in WIRES.items() if wire.once == "Idempotency-Key"]
    assert known == ["openai-chat", "openai-responses"]


@requirement("providers.again")
async def test_what_keeps_failing_is_asked_no_more_than_the_settings_say(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(*[failing()] * 9, retries=3) as (provider, upstream):
        parts, problem = await heard(provider)
    assert (len(upstream.records), len(upstream.coming)) == (4, 5)
    assert isinstance(problem, UpstreamSaid)
    assert problem.extensions["class"] == "overloaded"
    assert len(parts) == 3


@requirement("providers.again")
@pytest.mark.parametrize(
    "failure",
    [
        failing(400, "invalid_request_error"),
        failing(401, "authentication_error"),
        failing(402, "insufficient_quota"),
        Script(text="a b c", cut_events=3, then="close"),
        Script(chunks=(chunk({"content": "So"}), {"error": {"type": "overloaded_error"}})),
    ],
    ids=["invalid", "auth", "quota", "broken in its middle", "an error in its middle"],
)
async def test_what_would_not_help_or_comes_after_the_first_word_is_not_asked_again(
    failure: Script, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking(failure) as (provider, upstream):
        _, problem = await heard(provider)
    assert isinstance(problem, Failure)
    assert len(upstream.records) == 1


@requirement("providers.again")
async def test_an_item_that_had_begun_is_taken_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    begun, *rest = others.text_block(0, "Well.")
    broke = {"type": "error", "error": {"type": "overloaded_error", "message": "Not now."}}
    whole = (others.STARTED, begun, *rest, others.changed("end_turn"), others.STOPPED)
    scripts = Script(raw=sse(begun, broke)), Script(raw=sse(*whole))
    async with asking(*scripts, wire="anthropic-messages") as (provider, _):
        parts, problem = await heard(provider)
    assert problem is None
    kinds = [type(part) for part in parts]
    assert kinds[:5] == [ItemStart, Retracted, Noted, Usage, ItemStart]
    assert text(parts) == "Well."


@requirement("providers.retry-after")
async def test_what_the_provider_says_to_wait_is_waited(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(failing(429, "rate_limit_error", retry_after="20")) as (provider, upstream):
        await heard(provider)
    first, second = (record.began_at for record in upstream.records)
    assert 20 <= second - first <= 20 + BASE_S


@requirement("providers.retry-after")
async def test_more_than_the_bound_is_an_error_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(failing(429, "rate_limit_error", retry_after="61")) as (provider, upstream):
        _, problem = await heard(provider)
    assert isinstance(problem, UpstreamSaid)
    assert problem.extensions["retry_after_s"] == 61.0
    assert len(upstream.records) == 1


@requirement("providers.again")
async def test_an_abort_in_the_pause_ends_it_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(failing(429, "rate_limit_error", retry_after="50")) as (provider, upstream):
        with trio.move_on_after(10) as aborting:
            await heard(provider)
        assert aborting.cancelled_caught is True
        assert trio.current_time() == 10
    assert len(upstream.records) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\u00b2"}, None),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:30 -0000",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            30.0,
        ),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert told_s(headers) == seconds


def test_the_pause_grows_to_its_bound() -> None:
    problem = UpstreamSaid("x", **{"class": "server"})
    longest = [
        max(pause_s(problem, tried, Random(seed)) or 0 for seed in range(200))  # noqa: S311
        for tried in (1, 2, 3, 9)
    ]
    bounds = [BASE_S, 2 * BASE_S, 4 * BASE_S, CAP_S]
    assert [0.9 * bound < most <= bound for most, bound in zip(longest, bounds, strict=True)] == [
        True
    ] * 4


@requirement("providers.timeouts")
@pytest.mark.parametrize(
    ("script", "settings", "code", "after_s"),
    [
        (Script(first_delay_s=99), {"first_byte_s": 7}, "first-byte-timeout", 7),
        (Script(cut_events=0, then="stall"), {"first_byte_s": 7}, "first-byte-timeout", 7),
        (Script(cut_events=2, then="stall"), {"idle_s": 3}, "idle-timeout", 3),
        (Script(text="a " * 99, delay_s=1), {"idle_s": 3, "total_s": 12}, "total-timeout", 12),
    ],
    ids=["no head", "a head alone", "silent in its middle", "too long"],
)
async def test_each_wait_is_the_endpoints_own_and_the_end_names_it(
    script: Script,
    settings: dict[str, Any],
    code: str,
    after_s: float,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking(script, **settings) as (provider, upstream):
        _, problem = await heard(provider)
        assert isinstance(problem, UpstreamLost)
        assert (problem.extensions["code"], trio.current_time()) == (code, after_s)
    assert len(upstream.records) == 1  # whoever has waited so long is told
