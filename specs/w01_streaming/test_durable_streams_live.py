"""The Durable Streams protocol through the public door: what comes, in time and as events."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from runtime import limits
from runtime.clock import rfc3339
from runtime.offsets import offset_of
from specs.requirements import requirement
from specs.support import talk
from specs.support.durable import JSON, OFFSET, ROOT, TEXT, events, named
from specs.support.scripted import Scripted
from specs.support.server import Service, service

CLOSED = {"Stream-Closed": "true"}


class Moving:
    """A clock that a spec moves."""

    def __init__(self) -> None:
        self.at_ms = 1_790_000_000_000

    def now_ms(self) -> int:
        return self.at_ms


@pytest.fixture
async def running() -> AsyncIterator[Service]:
    async with service() as running:
        yield running


@pytest.fixture
async def client(running: Service) -> httpx.AsyncClient:
    return await running.client()


async def until_waiting(running: Service) -> None:
    """Return once a reader waits for a stream."""
    while not running.services.hub.waiting():
        await trio.lowlevel.checkpoint()


@requirement("durable.long-poll")
async def test_a_long_poll_brings_what_comes(running: Service, client: httpx.AsyncClient) -> None:
    await client.put(f"{ROOT}t", headers=TEXT, content=b"old")
    answers: list[httpx.Response] = []

    async def poll() -> None:
        answers.append(await client.get(f"{ROOT}t?offset=now&live=long-poll&cursor=7"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        await until_waiting(running)
        await client.post(f"{ROOT}t", headers=TEXT, content=b"new")
    [answer] = answers
    assert (answer.status_code, answer.content) == (200, b"new")
    assert answer.headers[OFFSET] == offset_of(2)
    assert answer.headers["Stream-Up-To-Date"] == "true"
    assert int(answer.headers["Stream-Cursor"]) > 7


@requirement("durable.long-poll")
async def test_a_long_poll_ends_with_204_in_its_time_and_at_the_end(
    client: httpx.AsyncClient, autojump_clock: trio.abc.Clock
) -> None:
    await client.put(f"{ROOT}t", headers=TEXT, content=b"x")
    address = f"{ROOT}t?offset={offset_of(1)}&live=long-poll"
    timed_out = await client.get(address, timeout=60)
    assert trio.current_time() >= limits.LONG_POLL_S
    await client.post(f"{ROOT}t", headers=CLOSED)
    at_end = await client.get(f"{ROOT}t?offset={offset_of(1)}&live=long-poll")
    for answer in (timed_out, at_end):
        assert answer.status_code == 204
        assert answer.headers[OFFSET] == offset_of(1)
        assert answer.headers["Stream-Up-To-Date"] == "true"
    assert "Stream-Closed" not in timed_out.headers
    assert at_end.headers["Stream-Closed"] == "true"


@requirement("durable.sse")
async def test_an_event_stream_brings_what_comes_and_ends_with_its_stream(
    running: Service, client: httpx.AsyncClient
) -> None:
    await client.put(f"{ROOT}j", headers=JSON, content=b'[1,\n{"a":\r\n2}]')
    bodies: list[str] = []

    async def follow() -> None:
        answer = await client.get(f"{ROOT}j?offset=-1&live=sse")
        assert answer.headers["Content-Type"] == "text/event-stream"
        bodies.append(answer.text)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await until_waiting(running)
        await client.post(f"{ROOT}j", headers=JSON | CLOSED, content=b'"end"')
    told = events(bodies[0])
    assert [(id_, name) for id_, name, _ in told] == [
        (offset_of(1), "data"),
        (offset_of(1), "control"),
        (offset_of(2), "data"),
        (offset_of(2), "control"),
    ]
    assert [told[0][2], told[2][2]] == [[1, {"a": 2}], ["end"]]
    assert told[1][2]["upToDate"] is True
    assert int(told[1][2]["streamCursor"]) > 0
    assert told[3][2] == {
        "streamNextOffset": offset_of(2),
        "upToDate": True,
        "streamClosed": True,
    }


@requirement("durable.sse")
async def test_who_comes_back_is_sent_the_next_few_events_at_once_and_then_the_rest(
    client: httpx.AsyncClient,
) -> None:
    count = limits.FIRST_READ_EVENTS_MAX + 4
    await client.put(f"{ROOT}b", headers=JSON)
    for number in range(count):
        ends = CLOSED if number == count - 1 else {}
        await client.post(f"{ROOT}b", headers=JSON | ends, content=str(number).encode())
    async with client.stream("GET", f"{ROOT}b?offset=-1&live=sse") as answer:
        pieces = [piece.decode() async for piece in answer.aiter_raw()]
    first, whole = events(pieces[0]), events("".join(pieces))
    assert [data for _, name, data in first if name == "data"] == [
        [number] for number in range(limits.FIRST_READ_EVENTS_MAX)
    ]
    assert [data for _, name, data in whole if name == "data"] == [[n] for n in range(count)]
    told = [data for _, name, data in whole if name == "control"]
    assert [data.get("upToDate", False) for data in told] == [*[False] * (count - 1), True]


@requirement("durable.sse")
async def test_a_stream_closed_with_no_last_word_ends_its_readers(
    running: Service, client: httpx.AsyncClient
) -> None:
    await client.put(f"{ROOT}j", headers=JSON)
    bodies: list[str] = []

    async def follow() -> None:
        bodies.append((await client.get(f"{ROOT}j?offset=now&live=sse")).text)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await until_waiting(running)
        await client.post(f"{ROOT}j", headers=CLOSED)
    assert [data.get("streamClosed") for _, _, data in events(bodies[0])] == [None, True]


@pytest.mark.parametrize("end", ["with its last word", "with none", "by deletion"])
@requirement("durable.sse")
async def test_who_follow_a_stream_together_are_told_the_same_to_its_end(
    running: Service, client: httpx.AsyncClient, end: str
) -> None:
    await client.put(f"{ROOT}j", headers=JSON)
    told: list[list[Any]] = []
    places: set[str] = set()

    async def follow() -> None:
        body = (await client.get(f"{ROOT}j?offset=-1&live=sse")).text
        told.append([data for _, name, data in events(body) if name == "data"])
        places.add(events(body)[-1][0])

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(follow)
            while running.services.readers.open < 3:
                await trio.lowlevel.checkpoint()
            for number in range(20):
                await client.post(f"{ROOT}j", headers=JSON, content=b"%d" % number)
            if end == "by deletion":
                await client.delete(f"{ROOT}j")
            else:
                last = b'"end"' if end == "with its last word" else b""
                await client.post(f"{ROOT}j", headers=JSON | CLOSED, content=last)
    values: list[object] = list(range(20))
    if end == "with its last word":
        values.append("end")
    assert [[each for data in one for each in data] for one in told] == [values] * 3
    assert places == {offset_of(len(values))}


@requirement("durable.sse")
async def test_bytes_go_as_base64_and_text_cannot_make_events(client: httpx.AsyncClient) -> None:
    binary = {"Content-Type": "image/png"} | CLOSED
    await client.put(f"{ROOT}b", headers=binary, content=b"\x00\r\n\xff")
    answer = await client.get(f"{ROOT}b?offset=-1&live=sse")
    assert answer.headers["Stream-SSE-Data-Encoding"] == "base64"
    coded = base64.b64encode(b"\x00\r\n\xff").decode()
    assert f"event: data\ndata:{coded}\n\n" in answer.text
    text = TEXT | CLOSED
    await client.put(f"{ROOT}t", headers=text, content=b" a\r\revent: control\ndata: {}\r\n\n z")
    answer = await client.get(f"{ROOT}t?offset=-1&live=sse")
    lines = "data:  a\ndata:\ndata:event: control\ndata:data: {}\ndata:\ndata:  z\n\n"
    assert f"event: data\n{lines}id: " in answer.text


@requirement("durable.event-source")
async def test_a_browser_reads_each_event_once_and_is_told_to_stay_away(
    client: httpx.AsyncClient,
) -> None:
    made = await client.put(f"{ROOT}j", headers=JSON, content=b"[1,2]")
    await client.post(f"{ROOT}j", headers=JSON | CLOSED, content=b"[3,4]")
    address = f"{ROOT}j?offset=-1&live=sse"
    first = events((await client.get(address)).text)
    assert [data for _, name, data in first if name == "data"] == [[1, 2], [3, 4]]
    half = await client.get(address, headers={"Last-Event-ID": made.headers["Stream-Next-Offset"]})
    assert [data for _, name, data in events(half.text) if name == "data"] == [[3, 4]]
    back = await client.get(address, headers={"Last-Event-ID": first[-1][0]})
    assert (back.status_code, back.content) == (204, b"")
    assert back.headers["Stream-Closed"] == "true"
    wrong = await client.get(address, headers={"Last-Event-ID": "nonsense"})
    assert named(wrong) == (400, "bad-request")


@requirement("durable.sse")
async def test_an_event_stream_beats_and_ends_after_a_minute(
    client: httpx.AsyncClient, autojump_clock: trio.abc.Clock
) -> None:
    await client.put(f"{ROOT}j", headers=JSON)
    answer = await client.get(f"{ROOT}j?offset=-1&live=sse")
    assert limits.ROTATE_S <= trio.current_time() < limits.ROTATE_S + 5
    assert answer.text.count("\n:\n") >= 3
    assert len(events(answer.text)) == 1


@requirement("durable.sse")
async def test_open_event_streams_of_a_caller_are_bounded(
    running: Service, client: httpx.AsyncClient
) -> None:
    await client.put(f"{ROOT}j", headers=JSON)
    running.services.readers._most_per_caller = 0
    for live in ("sse", "long-poll"):
        refused = await client.get(f"{ROOT}j?offset=-1&live={live}")
        assert named(refused) == (429, "too-many-requests")


@requirement("durable.sse", "durable.delete")
async def test_a_deleted_stream_ends_its_readers_at_once(
    running: Service, client: httpx.AsyncClient
) -> None:
    await client.put(f"{ROOT}j", headers=JSON)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.get, f"{ROOT}j?offset=-1&live=sse")
        await until_waiting(running)
        await client.delete(f"{ROOT}j")
    assert running.services.readers.open == 0


@requirement("durable.ttl")
async def test_each_use_but_head_puts_off_a_sliding_end() -> None:
    clock = Moving()
    async with service(clock=clock) as running:
        client = await running.client()
        headers = JSON | {"Stream-TTL": "10"}
        assert (await client.put(f"{ROOT}j", headers=headers)).status_code == 201
        uses = [
            ("GET", f"{ROOT}j", b"", 200),
            ("GET", f"{ROOT}j?offset=now", b"", 200),
            ("POST", f"{ROOT}j", b"1", 204),
            ("PUT", f"{ROOT}j", b"", 200),
        ]
        for method, address, body, expected in uses:
            clock.at_ms += 9000
            sent = JSON if method == "POST" else headers
            used = await client.request(method, address, headers=sent, content=body)
            assert used.status_code == expected, address
        clock.at_ms += 9000
        head = await client.head(f"{ROOT}j")
        assert (head.status_code, head.headers["Stream-TTL"]) == (200, "10")
        clock.at_ms += 2000
        assert named(await client.get(f"{ROOT}j")) == (404, "not-found")
        assert (await client.put(f"{ROOT}j", headers=headers)).status_code == 201


@requirement("durable.ttl", "durable.forks")
async def test_an_absolute_end_is_kept_and_inherited() -> None:
    clock = Moving()
    async with service(clock=clock) as running:
        client = await running.client()
        end = rfc3339(clock.at_ms + 10_500)
        ends = {"Stream-Expires-At": end.replace("Z", "+00:00")}
        await client.put(f"{ROOT}j", headers=JSON | ends, content=b"1")
        forked = {"Stream-Forked-From": f"{ROOT}j"}
        await client.put(f"{ROOT}f", headers=forked)
        await client.put(f"{ROOT}g", headers=forked | {"Stream-TTL": "60"})
        for path in ("j", "f"):
            head = await client.head(f"{ROOT}{path}")
            assert head.headers["Stream-Expires-At"] == end
        assert (await client.put(f"{ROOT}f", headers=forked)).status_code == 200
        clock.at_ms += 11_000
        assert (await client.head(f"{ROOT}f")).status_code == 404
        assert (await client.get(f"{ROOT}g")).json() == [1]


@requirement("durable.job-log")
async def test_a_jobs_log_is_read_here_with_the_same_bytes() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client), model="scripted")
        call = await model.next_call()
        live: list[str] = []

        async def follow() -> None:
            address = f"{ROOT}jobs/{job_id}?offset=-1&live=sse"
            live.append((await client.get(address)).text)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await call.text("hello")
            await call.end()
        page = await client.get(f"/api/jobs/{job_id}/events")
        here = await client.get(f"{ROOT}jobs/{job_id}")
        assert here.headers["Stream-Closed"] == "true"
        assert b'{"events":' + here.content in page.content
        told = events(live[0])
        read = [each for _, name, data in told if name == "data" for each in data]
        assert read == here.json()
        assert told[-1][2]["streamClosed"] is True
        middle = await client.get(f"{ROOT}jobs/{job_id}?offset={offset_of(2)}")
        assert middle.json() == here.json()[2:]
        stranger = await running.client("local", "bob")
        assert named(await stranger.get(f"{ROOT}jobs/{job_id}")) == (404, "not-found")
