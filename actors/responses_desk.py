"""Responses, as a caller can ask for them: each as one call.

A response is a turn; its id is its job's own part behind another prefix, so that neither is kept
twice. What is stored is found in the durable core, what is not in the one in memory, and there a
connection alone may go on from it. What a caller may not see is absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import orjson
import trio

from actors import items_in, items_out
from actors.claims import Claim
from actors.items_in import Item
from actors.memory_desk import MemoryDesk
from actors.spine import Spine
from actors.threads import Threads, shown_input
from actors.turn_desk import Found, Order, TurnDesk
from actors.turns import Asked, output_items, whole_input
from runtime import limits
from runtime.caller import Caller
from runtime.problems import Invalid, NotFound
from store import turns
from store.jobs import JobRow
from store.turns import TurnRow
from transports.egress.providers.asked import Input

FRONT: Final = "responses"
ASIDE: Final = "aside"  # turns that no front shows
PREVIOUS: Final = "previous_response_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResponse:
    """A response that is wanted.

    Args:
        input: as it came: words, or items that are not checked yet.
        previous: the job of the response before; `unstored` are those that may be gone on from
            though they are not stored.
        shown: what the front wants back when it shows the response.
    """

    model: str | None
    input: Any
    asked: Asked
    options: Mapping[str, Any]
    stored: bool = True
    previous: str | None = None
    unstored: Collection[str] = ()
    thread: str | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    claim: Claim | None = None
    traceparent: str = ""


class Responses:
    """One per service."""

    def __init__(self, spine: Spine, durable: TurnDesk) -> None:
        self._spine, self._durable = spine, durable
        self._memory: MemoryDesk | None = None
        self.threads = Threads(spine, self._named)

    @property
    def memory(self) -> MemoryDesk:
        """The turns that leave nothing on disk."""
        if self._memory is None:
            self._memory = MemoryDesk(self._spine)
        return self._memory

    async def create(self, caller: Caller, wanted: NewResponse, request_id: str) -> Found:
        """Begin a response; it is durable, or in memory, when this returns.

        Raises:
            Invalid: with the place of what is wrong; a previous response that is not there.
            NotFound: no such thread.
        """
        desk = self._durable if wanted.stored else self.memory
        previous = self._previous(caller, wanted) if wanted.previous else None
        if wanted.thread:
            self.threads.find(caller, wanted.thread)
        job_id = self._spine.ids.new("job_")
        order = Order(
            job_id=job_id,
            front=FRONT,
            model=wanted.model or None,
            items=self._items(caller, wanted.input, Numbered(job_id)),
            asked=wanted.asked,
            options=wanted.options,
            previous=previous,
            thread=wanted.thread,
            shown=wanted.shown,
            receipt={"id": job_id},
            claim=wanted.claim,
            traceparent=wanted.traceparent,
        )
        return await desk.ask(caller, order, request_id)

    def _previous(self, caller: Caller, wanted: NewResponse) -> str:
        """Return the job that the new one follows.

        Raises:
            Invalid: it is not there for this caller, not stored, or not at its end.
        """
        job_id = wanted.previous or ""
        kept = not wanted.stored and job_id in wanted.unstored
        desk = self.memory if kept else self._durable
        try:
            desk.turn(caller, job_id, FRONT)
        except NotFound:
            _refuse_previous("There is no such previous response; or it was not stored.")
        if desk.job(job_id).ended_at_ms is None:
            _refuse_previous("The previous response has not ended yet.", "previous_response_open")
        return job_id

    def _items(self, caller: Caller, given: Any, new_id: Numbered) -> list[Item]:
        """Return the input as items, each reference in it replaced by what it names."""
        items = items_in.read_items(given, new_id)
        for place, item in enumerate(items):
            if item["type"] == "item_reference":
                items[place] = self._named(caller, item["id"], f"/input/{place}/id")
            elif item.get("id") and (named := self._made(caller, item["id"])) is not None:
                items[place] = _with_state(item, named)
        return items

    def _named(self, caller: Caller, id: str, where: str) -> Item:
        made = self._made(caller, id)
        if made is None:
            raise Invalid.at(where, f"There is no item with the id {id}.")
        return made

    def _made(self, caller: Caller, id: str) -> Item | None:
        """Return an item that a model made for this caller, with its provider's own form."""
        place = items_out.place_of(id)
        if place is None:
            return None
        job_id, index = place
        for desk in self._desks():
            if turns.get(desk.spine.reader, caller, job_id, FRONT) is not None:
                for item in output_items(desk.spine.reader, job_id):
                    if item["index"] == index and items_out.public_id(job_id, item) == id:
                        return _item_with_state(job_id, item)
        return None

    def _desks(self) -> Iterator[TurnDesk]:
        yield self._durable
        if self._memory is not None:
            yield self._memory

    def find(self, caller: Caller, job_id: str) -> Found:
        """Return the caller's response, wherever it is kept.

        Raises:
            NotFound: there is none, for this caller.
        """
        for desk in self._desks():
            row = turns.get(desk.spine.reader, caller, job_id, FRONT)
            if row is not None and desk.keeps(job_id):
                return Found(desk=desk, turn=row, job=desk.job(job_id))
        raise NotFound("There is no such response.")

    async def cancel(self, caller: Caller, job_id: str, request_id: str) -> Found:
        """End a response that is being made; its end is committed when this returns."""
        found = self.find(caller, job_id)
        if found.job.ended_at_ms is None:
            await found.desk.cancel(caller, found.job, request_id)
        return self.find(caller, job_id)

    async def delete(self, caller: Caller, job_id: str, request_id: str) -> None:
        """Delete a response: nobody sees it any more. One that is being made is ended first.

        Raises:
            NotFound: there is none, for this caller.
        """
        found = await self.cancel(caller, job_id, request_id)
        await found.desk.delete(caller, job_id, request_id)

    def input_items(self, found: Found) -> list[Item]:
        """Return a response's own input, oldest first, as the API shows it."""
        return [shown_input(item) for item in orjson.loads(found.turn.input)]

    def told(self, caller: Caller, wanted: NewResponse) -> list[Input]:
        """Return all that a model would be told for a response, which is not begun.

        Raises:
            Invalid, NotFound: as `create`.
        """
        row = TurnRow(
            job_id="",
            front=ASIDE,
            previous=self._previous(caller, wanted) if wanted.previous else None,
            thread=wanted.thread,
            asked=b"{}",
            input=b"[]",
            shown=b"{}",
        )
        if wanted.thread:
            self.threads.find(caller, wanted.thread)
        items = self._items(caller, wanted.input, Numbered(""))
        own = Order(job_id="", front=ASIDE, model=wanted.model, items=items, asked=wanted.asked)
        return whole_input((self._spine.reader,), row, limits.ORDINAL_MAX, own)

    async def ask_aside(self, caller: Caller, model: str, text: str, request_id: str) -> JobRow:
        """Ask a model something in memory, of which nothing is kept; return how it ended."""
        job_id = self._spine.ids.new("job_")
        items = items_in.read_items(text, Numbered(job_id))
        order = Order(job_id=job_id, front=ASIDE, model=model, items=items)
        await self.memory.ask(caller, order, request_id)
        try:
            return await self.memory.ended(job_id)
        except trio.Cancelled:
            self.memory.leave(job_id)
            raise


@dataclass(slots=True)
class Numbered:
    """Makes the ids of a turn's input: the turn's own part, and a count."""

    job_id: str
    count: int = 0

    def __call__(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.job_id.partition('_')[2]}_i{self.count - 1}"


def _refuse_previous(detail: str, code: str = "previous_response_not_found") -> NoReturn:
    errors = [{"pointer": f"/{PREVIOUS}", "detail": detail}]
    raise Invalid(detail, errors=errors, code=code)


def _item_with_state(job_id: str, item: Mapping[str, Any]) -> Item | None:
    shown = items_out.shown(job_id, item, sealed=False)
    if shown is None and item.get("native"):
        shown = {"type": item["type"], "id": items_out.public_id(job_id, item)}
    if shown is not None and item.get("native") and item["status"] == "completed":
        shown["native"] = item["native"]
    return shown


SAME: Final = ("type", "content", "summary", "name", "arguments", "call_id")


def _with_state(given: Item, made: Item) -> Item:
    """Return what the caller sent, with its provider's form where it is still what was made."""
    same = all(given.get(name) == made.get(name) for name in SAME if name in made)
    return given | {"native": made["native"]} if same and "native" in made else given
