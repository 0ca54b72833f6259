"""The stream actor: owns one path of one caller, and the log of the stream that is there now.

Stream: `streams/<id>`. Records, as they came: stream.message (JSON values with commas between) or
stream.bytes (an append). Messages: actors.streams.words.

Whatever is accepted is one transaction: the records, the producer's place, the end, the audit entry
(one an accepted request, also an append). So a retry of an idempotent producer is told exactly what
happened, whenever the process died. A stream with a sliding life lives on with every use; its end
is written again now and then, and what was not written is granted when the actor comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, assert_never

import orjson

from actors.producing import is_new
from actors.spine import Spine
from actors.streams import body as stream_body
from actors.streams import view as stream_view
from actors.streams.view import View
from actors.streams.words import (
    Append,
    Appended,
    Create,
    Created,
    Delete,
    Expire,
    Fork,
    Look,
    Message,
    address_of,
)
from runtime import limits
from runtime.actor import TrioActor
from runtime.caller import Caller
from runtime.log import Record, records_after
from runtime.offsets import offset_of
from runtime.problems import (
    BadRequest,
    NotFound,
    ProducerFenced,
    StoreUnavailable,
    StreamClosed,
    StreamConflict,
    StreamGone,
)
from store import change, durable, event_log
from store.database import Database
from store.durable import DurableRow, Producer
from store.writer import Append as LogAppend
from store.writer import Write

MISSING = "There is no stream at this path."


class Stream(TrioActor):
    """The only writer of whatever stream is at one address."""

    def __init__(self, spine: Spine, key: str) -> None:
        super().__init__()
        self.spine, self.at = spine, address_of(key)

    async def started(self) -> None:
        """Rebuild from the store; nothing may be at the address yet."""
        self.row: DurableRow | None = None
        self._writing_end = False
        row = durable.find(self.spine.reader, self.at)
        if row is not None:
            self._take(row)

    def _take(self, row: DurableRow) -> None:
        head = self.spine.log.head(row.stream)
        assert head is not None
        self.row = row
        self.links = stream_view.links_of(self.spine.reader, row)
        self.head, self.closed = head.sequence, head.ended
        self.written_end_ms = self.end_ms = row.expires_at_ms
        if self.end_ms is not None and row.ttl_s is not None:
            self.end_ms += _slack_ms(row.ttl_s)  # uses that were not written any more

    async def handle(self, message: Message) -> Any:
        if self.row is not None and self.row.deleted:
            self.row = durable.get(self.spine.reader, self.row.id)  # its last fork may have gone
        await self._end_if_over()
        match message:
            case Look():
                row = self._reachable()
                if message.uses:
                    self._use(row)
                return self._view(row)
            case Append():
                return await self._append(self._reachable(), message)
            case Create():
                return await self._create(message)
            case Delete():
                row = self._reachable()
                return await self._remove(row, message.caller, message.request_id, "stream.delete")
            case Expire():
                return None
        assert_never(message)

    def idle(self) -> bool:
        """It may leave: all that it knows is in the store."""
        return not self._writing_end

    def _reachable(self) -> DurableRow:
        if self.row is None:
            raise NotFound(MISSING)
        if self.row.deleted:
            raise StreamGone("The stream was deleted, and is kept only for its forks.")
        return self.row

    def _view(self, row: DurableRow) -> View:
        return View(
            id=row.id,
            content_type=row.content_type,
            links=self.links,
            tail=self.links[-1].base + self.head,
            closed=self.closed,
            ttl_s=row.ttl_s,
            expires_at_ms=self.end_ms,
        )

    # --- time ---

    async def _end_if_over(self) -> None:
        """Remove a stream whose time is over."""
        row = self.row
        if row is None or row.deleted or self.end_ms is None:
            return
        if self.spine.clock.now_ms() >= self.end_ms:
            owner = Caller(tenant=self.at.tenant, user=self.at.user)
            await self._remove(row, owner, "", "stream.expire")

    def _use(self, row: DurableRow) -> None:
        """Put off the end of a sliding life; write it again once it has moved enough."""
        if row.ttl_s is None or self.end_ms is None or self.written_end_ms is None:
            return
        self.end_ms = self.spine.clock.now_ms() + 1000 * row.ttl_s
        if self.end_ms - self.written_end_ms >= _slack_ms(row.ttl_s) and not self._writing_end:
            self._writing_end = True
            self.life.start_soon(self._write_end, row.id, self.end_ms)

    async def _write_end(self, id: str, end_ms: int) -> None:
        try:
            await self.spine.writer.write(Write(rows=lambda db: durable.put_off(db, id, end_ms)))
            self.written_end_ms = end_ms
        except StoreUnavailable:
            pass  # the next use tries again
        finally:
            self._writing_end = False

    # --- making ---

    async def _create(self, asked: Create) -> Created:
        if self.row is not None:
            return self._confirm(self.row, asked)
        fork = asked.fork
        content_type = asked.content_type or stream_body.DEFAULT
        if fork is not None:
            content_type = asked.content_type or fork.source.content_type
            _require_same(fork.source.content_type, content_type)
        bodies = [fork.prefix] if fork and fork.prefix else []
        bodies += stream_body.split(content_type, asked.body)
        row = self._new_row(asked, content_type)
        kind = stream_body.kind_of(content_type)
        records = records_after(0, kind, bodies)

        def rows(db: Database) -> None:
            if row.source is not None and not durable.hold(db, row.source):
                raise StreamConflict("The source of the fork has been deleted.")
            stream_view.links_of(db, row)
            event_log.create_stream(db, row.stream, row.tenant, row.user)
            durable.insert(db, row)

        await self.spine.writer.write(
            change.change(
                asked.caller,
                action="stream.fork" if fork else "stream.create",
                object_id=row.id,
                at_ms=row.created_at_ms,
                request_id=asked.request_id,
                access=lambda db: durable.find(db, self.at) is None,
                rows=rows,
                appends=_appends(row.stream, 0, records, ends=asked.closed),
            )
        )
        self._take(row)
        self.end_ms = row.expires_at_ms
        await self.spine.watches.grown(self.at)
        return Created(view=self._view(row), is_new=True)

    def _new_row(self, asked: Create, content_type: str) -> DurableRow:
        now_ms, fork = self.spine.clock.now_ms(), asked.fork
        ttl_s, end_ms = asked.ttl_s, asked.expires_at_ms
        inherits = fork is not None and ttl_s is None and end_ms is None
        if fork is not None and inherits:
            ttl_s, end_ms = fork.source.ttl_s, fork.source.expires_at_ms
        if ttl_s is not None:
            end_ms = now_ms + 1000 * ttl_s
        return DurableRow(
            id=self.spine.ids.new("strm_"),
            tenant=self.at.tenant,
            user=self.at.user,
            path=self.at.path,
            content_type=content_type,
            created_at_ms=now_ms,
            ttl_s=ttl_s,
            expires_at_ms=end_ms,
            inherits_expiry=inherits,
            source=fork.source.id if fork else None,
            source_path=fork.source_path if fork else None,
            fork_sequence=fork.sequence if fork else 0,
            fork_anchor=fork.sequence if fork and fork.anchor is None else _anchor(fork),
            fork_sub=fork.sub if fork else 0,
            forks=0,
            deleted=False,
            last_seq=None,
            closed_by=None,
        )

    def _confirm(self, row: DurableRow, asked: Create) -> Created:
        """Answer for a stream that is there already, if it is the one asked for."""
        if row.deleted:
            raise StreamConflict("The stream was deleted, and its path is taken by its forks.")
        fork = asked.fork
        wanted = asked.content_type or (row.content_type if fork else stream_body.DEFAULT)
        _require_same(row.content_type, wanted)
        expiry = (asked.ttl_s, asked.expires_at_ms if asked.ttl_s is None else None)
        kept = (row.ttl_s, row.expires_at_ms if row.ttl_s is None else None)
        if expiry != kept and not (row.inherits_expiry and expiry == (None, None)):
            raise StreamConflict("The stream has another time to live.")
        if asked.closed != self.closed:
            raise StreamConflict("The stream is closed." if self.closed else "The stream is open.")
        if (fork.source_path if fork else None) != row.source_path:
            raise StreamConflict("The stream was made from another source.")
        if fork and fork.anchor not in (None, row.fork_anchor):
            raise StreamConflict("The stream was forked at another offset.")
        if fork and fork.sub != row.fork_sub:
            raise StreamConflict("The stream was forked at another sub-offset.")
        self._use(row)
        return Created(view=self._view(row), is_new=False)

    # --- writing ---

    async def _append(self, row: DurableRow, asked: Append) -> Appended:
        done = self._done_before(row, asked)
        if done is not None:
            return done
        bodies: list[bytes] = []
        if asked.body:
            if not asked.content_type:
                raise BadRequest("An append needs a Content-Type.")
            _require_same(row.content_type, asked.content_type)
            bodies = stream_body.split(row.content_type, asked.body)
        if not bodies and (asked.body or not asked.closes):
            raise BadRequest("There is nothing to append.")
        known = self._producer(row, asked)
        if asked.producer is not None and not is_new(asked.producer, known):
            self._use(row)
            return self._appended(is_new=False, producer=known)
        if asked.stream_seq is not None and asked.stream_seq <= (row.last_seq or ""):
            raise StreamConflict(f"Stream-Seq has reached {row.last_seq!r} already.")
        await self._commit(row, asked, bodies)
        return self._appended(is_new=True, producer=asked.producer)

    def _done_before(self, row: DurableRow, asked: Append) -> Appended | None:
        """Answer a repeated close of a closed stream; None where the stream is open.

        Raises:
            StreamClosed: this is no repetition.
        """
        if not self.closed:
            return None
        if asked.producer is None:
            repeated = asked.closes and not asked.body
        else:
            repeated = _mark(asked.producer) == row.closed_by
            known = self._producer(row, asked)
            if known is not None and asked.producer.epoch < known.epoch:
                raise ProducerFenced(
                    f"The producer is at epoch {known.epoch}.", producer_epoch=known.epoch
                )
        if not repeated:
            raise StreamClosed(
                "The stream is closed.",
                stream_closed="true",
                stream_next_offset=offset_of(self._view(row).tail),
            )
        return self._appended(is_new=False, producer=asked.producer)

    def _producer(self, row: DurableRow, asked: Append) -> Producer | None:
        if asked.producer is None:
            return None
        return durable.producer(self.spine.reader, row.id, asked.producer.id)

    async def _commit(self, row: DurableRow, asked: Append, bodies: list[bytes]) -> None:
        kind = stream_body.kind_of(row.content_type)
        records = records_after(self.head, kind, bodies)
        producer = asked.producer
        closed_by = _mark(producer) if producer and asked.closes else None

        def rows(db: Database) -> None:
            if producer is not None:
                durable.keep_producer(db, row.id, producer)
            if asked.stream_seq is not None or closed_by is not None:
                durable.note_append(db, row.id, last_seq=asked.stream_seq, closed_by=closed_by)

        await self.spine.writer.write(
            change.change(
                asked.caller,
                action="stream.append" if records else "stream.close",
                object_id=row.id,
                at_ms=self.spine.clock.now_ms(),
                request_id=asked.request_id,
                access=lambda db: durable.is_reachable(db, row.id),
                rows=rows,
                appends=_appends(row.stream, self.head, records, ends=asked.closes),
            )
        )
        self.head += len(records)
        self.closed = self.closed or asked.closes
        if asked.stream_seq or closed_by:
            self.row = row = replace(
                row,
                last_seq=asked.stream_seq or row.last_seq,
                closed_by=closed_by or row.closed_by,
            )
        self._use(row)
        if records:
            await self.spine.watches.grown(self.at)

    def _appended(self, *, is_new: bool, producer: Producer | None) -> Appended:
        tail = self.links[-1].base + self.head
        return Appended(tail=tail, closed=self.closed, is_new=is_new, producer=producer)

    # --- removing ---

    async def _remove(self, row: DurableRow, caller: Caller, request_id: str, action: str) -> None:
        """Take the stream out of reach; its log goes soon, or with the last fork that needs it."""
        gone: list[str] = await self.spine.writer.write(
            change.change(
                caller,
                action=action,
                object_id=row.id,
                at_ms=self.spine.clock.now_ms(),
                request_id=request_id,
                access=lambda db: durable.is_reachable(db, row.id),
                rows=lambda db: durable.remove(db, row.id),
            )
        )
        self.row = None if row.id in gone else replace(row, deleted=True)
        await self.spine.watches.removed(self.at)
        self.spine.hub.announce(row.stream)
        if gone:
            await self.spine.erase_soon()


def _slack_ms(ttl_s: int) -> int:
    """Return how far the written end of a sliding life may lie behind."""
    return max(1000, 1000 * ttl_s // limits.STREAM_TOUCH_PARTS)


def _anchor(fork: Fork | None) -> int:
    return fork.anchor or 0 if fork else 0


def _mark(producer: Producer) -> str:
    """Return what tells the closing append of a producer from every other."""
    return orjson.dumps([producer.id, producer.epoch, producer.sequence]).decode()


def _require_same(kept: str, asked: str) -> None:
    if stream_body.media_type(kept) != stream_body.media_type(asked):
        raise StreamConflict(f"The stream's content type is {kept}.")


def _appends(
    stream: str, after: int, records: Sequence[Record], *, ends: bool
) -> tuple[LogAppend, ...]:
    if not records and not ends:
        return ()
    return (LogAppend(stream=stream, after=after, records=records, ends=ends),)
