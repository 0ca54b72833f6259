"""A front's turn as a model is asked it: what came before, then the turn's own input.

What came before is a branch of stored items: the inputs and outputs of the turns that `previous`
leads back to, or of the thread that the turn belongs to, each output with its provider's own form.
Only reads; a job's actor does the same again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import orjson
from pydantic import TypeAdapter

from actors import items_in, items_out
from actors.items_in import Item
from actors.prompt import in_turn
from runtime import limits
from runtime.problems import Invalid
from store import jobs, turns
from store.database import Database
from store.messages import MessageRow
from store.turns import ThreadItemRow, TurnRow
from transports.egress.providers.asked import Input, PromptReasoning, Wanted, said


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a turn wants its answer.

    Args:
        instructions: said first, by the system; of this turn alone.
        drops: whether old items may be left out where all do not fit.
    """

    instructions: str | None = None
    drops: bool = True
    wanted: Wanted = field(default_factory=Wanted)


class Own(Protocol):
    """What a turn itself asks."""

    @property
    def items(self) -> Sequence[Item]: ...
    @property
    def asked(self) -> Asked: ...


@cache
def _adapter() -> TypeAdapter[Asked]:
    return TypeAdapter(Asked)


def asked_of(row: TurnRow) -> Asked:
    """Return how a turn wants its answer."""
    return _adapter().validate_json(row.asked)


def whole_input(
    dbs: Sequence[Database], row: TurnRow, thread_ordinal: int, own: Own | None = None
) -> list[Input]:
    """Return all that the model is to be told, oldest first, before it is fitted to its window.

    Args:
        dbs: where turns are looked for; a thread is in the first of them.
        thread_ordinal: of the turn's job, which tells what was in its thread before.
        own: what the turn itself asks, where it is at hand.

    Raises:
        Invalid: the chain is too long.
    """
    instructions = (own.asked if own else asked_of(row)).instructions
    first: list[Input] = [said("system", instructions)] if instructions else []
    before = (
        _thread(dbs[0], row.thread, thread_ordinal) if row.thread else _chain(dbs, row.previous)
    )
    now = map(items_in.asked, own.items if own else orjson.loads(row.input))
    return in_turn([*first, *before, *now])


def _chain(dbs: Sequence[Database], job_id: str | None) -> list[Input]:
    """Return what the turns up to this one said and were told, oldest first."""
    found: list[tuple[Database, TurnRow]] = []
    while job_id is not None:
        known = ((db, row) for db in dbs if (row := turns.get_any(db, job_id)) is not None)
        if (step := next(known, None)) is None:
            break
        found.append(step)
        if len(found) > limits.TURN_CHAIN_MAX:
            detail = f"At most {limits.TURN_CHAIN_MAX} responses may follow one another."
            raise Invalid.at("/previous_response_id", detail)
        job_id = step[1].previous
    told: list[Input] = []
    for db, row in reversed(found):
        told += (items_in.asked(each) for each in orjson.loads(row.input))
        told += answered(row.job_id, output_items(db, row.job_id))
    return told


def spoken(db: Database, rows: Iterable[MessageRow]) -> list[Input]:
    """Return the messages of a talk as the model is told them.

    An answer is told as its items, with its provider's own form. One with a call that nobody has
    answered is told by its words alone: a provider would refuse such a call.
    """
    told: list[Input] = []
    for row in rows:
        items = output_items(db, row.job_id) if row.role == "assistant" else []
        results = {item.get("answers") for item in items}
        calls = {item["id"] for item in items if item["type"] == "tool_call"}
        if not items or calls - results:
            told.append(said(row.role, row.text))
        else:
            told += answered(row.job_id, items)
    return told


def answered(job_id: str, items: Iterable[Mapping[str, Any]]) -> Iterator[Input]:
    """Yield what the items of an ended job tell the next turn.

    A thought whose item broke off, or never came, is left out: its provider takes it back only
    before what it led to.
    """
    thoughts: list[Input] = []
    for item in items:
        told = items_out.asked(job_id, item)
        if isinstance(told, PromptReasoning):
            thoughts += [told] if told.native else []  # its words alone nobody takes back
            continue
        if item["status"] == "completed":
            yield from thoughts
        thoughts = []
        if told is not None:
            yield told


def output_items(db: Database, job_id: str) -> list[dict[str, Any]]:
    """Return the items that an ended job made, as its log tells them."""
    row = jobs.get_any(db, job_id)
    result = orjson.loads(row.result) if row and row.result else {}
    items: list[dict[str, Any]] = result.get("items") or []
    return items


def _thread(db: Database, thread: str, before_ordinal: int) -> list[Input]:
    """Return what a thread held before one of its jobs, oldest first."""
    told: list[Input] = []
    gone = {row.id for row in turns.items_of(db, thread) if row.value is None}
    for entry in entries(db, thread, before_ordinal):
        if isinstance(entry, ThreadItemRow):
            if entry.value is not None:
                told.append(items_in.asked(orjson.loads(entry.value)))
            continue
        told += (
            items_in.asked(each) for each in orjson.loads(entry.input) if each["id"] not in gone
        )
        items = output_items(db, entry.job_id)
        left = (item for item in items if items_out.public_id(entry.job_id, item) not in gone)
        told += answered(entry.job_id, left)
    return told


def entries(
    db: Database, thread: str, before_ordinal: int = limits.ORDINAL_MAX
) -> Iterator[ThreadItemRow | TurnRow]:
    """Yield what a thread holds, oldest first: items put there, and turns."""
    put = turns.items_of(db, thread)
    for ordinal, turn in turns.turns_of(db, thread, before_ordinal):
        while put and put[0].position < turns.position(ordinal, 0):
            yield put.pop(0)
        yield turn
    yield from (row for row in put if row.position < turns.position(before_ordinal, 0))
