"""HTTP as the bench speaks it: over a plain socket, with as little between as can be.

A client library costs more than some of what is measured here. `Http` sends one request after the
other on a connection that stays open; `open_stream` begins an answer that does not end.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

HOST = "127.0.0.1"
TIMEOUT_S = 60.0  # of any one wait: longer than that, nothing is being measured any more
RECEIVE_BYTES = 1 << 18
SSE = "text/event-stream"
JSON = "application/json"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
GOOD_MIN, GOOD_MAX, NO_CONTENT = 200, 299, 204
LAST_CHUNK = b"\r\n0\r\n\r\n"  # the server has ended the answer


class Unexpected(Exception):
    """The service answered with something that the bench did not ask for."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service to measure."""

    port: int
    token: str = ""
    path: str = ""  # of the one stream that a probe without a token serves

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        type: str = JSON,
        accept: str = JSON,
        resume: str = "",
        extra: Mapping[str, str] = NO_HEADERS,
    ) -> bytes:
        """Return the bytes of a request; `extra` are further headers."""
        head = f"{method} {path} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\naccept: {accept}\r\n"
        if self.token:
            head += f"authorization: Bearer {self.token}\r\n"
        if resume:
            head += f"last-event-id: {resume}\r\n"
        if body or method in ("POST", "PUT"):
            head += f"content-type: {type}\r\ncontent-length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in extra.items())
        return head.encode() + b"\r\n" + body

    def connect(self) -> socket.socket:
        """Return a connection."""
        made = socket.socket()  # an address needs no look-up, which takes a tenth of a resume
        made.settimeout(TIMEOUT_S)
        made.connect((HOST, self.port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


class Http:
    """One connection that asks and waits."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = target.connect()
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def send(self, request: bytes) -> None:
        """Send a request whose answer is read by the caller."""
        self._socket.sendall(request)

    def until(self, mark: bytes) -> bytes:
        """Read on until `mark` has come; return all since the last call, the mark included.

        Raises:
            Unexpected: the service ended the connection first.
        """
        data = self._rest
        while (end := data.find(mark)) < 0:
            data += self.receive()
        end += len(mark)
        self._rest = data[end:]
        return data[:end]

    def receive(self) -> bytes:
        """Return what comes next.

        Raises:
            Unexpected: the service ended the connection.
        """
        if not (data := self._socket.recv(RECEIVE_BYTES)):
            raise Unexpected("The connection ended.")
        return data

    def call(self, method: str, path: str, message: Any = None) -> Any:
        """Ask, and return the JSON of a good answer.

        Raises:
            Unexpected: the answer is a refusal.
        """
        body = b"" if message is None else json.dumps(message).encode()
        answer = self.ask(self._target.request(method, path, body=body))
        return json.loads(answer.body) if answer.body else None

    def ask(self, request: bytes) -> Answer:
        """Send a request, and return the whole of a good answer.

        Raises:
            Unexpected: the answer is a refusal.
        """
        self.send(request)
        head = self.until(b"\r\n\r\n").decode("latin-1")
        began = time.perf_counter()
        body = self._body(head.lower())
        if not GOOD_MIN <= status_of(head) <= GOOD_MAX:
            line = request.partition(b" HTTP")[0].decode()
            raise Unexpected(f"{line}: {status_of(head)} {body[:300]!r}")
        return Answer(head=head, body=body, began=began)

    def _body(self, head: str) -> bytes:
        """Read a body by its length, or to its last chunk; pieces are joined once."""
        if status_of(head) == NO_CONTENT:
            return b""
        if "transfer-encoding: chunked" in head:
            raw = self._whole(lambda _, newest: newest.endswith(LAST_CHUNK))
            return unchunked(b"\r\n\r\n" + raw)
        size = int(head.partition("content-length:")[2].partition("\r\n")[0])
        raw = self._whole(lambda got, _: got >= size)
        self._rest = raw[size:]
        return raw[:size]

    def _whole(self, is_whole: Callable[[int, bytes], bool]) -> bytes:
        """Read until there is enough, by the number of bytes and the newest few of them."""
        pieces, got, newest = [self._rest], len(self._rest), b"\r\n" + self._rest
        self._rest = b""
        while not is_whole(got, newest):
            pieces.append(self.receive())
            got += len(pieces[-1])
            newest = newest[-len(LAST_CHUNK) :] + pieces[-1]
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer, and when its head had come, by `time.perf_counter`."""

    head: str
    body: bytes
    began: float

    def header(self, name: str) -> str:
        """Return the value of a header, "" where there is none."""
        for line in self.head.split("\r\n"):
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return ""


def status_of(head: str) -> int:
    """Return the status in the head of an answer."""
    return int(head.split(" ", 2)[1])


def unchunked(raw: bytes) -> bytes:
    """Return the body inside an answer sent in chunks, as far as whole chunks have come."""
    at = raw.find(b"\r\n\r\n") + 4
    pieces: list[bytes] = []
    while (end := raw.find(b"\r\n", at)) >= 0:
        size = int(raw[at:end].partition(b";")[0], 16)
        if not size or end + 2 + size > len(raw):
            break
        pieces.append(raw[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(pieces)
