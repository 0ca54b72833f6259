"""What a caller can ask of streams, each as one call: the desk of the Durable Streams protocol.

A path is the caller's own. `jobs/<id>` is the log of a job of the caller, to be read and never
written; below `__ds/` lie the protocol's own resources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import trio
from pykka import ActorDeadError

from actors.ending import stream_of
from actors.spine import Spine
from actors.streams import body as stream_body
from actors.streams import view as stream_view
from actors.streams.stream import MISSING
from actors.streams.view import View
from actors.streams.words import Append, Appended, Create, Created, Delete, Fork, Look, key_of
from runtime import limits
from runtime.caller import Caller
from runtime.problems import (
    BadRequest,
    Busy,
    NotFound,
    PathReserved,
    StreamConflict,
    StreamGone,
)
from store import durable, jobs
from store.durable import Address, Producer

JOBS: Final = "jobs"
CONTROL: Final = "__ds"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkOrder:
    """What to inherit: a caller's path, a sequence of it (None: its end), and how far past it."""

    path: str
    sequence: int | None
    sub: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStream:
    """What stream a caller wants to be there."""

    content_type: str | None
    body: bytes
    closed: bool
    ttl_s: int | None
    expires_at_ms: int | None
    fork: ForkOrder | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What a caller appends; `body` may be empty where it `closes` the stream."""

    content_type: str | None
    body: bytes
    closes: bool
    stream_seq: str | None
    producer: Producer | None


class Streams:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine

    async def look(self, caller: Caller, path: str, *, uses: bool) -> View:
        """Return a stream as it stands; a look that `uses` it puts off the end of a sliding life.

        Raises:
            NotFound: there is none, for this caller.
            StreamGone: it is kept only for its forks.
        """
        first, _, rest = path.partition("/")
        if first == JOBS:
            return self._job(caller, rest)
        view: View = await self._ask(_address(caller, path), Look(uses=uses))
        return view

    async def create(self, caller: Caller, path: str, order: NewStream, request_id: str) -> Created:
        """Make a stream, or confirm that it is there as asked.

        Raises:
            PathReserved, StreamConflict, BadRequest, NotFound, AuditUnavailable.
        """
        at = _writable(caller, path)
        made: Created = await self._spine.streams.ask(
            key_of(at),
            Create(
                caller=caller,
                request_id=request_id,
                content_type=order.content_type,
                body=order.body,
                closed=order.closed,
                ttl_s=order.ttl_s,
                expires_at_ms=order.expires_at_ms,
                fork=await self._fork(caller, order.fork) if order.fork else None,
            ),
        )
        return made

    async def append(
        self, caller: Caller, path: str, addition: Addition, request_id: str
    ) -> Appended:
        """Append to a stream, close it, or both; durable when this returns.

        Raises:
            What actors.streams.words.Append says; PathReserved.
        """
        done: Appended = await self._ask(
            _writable(caller, path),
            Append(
                caller=caller,
                request_id=request_id,
                content_type=addition.content_type,
                body=addition.body,
                closes=addition.closes,
                stream_seq=addition.stream_seq,
                producer=addition.producer,
            ),
        )
        return done

    async def delete(self, caller: Caller, path: str, request_id: str) -> None:
        """Take a stream away.

        Raises:
            NotFound, StreamGone, PathReserved, AuditUnavailable.
        """
        message = Delete(caller=caller, request_id=request_id)
        await self._ask(_writable(caller, path), message)

    async def _ask(self, at: Address, message: Append | Delete | Look) -> Any:
        """Ask the actor of a path, where something is there: guessing paths makes no actors."""
        key = key_of(at)
        if self._spine.streams.alive(key) is None:
            row = durable.find(self._spine.reader, at)
            if row is None:
                raise NotFound(MISSING)
        try:
            return await self._spine.streams.ask(key, message)
        except ActorDeadError:
            raise Busy("The stream cannot answer now.") from None

    def _job(self, caller: Caller, job_id: str) -> View:
        if jobs.get(self._spine.reader, caller, job_id) is None:
            raise NotFound(MISSING)
        head = self._spine.log.head(stream_of(job_id))
        if head is None:
            return stream_view.of_log(stream_of(job_id), 0, closed=False)
        return stream_view.of_log(stream_of(job_id), head.sequence, closed=head.ended)

    async def _fork(self, caller: Caller, order: ForkOrder) -> Fork:
        """Return what is inherited, read and found possible."""
        try:
            source: View = await self._ask(_writable(caller, order.path), Look(uses=False))
        except StreamGone:
            raise StreamConflict("The source of the fork has been deleted.") from None
        anchor = source.tail if order.sequence is None else order.sequence
        if anchor > source.tail:
            raise BadRequest("The fork's offset lies past the end of its source.")
        sequence, prefix = anchor, b""
        if order.sub and order.sequence is None:
            raise BadRequest("Stream-Fork-Sub-Offset needs Stream-Fork-Offset.")
        if order.sub and stream_body.is_json(source.content_type):
            sequence, prefix = await self._values_on(source, anchor, order.sub)
        elif order.sub:
            body = next(self._records_after(source, anchor), b"")
            prefix = body[: order.sub]
            if len(prefix) == len(body) == order.sub:
                sequence, prefix = anchor + 1, b""
            elif order.sub > len(body):
                raise BadRequest("The fork's sub-offset lies past the next append.")
        return Fork(
            source=source,
            source_path=order.path,
            sequence=sequence,
            anchor=order.sequence,
            sub=order.sub,
            prefix=prefix,
        )

    async def _values_on(self, view: View, sequence: int, count: int) -> tuple[int, bytes]:
        """Return the place so many values on: a sequence, and what of the record after it."""
        for body in self._records_after(view, sequence):
            values = stream_body.apart(body)
            if count < len(values):
                return sequence, b",".join(values[:count])
            sequence, count = sequence + 1, count - len(values)
            if not count:
                return sequence, b""
            await trio.lowlevel.checkpoint()
        raise BadRequest("The fork's sub-offset lies past the end of its source.")

    def _records_after(self, view: View, sequence: int) -> Iterator[bytes]:
        while found := list(stream_view.read(self._spine.log, view.links, sequence)):
            for _, segment in found:
                yield from segment.bodies
                sequence += segment.count


def _address(caller: Caller, path: str) -> Address:
    return Address(tenant=caller.tenant, user=caller.user, path=path)


def _writable(caller: Caller, path: str) -> Address:
    """Return the address of a path that a caller may write to.

    Raises:
        PathReserved, BadRequest.
    """
    first, _, _ = path.partition("/")
    if first == JOBS:
        raise PathReserved("The log of a job is written by its job alone.")
    if first == CONTROL:
        raise PathReserved("The paths under __ds/ belong to the protocol.")
    if not path or "\x00" in path or len(path.encode()) > limits.STREAM_PATH_BYTES_MAX:
        most = limits.STREAM_PATH_BYTES_MAX
        raise BadRequest(f"A stream's path has 1 to {most} bytes, and no NUL.")
    return _address(caller, path)
