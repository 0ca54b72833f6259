"""A front's turn as a model is asked it: what came before, then the turn's own input.

What came before is a branch of stored items: the inputs and outputs of the turns that `previous`
leads back to, or of the thread that the turn belongs to, each output with its provider's own form.
Only reads; a job's actor does the same again after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter

from actors import items_in, items_out
from actors.items_in import Item
from runtime import limits
from runtime.problems import Invalid
from store import jobs, turns
from store.database import Database
from store.turns import ThreadItemRow, TurnRow
from transports.egress.providers.asked import Input, Wanted, said


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


@cache
def _adapter() -> TypeAdapter[Asked]:
    return TypeAdapter(Asked)


def asked_of(row: TurnRow) -> Asked:
    """Return how a turn wants its answer."""
    return _adapter().validate_json(row.asked)


def whole_input(
    dbs: Sequence[Database], row: TurnRow, thread_ordinal: int, own: list[Item] | None = None
) -> list[Input]:
    """Return all that the model is to be told, oldest first, before it is fitted to its window.

    Args:
        dbs: where turns are looked for; a thread is in the first of them.
        thread_ordinal: of the turn's job, which tells what was in its thread before.
        own: the turn's input where it is at hand.

    Raises:
        Invalid: the chain is too long.
    """
    instructions = asked_of(row).instructions
    first: list[Input] = [said("system", instructions)] if instructions else []
    before = (
        _thread(dbs[0], row.thread, thread_ordinal) if row.thread else _chain(dbs, row.previous)
    )
    now = (items_in.asked(each) for each in (orjson.loads(row.input) if own is None else own))
    return [*first, *before, *now]


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
        told += _answered(db, row.job_id)
    return told


def _answered(db: Database, job_id: str) -> Iterator[Input]:
    for item in output_items(db, job_id):
        if (told := items_out.asked(job_id, item)) is not None:
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
        for item in output_items(db, entry.job_id):
            if items_out.public_id(entry.job_id, item) in gone:
                continue
            if (answer := items_out.asked(entry.job_id, item)) is not None:
                told.append(answer)
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
