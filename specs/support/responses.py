"""What a client of the Responses API says over and over, over HTTP and over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from specs.support import responses_oracle
from specs.support.scripted import Call, Scripted

Event = dict[str, Any]


async def create(client: httpx.AsyncClient, said: Any = "hello", **body: Any) -> Event:
    """Create a response; the model is `echo` unless told otherwise."""
    made = await client.post("/v1/responses", json={"model": "echo", "input": said} | body)
    assert made.status_code == 200, made.text
    response: Event = made.json()
    return response


async def started(client: httpx.AsyncClient, scripted: Scripted, **body: Any) -> tuple[str, Call]:
    """Begin a response in the background that the spec answers."""
    made = await create(client, model="scripted", background=True, **body)
    return made["id"], await scripted.next_call()


async def refused(client: httpx.AsyncClient, **body: Any) -> tuple[int, Event]:
    """Ask for what is refused; return the status and the error."""
    said = await client.post("/v1/responses", json={"model": "echo", "input": "x"} | body)
    error: Event = said.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return said.status_code, error


def events_in(frames: str) -> list[Event]:
    """Return the events of a stream's text, and see that it says that it is done."""
    data = [line[6:] for line in frames.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    return [json.loads(each) for each in data[:-1]]


async def stream(client: httpx.AsyncClient, said: Any = "hello", **body: Any) -> list[Event]:
    """Create a response and read its stream to the end."""
    asked = {"model": "echo", "input": said, "stream": True} | body
    answer = await client.post("/v1/responses", json=asked)
    assert answer.status_code == 200, answer.text
    return events_in(answer.text)


async def again(client: httpx.AsyncClient, id: str, after: int | None = None) -> list[Event]:
    """Read a response's stream, to its end, from any place."""
    params = {"stream": "true"} | ({} if after is None else {"starting_after": str(after)})
    answer = await client.get(f"/v1/responses/{id}", params=params)
    assert answer.status_code == 200, answer.text
    return events_in(answer.text)


def text_of(response: Event) -> str:
    """Return what a response says."""
    return "".join(
        part.get("text", "")
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    )


def message(response_text: str, role: str = "user") -> Event:
    return {"type": "message", "role": role, "content": response_text}


class Refused(Exception):
    """The server did not let the socket in."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body.decode()}")
        self.status, self.body = status, body


class Socket:
    """One WebSocket, spoken by another's code."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream, self._ws = stream, WSConnection(ConnectionType.CLIENT)
        self._text = ""
        self._status, self._body = 0, b""
        self.closed_with: int | None = None

    async def open(self, host: str, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        request = Request(host=host, target=path, extra_headers=headers)
        await self._stream.send_all(self._ws.send(request))
        while True:
            for event in self._ws.events():
                match event:
                    case AcceptConnection():
                        return
                    case RejectConnection():
                        self._status = event.status_code
                    case RejectData():
                        self._body += event.data
                        if event.body_finished:
                            raise Refused(self._status, self._body)
            await self._receive()

    async def _receive(self) -> None:
        data = await self._stream.receive_some(65536)
        self._ws.receive_data(bytes(data) or None)

    async def say(self, message: Any) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self._stream.send_all(self._ws.send(TextMessage(data=text)))

    async def hear(self) -> Event | None:
        """Return the next event; None where the server closes."""
        while True:
            for event in self._ws.events():
                if isinstance(event, TextMessage):
                    self._text += event.data
                    if event.message_finished:
                        said, self._text = self._text, ""
                        heard: Event = json.loads(said)
                        return heard
                elif isinstance(event, CloseConnection):
                    self.closed_with = event.code
                    return None
            await self._receive()

    async def ask(self, said: Any = "hello", **body: Any) -> list[Event]:
        """Ask for a response and return its events; of a refusal, the one."""
        create = {"type": "response.create", "model": "echo", "input": said} | body
        await self.say(create)
        events: list[Event] = []
        while True:
            event = await self.hear()
            assert event is not None, "the server has closed"
            events.append(event)
            if event["type"] == "error":
                return events
            assert list(responses_oracle.event_problems(event)) == []
            if "response" in event and event["response"]["status"] != "in_progress":
                return events


@asynccontextmanager
async def socket(
    port: int, token: str = "", path: str = "/v1/responses", **headers: str
) -> AsyncIterator[Socket]:
    """Open a WebSocket to a service; it is dropped with the block."""
    more = [(name.encode(), value.encode()) for name, value in headers.items()]
    if token:
        more.append((b"Authorization", f"Bearer {token}".encode()))
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        opened = Socket(stream)
        await opened.open(f"127.0.0.1:{port}", path, more)
        yield opened
