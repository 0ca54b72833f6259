"""Threads: the conversations of the Responses front, as a caller can ask for them.

A thread is a conversation whose jobs are turns. Its items are those that were put there and those
of its turns, each at its place; one that was taken out stays out, also of what a model is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from actors import items_in, items_out
from actors.claims import Claim
from actors.founding import Founding
from actors.items_in import Item
from actors.spine import Spine
from actors.turns import entries, output_items
from runtime import limits
from runtime.caller import Caller
from runtime.problems import Invalid, NotFound, ShuttingDown
from store import change, turns
from store.database import Database
from store.idempotency import IdempotencyRow
from store.turns import ThreadItemRow, ThreadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How what was made is shown, and the key under which that is kept."""

    shown: Callable[[Any], Any]
    claim: Claim | None

    def record(self, caller: Caller, view: Any, at_ms: int) -> IdempotencyRow | None:
        """Return the row that answers the next call with the key."""
        return self.claim.record(caller, view, at_ms) if self.claim else None


class Threads:
    """One per service."""

    def __init__(self, spine: Spine, named: Callable[[Caller, str, str], Item]) -> None:
        """Take the core.

        Args:
            named: returns the item that an id names, for a caller; the last is where it was said.
        """
        self._spine, self._named = spine, named

    async def create(
        self,
        caller: Caller,
        metadata: Mapping[str, str],
        given: Any,
        request_id: str,
        receipt: Receipt,
    ) -> Any:
        """Begin a thread with some items, durable when this returns; return how it is shown."""
        if not self._spine.starts_jobs:
            raise ShuttingDown("The service is stopping.")
        founding = Founding.of(self._spine, caller, kind="thread")
        row, now_ms = founding.row, founding.row.created_at_ms
        kept, items = orjson.dumps(metadata), self._read(caller, given)
        view = receipt.shown(ThreadRow(id=row.id, metadata=kept, created_at_ms=now_ms))

        def rows(db: Database) -> None:
            founding.write(db)
            turns.insert_thread(db, row.id, kept)
            _put(db, row.id, items)

        await self._spine.writer.write(
            change.change(
                caller,
                action="thread.create",
                object_id=row.id,
                at_ms=now_ms,
                request_id=request_id,
                access=lambda _: True,
                rows=rows,
                appends=(founding.append(),),
                idempotency=receipt.record(caller, view, now_ms),
            )
        )
        return view

    def find(self, caller: Caller, id: str) -> ThreadRow:
        """Return the caller's thread.

        Raises:
            NotFound: there is none, for this caller.
        """
        row = turns.get_thread(self._spine.reader, caller, id)
        if row is None:
            raise NotFound("There is no such conversation.")
        return row

    async def update(
        self, caller: Caller, id: str, metadata: Mapping[str, str], request_id: str
    ) -> ThreadRow:
        """Give a thread other metadata."""
        kept = orjson.dumps(metadata)
        rows = lambda db: turns.set_metadata(db, id, kept)
        await self._change(caller, id, "thread.update", rows, request_id)
        return self.find(caller, id)

    async def delete(self, caller: Caller, id: str, request_id: str) -> None:
        """Delete a thread: nobody sees it any more."""
        now_ms = self._spine.clock.now_ms()
        rows = lambda db: turns.delete_thread(db, id, now_ms)
        await self._change(caller, id, "thread.delete", rows, request_id)

    def items(self, caller: Caller, id: str) -> list[Item]:
        """Return what a thread holds, oldest first."""
        self.find(caller, id)
        reader = self._spine.reader
        gone = {row.id for row in turns.items_of(reader, id) if row.value is None}
        held: list[Item] = []
        for entry in entries(reader, id):
            if isinstance(entry, ThreadItemRow):
                held += [shown_input(orjson.loads(entry.value))] if entry.value else []
                continue
            held += map(shown_input, orjson.loads(entry.input))
            made = output_items(reader, entry.job_id)
            shown = (items_out.shown(entry.job_id, each, sealed=False) for each in made)
            held += [each for each in shown if each is not None]
        return [item for item in held if item["id"] not in gone]

    def item(self, caller: Caller, id: str, item_id: str) -> Item:
        """Return one item of a thread.

        Raises:
            NotFound: there is none, for this caller.
        """
        for item in self.items(caller, id):
            if item["id"] == item_id:
                return item
        raise NotFound("There is no such item in this conversation.")

    async def put(
        self, caller: Caller, id: str, given: Any, request_id: str, receipt: Receipt
    ) -> Any:
        """Put items at the end of a thread; return how they are shown."""
        self.find(caller, id)
        items = self._read(caller, given)
        if not items:
            raise Invalid.at("/items", "There is no item to put there.")
        view = receipt.shown([shown_input(item) for item in items])
        rows = lambda db: _put(db, id, items)
        record = receipt.record(caller, view, self._spine.clock.now_ms())
        await self._change(caller, id, "thread.put", rows, request_id, record)
        return view

    async def take_out(self, caller: Caller, id: str, item_id: str, request_id: str) -> ThreadRow:
        """Take an item out of a thread, whoever said it."""
        self.item(caller, id, item_id)

        def rows(db: Database) -> None:
            turns.put_item(db, ThreadItemRow(thread=id, id=item_id, position=0, value=None))

        await self._change(caller, id, "thread.take-out", rows, request_id)
        return self.find(caller, id)

    def _read(self, caller: Caller, given: Any) -> list[Item]:
        if len(given) > limits.THREAD_ITEMS_MAX:
            raise Invalid.at("/items", f"At most {limits.THREAD_ITEMS_MAX} items at once.")
        items = items_in.read_items(
            given, lambda prefix: self._spine.ids.new(f"{prefix}_"), "/items"
        )
        for place, item in enumerate(items):
            if item["type"] == "item_reference":
                items[place] = self._named(caller, item["id"], f"/items/{place}/id")
        return items

    async def _change(
        self,
        caller: Caller,
        id: str,
        action: str,
        rows: Callable[[Database], None],
        asked_by: str,
        record: IdempotencyRow | None = None,
    ) -> None:
        await self._spine.writer.write(
            change.change(
                caller,
                action=action,
                object_id=id,
                at_ms=self._spine.clock.now_ms(),
                request_id=asked_by,
                access=lambda db: turns.get_thread(db, caller, id) is not None,
                rows=rows,
                idempotency=record,
            )
        )


def _put(db: Database, thread: str, items: list[Item]) -> None:
    ordinal, held = turns.newest_ordinal(db, thread), len(turns.items_of(db, thread))
    for place, item in enumerate(items, held):
        value, position = orjson.dumps(item), turns.position(ordinal, place)
        row = ThreadItemRow(thread=thread, id=item["id"], position=position, value=value)
        turns.put_item(db, row)


def shown_input(item: Item) -> Item:
    """Return an item of an input as the API shows it."""
    return {name: value for name, value in item.items() if name != "native"}
