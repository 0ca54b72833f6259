"""Reading a log: as a page, as a stream, from any place, by one reader and by many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import trio

from runtime.events import CONVERSATION_EVENTS
from specs.requirements import requirement
from specs.support import talk
from specs.support.scripted import Scripted
from specs.support.server import Service, service
from specs.support.wire import line, receive_all, receive_until, request
from store import tokens
from store.writer import Write

SSE = {"Accept": "text/event-stream"}


async def ended_job(client: httpx.AsyncClient) -> str:
    """Run an echo job to its end: five events."""
    job_id = await talk.asked(client, await talk.begin(client), "hello", model="echo")
    await talk.follow(client, job_id)
    return job_id


async def ids_of(client: httpx.AsyncClient, path: str, headers: Mapping[str, str]) -> list[int]:
    """Return the sequences of a stream that ends."""
    answer = await client.get(path, headers={**SSE, **headers})
    assert answer.status_code == 200, answer.text
    lines = answer.text.split("\n")
    return [
        int(lines[n - 1].removeprefix("id: ")) for n, each in enumerate(lines) if "event:" in each
    ]


@requirement("sse.only-when-named")
async def test_a_log_is_a_stream_only_when_accept_names_it() -> None:
    async with service() as running:
        client = await running.client()
        path = f"/api/jobs/{await ended_job(client)}/events"
        kinds = {}
        for accept in ("*/*", "application/json", "text/event-stream", "text/event-stream, */*"):
            answer = await client.get(path, headers={"Accept": accept})
            kinds[accept] = answer.headers["Content-Type"]
        refused = await client.get(path, headers={"Accept": "text/html"})

    assert list(kinds.values()) == ["application/json"] * 2 + ["text/event-stream"] * 2
    assert refused.status_code == 406


@requirement("sse.opening", "sse.frame", "sse.from-start", "sse.closes-after-end")
async def test_a_stream_opens_tells_all_and_closes() -> None:
    async with service() as running:
        client = await running.client()
        path = f"/api/jobs/{await ended_job(client)}/events"
        raw = (await client.get(path, headers=SSE)).text
        page = (await client.get(path)).text

    retry, cursor, *frames, after_last = raw.split("\n\n")
    assert retry.split("\n") == ["retry: 2000", ":" + " " * 2048]
    assert (cursor, after_last, len(frames)) == ("id: 0", "", 5)
    for number, frame in enumerate(frames, 1):
        head, kind, data = frame.split("\n")
        assert head == f"id: {number}"
        assert kind == f"event: {json.loads(data.removeprefix('data: '))['kind']}"
        assert data.removeprefix("data: ") in page


RESUMES: Mapping[str, tuple[str, dict[str, str], list[int]]] = {
    "from the start": ("", {}, [1, 2, 3, 4, 5]),
    "after=0": ("?after=0", {}, [1, 2, 3, 4, 5]),
    "after=3": ("?after=3", {}, [4, 5]),
    "Last-Event-ID": ("", {"Last-Event-ID": "2"}, [3, 4, 5]),
    "Last-Event-ID before after": ("?after=4", {"Last-Event-ID": "1"}, [2, 3, 4, 5]),
    "an empty Last-Event-ID": ("?after=4", {"Last-Event-ID": ""}, [5]),
}


@requirement("sse.resume-last-event-id", "sse.resume-empty-id", "sse.resume-after")
@pytest.mark.parametrize("how", RESUMES)
async def test_a_reader_resumes_where_it_says(how: str) -> None:
    query, headers, expected = RESUMES[how]
    async with service() as running:
        client = await running.client()
        path = f"/api/jobs/{await ended_job(client)}/events{query}"
        assert await ids_of(client, path, headers) == expected


@requirement("sse.ended-204")
@pytest.mark.parametrize(
    ("query", "headers"),
    [("", {"Last-Event-ID": "5"}), ("?after=5", {}), ("?after=now", {})],
)
async def test_a_reader_at_the_terminal_event_gets_204(query: str, headers: dict[str, str]) -> None:
    async with service() as running:
        client = await running.client()
        path = f"/api/jobs/{await ended_job(client)}/events{query}"
        answer = await client.get(path, headers=SSE | headers)

    assert (answer.status_code, answer.content) == (204, b"")


@requirement("sse.tail-now")
async def test_now_shows_only_what_comes() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client))
        call = await model.next_call()
        await call.text("before")
        await talk.until(client, f"jobs/{job_id}", "item.delta")
        async with client.stream(
            "GET", f"/api/jobs/{job_id}/events?after=now", headers=SSE
        ) as tail:
            await call.text("after")
            await call.end()
            told = [each async for each in tail.aiter_lines() if each.startswith("data: ")]
        events = [json.loads(each.removeprefix("data: ")) for each in told]

    first, *_, last = events
    assert (first["kind"], first["data"]["text"]) == ("item.delta", "after")
    assert last["kind"] == "job.ended"


BAD = ["-1", "x", "1.5", " 1", "1_0", "٣", "1e3", "99999999999999999999"]


@requirement("cursor.malformed")
@pytest.mark.parametrize("cursor", BAD)
async def test_a_cursor_that_is_no_number_is_422(cursor: str) -> None:
    async with service() as running:
        client = await running.client()
        path = f"/api/jobs/{await ended_job(client)}/events"
        for headers in ({}, SSE):
            refused = await client.get(path, params={"after": cursor}, headers=headers)
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/after")


@requirement("cursor.ahead")
async def test_a_cursor_past_the_head_is_told_head_and_epoch() -> None:
    async with service() as running:
        client = await running.client()
        job_id = await ended_job(client)
        conversation = (await talk.job(client, job_id))["conversation_id"]
        asked = [
            (f"/api/jobs/{job_id}/events?after=6", {}, 5),
            (f"/api/jobs/{job_id}/events?after=6", SSE, 5),
            (f"/api/jobs/{job_id}/events", SSE | {"Last-Event-ID": "6"}, 5),
            (f"/api/conversations/{conversation}/events?after=99", {}, 5),
            (f"/api/events?follow=jobs/{job_id}:6", SSE, 5),
        ]
        for path, headers, head in asked:
            refused = await client.get(path, headers=headers)
            told = refused.json()
            assert (refused.status_code, told["type"]) == (422, "urn:runchat:problem:cursor-ahead")
            assert told["log_epoch"] == running.services.log_epoch
            assert told["head"] == head


@requirement("log.page", "log.page-after", "log.page-ended")
async def test_a_page_holds_events_head_and_ended() -> None:
    async with service() as running:
        client = await running.client()
        path = f"/api/jobs/{await ended_job(client)}/events"
        whole = (await client.get(path)).json()
        rest = (await client.get(path, params={"after": "3"})).json()
        now = (await client.get(path, params={"after": "now"})).json()
        first = (await client.get(path, params={"limit": "2"})).json()

    assert sorted(whole) == ["ended", "events", "head"]
    assert [each["sequence"] for each in whole["events"]] == [1, 2, 3, 4, 5]
    assert [each["sequence"] for each in rest["events"]] == [4, 5]
    assert [each["sequence"] for each in first["events"]] == [1, 2]
    assert now == {"events": [], "head": 5, "ended": True}
    assert {(each["head"], each["ended"]) for each in (whole, rest, first)} == {(5, True)}


@requirement("log.page-limit", "log.page-wait-bound")
@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "wait=-1", "wait=31"])
async def test_a_page_beyond_its_bounds_is_422(query: str) -> None:
    async with service() as running:
        client = await running.client()
        refused = await client.get(f"/api/jobs/{await ended_job(client)}/events?{query}")
        name = query.partition("=")[0]
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, f"/{name}")


@requirement("log.page-limit")
async def test_a_page_holds_500_events_unless_told_otherwise() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(
            client, conversation, model="synthetic/tokens", options={"count": 1100}
        )
        await talk.follow(client, job_id)
        path = f"/api/jobs/{job_id}/events"
        sizes = [
            len((await client.get(path + query)).json()["events"])
            for query in ("", "?limit=1000", "?after=1000")
        ]

    assert sizes == [500, 1000, 104]


@requirement("sse.many-readers")
async def test_every_reader_gets_every_event_once_and_in_order() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        job_id = await talk.asked(
            client,
            conversation,
            model="synthetic/tokens",
            options={"count": 400, "interval_ms": 1},
        )
        sequences: list[list[int]] = []

        async def follow() -> None:
            events = await talk.follow(client, job_id)
            sequences.append([each["sequence"] for each in events])

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(follow)

    assert sequences == [list(range(1, 405))] * 30


@requirement("sse.revoked")
async def test_a_revoked_token_opens_no_further_stream() -> None:
    async with service() as running:
        client = await running.client()
        job_id = await ended_job(client)
        now_ms = running.services.clock.now_ms()

        def revoke(db: Any) -> int:
            rows = tokens.list_all(db)
            return sum(tokens.revoke(db, each.id, now_ms) for each in rows)

        assert await running.writer.write(Write(rows=revoke)) == 1
        refused = await client.get(f"/api/jobs/{job_id}/events", headers=SSE)

    assert refused.status_code == 401


async def feed(running: Service, client: httpx.AsyncClient, query: str, frames: int) -> list[Any]:
    """Read so many events of a feed and leave it."""
    told: list[Any] = []
    async with client.stream("GET", f"/api/events?{query}", headers=SSE) as answer:
        assert answer.status_code == 200
        async for each in answer.aiter_lines():
            if each.startswith("data: "):
                told.append(json.loads(each.removeprefix("data: ")))
            if len(told) == frames:
                break
    return told


async def test_a_feed_carries_several_streams_from_their_cursors() -> None:
    async with service() as running:
        client = await running.client()
        first, second = await ended_job(client), await ended_job(client)
        query = f"follow=jobs/{first}:3&follow=jobs/{second}&follow=jobs/{first}:3"
        told = await feed(running, client, query, 7)

    by_stream: dict[str, list[int]] = {}
    for each in told:
        by_stream.setdefault(each["stream"], []).append(each["event"]["sequence"])
    assert by_stream == {f"jobs/{first}": [4, 5], f"jobs/{second}": [1, 2, 3, 4, 5]}


async def test_a_feed_goes_on_when_a_stream_of_it_has_ended() -> None:
    model = Scripted()
    async with service(providers=(model,)) as running:
        client = await running.client()
        done = await ended_job(client)
        conversation = await talk.begin(client)
        query = f"follow=jobs/{done}&follow=conversations/{conversation}:now"
        kinds: list[str] = []
        async with client.stream("GET", f"/api/events?{query}", headers=SSE) as answer:
            async for each in answer.aiter_lines():
                if each == "event: job.ended":
                    await talk.asked(client, conversation)
                if each.startswith("event: "):
                    kinds.append(each.removeprefix("event: "))
                if each == "event: job.current":
                    break

    assert kinds[-2:] == ["message.added", "job.current"]
    assert {each.kind for each in CONVERSATION_EVENTS} >= set(kinds[-2:])


async def test_a_feed_of_nothing_of_too_much_or_of_another_is_refused() -> None:
    async with service() as running:
        client = await running.client()
        theirs = await ended_job(await running.client(user="ben"))
        statuses = {}
        for name, query in {
            "nothing": "",
            "too much": "&".join(["follow=jobs/x"] * 33),
            "foreign": f"follow=jobs/{theirs}",
            "unknown": "follow=jobs/job_x:1",
            "no stream": "follow=what/ever",
        }.items():
            statuses[name] = (await client.get(f"/api/events?{query}", headers=SSE)).status_code

    assert statuses == {
        "nothing": 422,
        "too much": 422,
        "foreign": 404,
        "unknown": 404,
        "no stream": 404,
    }


@requirement("sse.opening")
async def test_head_of_a_stream_ends_at_its_header() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        answer = await client.head(f"/api/conversations/{conversation}/events", headers=SSE)

    assert (answer.status_code, answer.content) == (200, b"")


async def test_more_streams_than_a_caller_may_have_are_429() -> None:
    async with service() as running:
        client = await running.client()
        job_id = await talk.asked(client, await talk.begin(client), model="echo")
        conversation = (await talk.job(client, job_id))["conversation_id"]
        await talk.follow(client, job_id)
        running.services.readers._most_per_caller = 0
        answers = [
            await client.get(path, headers=SSE)
            for path in (
                f"/api/jobs/{job_id}/events",
                f"/api/conversations/{conversation}/events",
                f"/api/events?follow=jobs/{job_id}",
            )
        ]

    assert [each.status_code for each in answers] == [429, 429, 429]
    assert {each.headers["Retry-After"] for each in answers} == {"1"}


async def test_streams_end_cleanly_when_the_service_stops() -> None:
    async with service() as running:
        client = await running.client()
        conversation = await talk.begin(client)
        authorization = f"Authorization: {client.headers['Authorization']}"
        async with line(running) as stream:
            path = f"/api/conversations/{conversation}/events"
            await stream.send_all(
                request(running, "GET", path, authorization, "Accept: text/event-stream")
            )
            await receive_until(stream, b"conversation.created")
            running.services.readers.drain()
            running.stop.set()
            rest = await receive_all(stream)

    assert rest.endswith(b"d\r\nretry: 2000\n\n\r\n0\r\n\r\n")
