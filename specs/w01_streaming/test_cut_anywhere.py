"""A reader cut off at any byte of any form of a log resumes, and has the same bytes as one uncut.

A client's parser is fed the raw answer byte by byte; after each byte is what it would keep, and
where it would resume, if the connection broke there. `CUT_LOG_BYTES=60000` takes a longer log.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import h11
import pytest
import trio

from runtime import limits
from runtime.events import JOB_END, decode
from specs.requirements import requirement
from specs.support import talk
from specs.support.server import Service, service
from specs.support.wire import line, receive_all
from specs.support.wire import request as head
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Model,
    Part,
    Request,
    Usage,
)
from transports.ingress.cli.sse import Frames

LOG_BYTES: Final = int(os.environ.get("CUT_LOG_BYTES", "4000"))
EVENT_BYTES: Final = 200  # about, of a delta below
SAID: Final = ("é\u2028 🚀", "\r\n\r\n", 'id: 9\ndata: {"x"}\n\n', "plain words ", "\x85\x00\\n")
Place: TypeAlias = str


class Talkative:
    """A provider that says what is hard to frame, in deltas that are never merged."""

    endpoint = "talkative"
    models: tuple[Model, ...] = (Model(id="talkative", endpoint="talkative"),)
    concurrency = 1
    merges = False
    patience_s = limits.PROVIDER_IDLE_S

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        yield ItemStart(index=0, type="reasoning")
        yield Delta(index=0, text="let me see")
        yield ItemDone(index=0)
        yield ItemStart(index=1, type="message")
        for number in range((LOG_BYTES - 1500) // EVENT_BYTES):
            await trio.lowlevel.checkpoint()
            yield Delta(index=1, text=SAID[number % len(SAID)])
        yield Usage(source="provider", input=3, output=LOG_BYTES, raw={"x": [1, {"y": None}]})
        yield End(provider_reason="stop")

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def newest(events: bytes) -> dict[str, Any]:
    """Return the last of some comma-separated events."""
    event: dict[str, Any] = json.loads(b"[%b]" % events)[-1]
    return event


@dataclass
class Client:
    """What a client has of one answer, byte after byte."""

    place: Place  # where it would resume
    kept: list[bytes] = field(default_factory=list)  # events, comma-separated as JSON has them
    body: bytearray = field(default_factory=bytearray)

    def ask(self) -> tuple[str, tuple[str, ...]]:
        """Return path and headers of the request that goes on from the place."""
        raise NotImplementedError

    def feed(self, piece: bytes) -> None:
        self.body += piece

    def end(self, headers: dict[bytes, bytes]) -> None:
        """Take note that the answer is whole."""

    @property
    def is_done(self) -> bool:
        return bool(self.kept) and newest(self.kept[-1])["kind"] == JOB_END


class Sse(Client):
    """Reads the event stream of a job, as the command line's client does."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.frames = Frames()

    def ask(self) -> tuple[str, tuple[str, ...]]:
        return "/api/jobs/{job}/events", (
            "Accept: text/event-stream",
            f"Last-Event-ID: {self.place}",
        )

    def feed(self, piece: bytes) -> None:
        for frame in self.frames.feed(piece):
            self.kept.append(frame.data)
            self.place = frame.id


class Json(Client):
    """Reads pages of JSON; half a page is no page."""

    def ask(self) -> tuple[str, tuple[str, ...]]:
        return f"/api/jobs/{{job}}/events?after={self.place}&limit=9", ()

    def end(self, headers: dict[bytes, bytes]) -> None:
        inner = bytes(self.body).removeprefix(b'{"events":[').rpartition(b'],"head":')[0]
        if inner:
            self.kept.append(inner)
            self.place = str(newest(inner)["sequence"])


class CatchUp(Client):
    """Reads a stream of the protocol as one JSON array; half an array is none."""

    def ask(self) -> tuple[str, tuple[str, ...]]:
        return f"/v1/stream/jobs/{{job}}?offset={self.place}", ()

    def end(self, headers: dict[bytes, bytes]) -> None:
        if len(self.body) > len("[]"):
            self.kept.append(bytes(self.body[1:-1]))
        self.place = headers[b"stream-next-offset"].decode()


class Live(Client):
    """Reads the protocol's events: data counts once its control has said where it ends."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.frames = Frames()
        self.waiting: list[bytes] = []

    def ask(self) -> tuple[str, tuple[str, ...]]:
        return f"/v1/stream/jobs/{{job}}?offset={self.place}&live=sse", ()

    def feed(self, piece: bytes) -> None:
        for frame in self.frames.feed(piece):
            if frame.event == "data":
                self.waiting.append(frame.data[1:-1])
            else:
                self.kept += self.waiting
                self.waiting = []
                self.place = decode(frame.data)["streamNextOffset"]


class Browser(Live):
    """Reads the protocol's events as an EventSource does: by the id of each."""

    def ask(self) -> tuple[str, tuple[str, ...]]:
        resumes = (f"Last-Event-ID: {self.place}",) if self.place != "-1" else ()
        return "/v1/stream/jobs/{job}?offset=-1&live=sse", resumes

    def feed(self, piece: bytes) -> None:
        for frame in self.frames.feed(piece):
            if frame.event == "data":
                self.kept.append(frame.data[1:-1])
            self.place = frame.id


@dataclass
class Recorded:
    """An ended job, and every answer that was asked about it."""

    running: Service
    token: str
    job: str
    log: bytes = b""  # its events, comma-separated
    answers: dict[tuple[type[Client], Place], bytes] = field(default_factory=dict)

    async def raw(self, client: Client) -> bytes:
        """Return all bytes of an answer; of a log that has ended it is always the same one."""
        key = (type(client), client.place)
        if key not in self.answers:
            path, headers = client.ask()
            credentials = f"Authorization: Bearer {self.token}"
            asked = (credentials, "Connection: close", *headers)
            async with line(self.running) as stream:
                await stream.send_all(head(self.running, "GET", path.format(job=self.job), *asked))
                self.answers[key] = await receive_all(stream)
        return self.answers[key]

    async def rest(self, kind: type[Client], place: Place) -> list[bytes]:
        """Return what a client gets that resumes there and is cut no more."""
        got: list[bytes] = []
        while True:
            client = kind(place)
            raw = await self.raw(client)
            list(fed(client, raw, len(raw)))
            got += client.kept
            if client.is_done or not client.kept:
                return got
            place = client.place


def fed(client: Client, raw: bytes, size: int = 1) -> Iterator[None]:
    """Feed an answer in pieces, byte by byte or whole; yield after each."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    http.send(h11.EndOfMessage())
    headers: dict[bytes, bytes] = {}
    for place in range(0, len(raw), size):
        http.receive_data(raw[place : place + size])
        while (event := http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                headers = dict(event.headers)
            elif isinstance(event, h11.Data):
                client.feed(bytes(event.data))
            else:
                client.end(headers)
                break
        yield


@pytest.fixture
async def recorded() -> AsyncIterator[Recorded]:
    async with service(providers=(Talkative(),)) as running:
        client = await running.client()
        token = client.headers["Authorization"].removeprefix("Bearer ")
        job = await talk.asked(client, await talk.begin(client), model="talkative")
        events = await talk.follow(client, job)
        assert events[-1]["data"]["status"] == "completed"
        segments = running.services.log.read(f"jobs/{job}", after=0)
        bodies = [each.body for segment in segments for each in segment.records]
        while (sequence := len(bodies)) < len(events):
            segments = running.services.log.read(f"jobs/{job}", after=sequence)
            bodies += [each.body for segment in segments for each in segment.records]
        log = b",".join(bodies)
        assert 0.8 * LOG_BYTES < len(log) <= 1.2 * LOG_BYTES
        yield Recorded(running, token, job, log)


@requirement("log.cut-anywhere")
@pytest.mark.parametrize(
    ("kind", "first"),
    [(Sse, "0"), (Json, "0"), (CatchUp, "-1"), (Live, "-1"), (Browser, "-1")],
    ids=["sse", "json", "streams-json", "streams-sse", "streams-browser"],
)
async def test_cut_at_every_byte_and_resumed_it_is_as_if_uncut(
    recorded: Recorded, kind: type[Client], first: Place
) -> None:
    before: list[bytes] = []
    place, cuts, resumed = first, 0, set[Place]()
    while True:
        client = kind(place)
        raw = await recorded.raw(client)
        state = None
        for _ in fed(client, raw):
            cuts += 1
            if state != (state := (len(client.kept), client.place)):
                resumed.add(client.place)
                whole = [*before, *client.kept, *await recorded.rest(kind, client.place)]
                assert b",".join(whole) == recorded.log, (cuts, client.place)
        before += client.kept
        place = client.place
        if client.is_done:
            break
    assert b",".join(before) == recorded.log
    assert cuts > len(recorded.log)
    assert len(resumed) > (len(before) if kind in {Sse, Json} else 1)
