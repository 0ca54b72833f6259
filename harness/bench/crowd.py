"""Many readers of streams in one task, quick enough to measure the service and not themselves.

While the clock runs, bytes are only taken in, each piece with its time; whether every reader got
every event, once and in order, is looked at afterwards, against the log itself. Source: epoll(7).
"""

from __future__ import annotations

import json
import select
import socket
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Self

from harness.bench.figures import Wrong
from harness.bench.wire import LAST_CHUNK, SSE, TIMEOUT_S, Target, Unexpected, unchunked

PIECE_BYTES = 1 << 18
WAIT_S = 0.5  # of one wait; the deadline is looked at in between
TAIL_BYTES = 512  # a mark is looked for in the newest bytes of a reader
BLANK = b"\n\n"
SMALL_BYTES = 4096  # receive buffer of a reader that is not to take much


class Reader:
    """One connection and what came over it."""

    __slots__ = ("gone", "pieces", "size", "socket", "tail", "times")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.pieces: list[bytes] = []
        self.times: list[tuple[int, int]] = []  # bytes so far, and when, monotonic ns
        self.size, self.tail, self.gone = 0, b"", False

    def take(self, data: bytes, now_ns: int) -> None:
        """Keep a piece and its time."""
        self.pieces.append(data)
        self.size += len(data)
        self.times.append((self.size, now_ns))
        short = len(data) < TAIL_BYTES
        self.tail = (self.tail + data)[-TAIL_BYTES:] if short else data[-TAIL_BYTES:]

    def raw(self) -> bytes:
        """Return all that has come."""
        return b"".join(self.pieces)

    def arrived_ns(self, offset: int) -> int:
        """Return when the byte before `offset` came."""
        return self.times[bisect_left(self.times, (offset, 0))][1]


class Crowd:
    """Readers of one service. A context manager: at its end they hang up."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._poll = select.epoll()
        self._by_fd: dict[int, Reader] = {}
        self._buffer = bytearray(PIECE_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._poll.close()
        for reader in self._by_fd.values():
            reader.socket.close()

    @property
    def readers(self) -> list[Reader]:
        """All of them, in the order in which they came."""
        return list(self._by_fd.values())

    def join(self, paths: Sequence[str], *, resume: str = "") -> None:
        """Open a stream for each path, and wait until each has said that it is open."""
        newcomers: list[Reader] = []
        for path in paths:
            reader = Reader(self._target.connect())
            reader.socket.sendall(self._target.request("GET", path, accept=SSE, resume=resume))
            reader.socket.setblocking(False)
            self._by_fd[reader.socket.fileno()] = reader
            self._poll.register(reader.socket.fileno(), select.EPOLLIN)
            newcomers.append(reader)
        deadline = time.monotonic() + TIMEOUT_S
        while not all(_is_open(reader) for reader in newcomers):
            self._take(deadline, None)

    def join_stalled(self, path: str) -> None:
        """Open a stream that is never read from."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
        connection.settimeout(TIMEOUT_S)
        connection.connect(("127.0.0.1", self._target.port))
        connection.sendall(self._target.request("GET", path, accept=SSE))
        self._by_fd[connection.fileno()] = Reader(connection)

    def read_to(self, mark: bytes = LAST_CHUNK, *, within_s: float = TIMEOUT_S) -> None:
        """Take what comes until each reader has `mark` near the end of what it has.

        Raises:
            Unexpected: some have not in time, or their connection ended first.
        """
        deadline = time.monotonic() + within_s
        waiting = {reader for reader in self._by_fd.values() if mark not in reader.tail}
        while waiting:
            for reader in self._take(deadline, len(waiting)):
                if mark in reader.tail:
                    waiting.discard(reader)
                elif reader.gone:
                    raise Unexpected(f"A stream ended after {reader.size} bytes.")

    def last_ns(self) -> int:
        """Return when the last byte came, at any reader."""
        return max(reader.times[-1][1] for reader in self._by_fd.values())

    def _take(self, deadline: float, waiting: int | None) -> list[Reader]:
        """Wait for something to come, and return those to whom it came."""
        if time.monotonic() > deadline:
            raise Unexpected(f"{waiting or 'Some'} of {len(self._by_fd)} readers waited in vain.")
        view = memoryview(self._buffer)
        touched: list[Reader] = []
        for fd, _ in self._poll.poll(WAIT_S):
            reader = self._by_fd[fd]
            touched.append(reader)
            try:
                count = reader.socket.recv_into(self._buffer)
            except BlockingIOError:
                continue
            if count:
                reader.take(bytes(view[:count]), time.monotonic_ns())
            else:
                self._poll.unregister(fd)
                reader.gone = True
        return touched


def _is_open(reader: Reader) -> bool:
    if not reader.pieces:
        return False
    if not reader.pieces[0].startswith(b"HTTP/1.1 200"):
        raise Unexpected(f"A stream was answered with {reader.pieces[0][:300]!r}")
    return reader.size > len(reader.pieces[0]) or BLANK in reader.pieces[0]


def events(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the id and the data of each event of an SSE body; a block without data is none."""
    for block in body.split(BLANK):
        number, data = 0, b""
        for line in block.split(b"\n"):
            if line.startswith(b"id: "):
                number = int(line[4:])
            elif line.startswith(b"data: "):
                data = line[6:]
        if data:
            yield number, data


def check(readers: Sequence[Reader], log: Sequence[bytes]) -> None:
    """Hold what each reader got against the log: every event, once, in order, the same bytes.

    Args:
        log: the events' bodies, from sequence 1.

    Raises:
        Wrong: a reader lost, doubled or misread an event.
    """
    known: set[bytes] = set()  # bodies found good: most readers get the very same bytes
    for place, reader in enumerate(readers):
        body = unchunked(reader.raw())
        if body in known:
            continue
        expected = 0
        for number, data in events(body):
            expected += 1
            if number != expected:
                raise Wrong(f"Reader {place} got event {number} where {expected} was next.")
            if expected > len(log) or data != log[expected - 1]:
                raise Wrong(f"Reader {place} got other bytes for event {expected} than were kept.")
        if expected != len(log):
            raise Wrong(f"Reader {place} got {expected} of {len(log)} events.")
        known.add(body)


def bodies(page: Any) -> list[bytes]:
    """Return the events of a page of JSON as the bytes they were made of."""
    dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    return [dumps(event).encode() for event in page["events"]]
