"""Each row of the end table, over a real socket, and what a call leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from math import inf
from typing import Literal

import pytest
import trio
import trio.testing

from harness.upstream.program import Upstream
from harness.upstream.script import Script, chunk
from runtime import limits
from runtime.problems import UpstreamLost, UpstreamSaid
from specs.unit.egress.compatible_kit import KEY, TEXT, USAGE, asking, heard, reaching, text
from transports.egress.guard import Reach
from transports.egress.providers.asked import Tool, Wanted
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Options,
    Part,
    Usage,
)
from transports.egress.providers.compatible import Compatible, Endpoint

FINISHED = End(end_state="finished", reason="stop", provider_reason="stop")
NO_REASON = End(end_state="finished_no_reason", reason="unknown")
SAYS_NO = {"error": {"message": f"No, {KEY}.", "code": "insufficient_quota"}}


@pytest.mark.parametrize(
    ("script", "said", "last"),
    [
        (Script(), TEXT, FINISHED),
        (Script(done=False), TEXT, FINISHED),
        (Script(framing="close"), TEXT, FINISHED),
        (
            Script(reason="length"),
            TEXT,
            replace(FINISHED, reason="length", provider_reason="length"),
        ),
        (
            Script(reason="content_filter"),
            TEXT,
            replace(FINISHED, reason="filter", provider_reason="content_filter"),
        ),
        (Script(reason=None), TEXT, NO_REASON),
        (Script(reason=None, done=False), TEXT, Delta(index=0, text="upstream.")),
        (Script(cut_events=3), "Hello from ", Delta(index=0, text="from ")),
        (
            Script(cut_events=3, then="close", framing="close"),
            "Hello from ",
            Delta(index=0, text="from "),
        ),
        (Script(cut_bytes=200, framing="close"), "", None),
        (Script(cut_events=0), "", None),
        (Script(then="reset", cut_events=5), TEXT, FINISHED),  # lost after the wire's own mark
    ],
)
async def test_the_wires_own_mark_decides_the_end(
    script: Script, said: str, last: Part | None
) -> None:
    async with reaching(script) as (provider, _):
        parts, failure = await heard(provider)
    assert failure is None
    assert text(parts) == said
    assert (parts[-1] if parts else None) == last


@pytest.mark.parametrize("size", [1, 2, 3, 7, 37])
@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
async def test_no_split_and_no_line_end_changes_anything(
    size: int, line_end: Literal["\n", "\r", "\r\n"]
) -> None:
    said = "Grüße, \u2028 \U0001f600!"
    long = Script(text=said, line_end=line_end, split_bytes=size, usage=USAGE)
    async with reaching(long) as (provider, _):
        parts, failure = await heard(provider)
    assert failure is None
    assert text(parts) == said
    assert parts[-3:] == [
        Usage(source="provider", input=3, output=3, raw=USAGE),
        ItemDone(index=0),
        FINISHED,
    ]


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        (Script(cut_events=3, then="reset"), "The connection to the provider broke."),
        (Script(cut_events=3, then="close"), "The connection to the provider broke."),
        (Script(raw="data: {broken\n\n"), "The provider sent what is not JSON."),
        (Script(raw="data: \x00\xff garbage\n\n"), "The provider sent what is not JSON."),
    ],
)
async def test_a_broken_connection_is_a_loss_that_keeps_what_came(
    script: Script, detail: str
) -> None:
    async with reaching(script) as (provider, _):
        parts, failure = await heard(provider)
    assert isinstance(failure, UpstreamLost)
    assert failure.detail == detail
    assert text(parts) == ("" if script.raw else "Hello from ")


async def test_silence_is_a_loss() -> None:
    async with reaching(Script(cut_events=2, then="stall"), idle_s=0.1) as (provider, _):
        parts, failure = await heard(provider)
    assert isinstance(failure, UpstreamLost)
    assert failure.detail == "The provider fell silent."
    assert text(parts) == "Hello "


async def test_nobody_there_is_a_loss() -> None:
    async with reaching() as (_, upstream):
        with trio.socket.socket() as unused:
            await unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        lonely = Compatible(
            Endpoint(
                name="up",
                base_url=f"http://127.0.0.1:{port}",
                models=("m0",),
                reach=Reach(exempt=frozenset({("127.0.0.1", port)})),
            )
        )
        _, failure = await heard(lonely)
        await lonely.aclose()
    assert isinstance(failure, UpstreamLost)
    assert failure.detail == "The provider cannot be reached."
    assert upstream.records == []


async def test_a_place_that_is_not_exempt_is_refused_before_anything_is_sent() -> None:
    async with reaching(Script()) as (provider, upstream):
        plain = Compatible(replace(provider._settings, reach=Reach()))
        _, failure = await heard(plain)
        await plain.aclose()
        assert upstream.records == []
    assert isinstance(failure, UpstreamSaid)
    assert failure.extensions["code"] == "address_not_allowed"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            Script(status=429, error=SAYS_NO, headers={"x-request-id": "req_7"}),
            ("No, ***.", "insufficient_quota", "quota", "req_7"),
        ),
        (Script(status=401, error={"message": "Who?"}), ("Who?", "401", "auth", None)),
        (Script(status=500, error=["odd"]), ("odd", "500", "server", None)),
        (
            Script(status=503, error=None),
            ("The provider said no more than that.", "503", "overloaded", None),
        ),
        (
            Script(status=302, error={}, headers={"Location": "http://127.0.0.1/"}),
            ("The provider said no more than that.", "302", "protocol", None),
        ),
        (
            Script(raw="<html>hello</html>", content_type="text/html"),
            (
                "The provider answered with something else than a stream.",
                "protocol",
                "protocol",
                None,
            ),
        ),
        (
            Script(headers={"Content-Encoding": "gzip"}),
            ("The provider sent a coding that was not asked for.", "protocol", "protocol", None),
        ),
        (
            Script(chunks=(chunk({"content": "a"}), {"error": {"message": "Oh.", "code": 9}})),
            ("Oh.", "9", "server", None),
        ),
        (
            Script(raw='event: error\ndata: {"error": {"message": "Oh.", "type": "late"}}\n\n'),
            ("Oh.", "late", "server", None),
        ),
    ],
)
async def test_an_error_is_the_providers_in_its_own_words_without_our_key(
    script: Script, words: tuple[str, str, str, str | None]
) -> None:
    async with reaching(script) as (provider, _):
        _, failure = await heard(provider)
    assert isinstance(failure, UpstreamSaid)
    said = failure.extensions
    assert (failure.detail, said["code"], said["class"], said.get("provider_request_id")) == words


async def test_an_endpoint_that_does_not_stream_is_heard_too() -> None:
    whole = (
        '{"choices": [{"index": 0, "message": {"content": "All."}, "finish_reason": "stop"}],'
        ' "usage": {"prompt_tokens": 1}}'
    )
    async with reaching(Script(raw=whole, content_type="application/json")) as (provider, _):
        parts, _ = await heard(provider)
    assert parts == [
        ItemStart(index=0, type="message"),
        Delta(index=0, text="All."),
        Usage(source="provider", input=1, raw={"prompt_tokens": 1}),
        ItemDone(index=0),
        FINISHED,
    ]


@pytest.mark.parametrize(
    ("wire", "said", "streams", "accepts"),
    [
        ("openai-chat", '{"choices": [{"message": {}}]}', False, "application/json"),
        ("openai-responses", '{"output": []}', True, "text/event-stream"),
    ],
)
async def test_what_nobody_reads_as_it_comes_is_asked_for_whole_where_the_wire_can(
    wire: str, said: str, streams: bool, accepts: str
) -> None:
    script = Script(raw=said, content_type="application/json")
    async with reaching(script, wire=wire) as (provider, upstream):
        whole = replace(asking(provider), wanted=Wanted(whole=True))
        async with aclosing(provider.answer(whole)) as answer:
            async for _ in answer:
                pass
        [record] = upstream.records
    assert (record.body["stream"], record.headers["accept"]) == (streams, accepts)
    assert "stream_options" not in record.body


@pytest.mark.parametrize(("times", "waits"), [(4, True), (6, False)])
async def test_an_answer_in_one_piece_is_waited_for_longer(
    times: int, waits: bool, autojump_clock: trio.testing.MockClock
) -> None:
    del autojump_clock
    said = '{"choices": [{"message": {"content": "All."}, "finish_reason": "stop"}]}'
    script = Script(raw=said, content_type="application/json", first_delay_s=2.0 * times)
    async with in_memory(script, first_byte_s=2.0) as provider:
        whole = replace(asking(provider), wanted=Wanted(whole=True))
        parts, failure = await heard(provider, request=whole)
    assert (text(parts), failure is None) == ("All." if waits else "", waits)


async def test_the_request_is_what_the_wire_wants() -> None:
    async with reaching(Script()) as (provider, upstream):
        options = Options(temperature=0.5, max_output_tokens=9, seed=0)
        async with aclosing(provider.answer(asking(provider, options=options))) as answer:
            assert [part async for part in answer][-1] == FINISHED
        [record] = upstream.records
    assert record.path == "/v1/chat/completions"
    assert record.headers["authorization"] == f"Bearer {KEY}"
    assert record.headers["accept-encoding"] == "identity"
    assert record.body == {
        "model": "m0",
        "messages": [{"role": "user", "content": "Hi \u2028 \U0001f600"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 0,
    }


async def test_a_number_that_only_the_slow_encoder_takes_is_said_all_the_same() -> None:
    many = {"type": "object", "maxProperties": 2**70}
    async with reaching(Script()) as (provider, upstream):
        wanted = Wanted(tools=(Tool(name="count", parameters=many),))
        _, failure = await heard(provider, request=replace(asking(provider), wanted=wanted))
        [record] = upstream.records
    assert failure is None
    assert record.body["tools"][0]["function"]["parameters"] == many
    assert record.headers["content-type"] == "application/json"


@pytest.mark.parametrize("where", ["between parts", "while waiting", "before the head"])
async def test_leaving_closes_the_connection_within_a_quarter_of_a_second(where: str) -> None:
    delay_s = 60.0 if where == "before the head" else 0.0
    stalling = Script(cut_events=3, then="stall", first_delay_s=delay_s)
    async with reaching(stalling) as (provider, upstream):
        answer = provider.answer(asking(provider))
        wanted = {"between parts": 2, "while waiting": inf, "before the head": inf}[where]
        got = 0
        with trio.move_on_after(0.2):
            while got < wanted:
                await anext(answer)
                got += 1
        await answer.aclose()
        left_at = trio.current_time()
        [record] = upstream.records
        with trio.fail_after(1):
            await record.left.wait()
        assert record.client_left_at is not None
        assert record.client_left_at - left_at < 0.25


async def test_small_events_that_come_at_once_do_not_hold_the_loop() -> None:
    async with reaching(Script(text="word " * 2000)) as (provider, _):
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            parts, failure = await heard(provider)
            nursery.cancel_scope.cancel()
    assert (text(parts), failure) == ("word " * 2000, None)
    assert turns > 2000 / 128


async def test_the_first_words_go_their_way_before_the_rest_of_a_read_is_looked_at() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    script = Script(text="word " * 40, split_bytes=1 << 16)
    async with reaching(script) as (provider, _), trio.open_nursery() as nursery:
        nursery.start_soon(count)
        async with aclosing(provider.answer(asking(provider))) as answer:
            # turns that the others had had, at each word
            seen = [turns async for part in answer if isinstance(part, Delta)]
        nursery.cancel_scope.cancel()

    assert len(seen) == 40
    assert seen[5] - seen[0] >= 1  # of two; who is first in a turn, chance says
    assert seen[39] - seen[5] == 0


@asynccontextmanager
async def in_memory(script: Script, first_byte_s: float = 5.0) -> AsyncIterator[Compatible]:
    """Yield a provider whose upstream is not on a network: the clock may jump."""
    upstream = Upstream({"m0": script})
    async with trio.open_nursery() as nursery:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(upstream.serve_stream, theirs)
            return ours

        provider = Compatible(
            Endpoint(
                name="up",
                base_url="http://memory",
                models=("m0",),
                first_byte_s=first_byte_s,
                reach=Reach(exempt=frozenset({("memory", 80)}), dial=dial, idle_s=first_byte_s),
            )
        )
        yield provider
        await provider.aclose()
        nursery.cancel_scope.cancel()


async def test_usage_is_not_waited_for_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    script = Script(done=False, cut_events=6, then="stall")
    async with in_memory(script) as provider:
        begun = trio.current_time()
        parts, failure = await heard(provider)
        assert (parts[-1], failure) == (FINISHED, None)
        assert trio.current_time() - begun == limits.UPSTREAM_AFTER_END_S


def test_the_key_is_in_no_repr() -> None:
    endpoint = Endpoint(name="up", base_url="http://example.com", models=(), api_key=KEY)
    assert KEY not in repr(endpoint)
