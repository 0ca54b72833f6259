"""The store of a run: whatever the one before did, it begins as that one did."""

import re

from harness.simulation.renewed import open_store
from store.database import transaction

ADD = "INSERT INTO stream (name, tenant, owner) VALUES (?, 'one', 'alice')"
COUNT = "SELECT count(*) FROM stream"


def test_a_run_finds_nothing_of_the_one_before_committed_or_not() -> None:
    first = open_store(guarded=False).writer
    with transaction(first) as db:
        db.execute(ADD, ("jobs/kept",))
    assert first.execute(COUNT).fetchone() == (1,)
    first.begin()
    first.execute(ADD, ("jobs/undone",))
    first.rollback()
    assert (first.execute(COUNT).fetchone(), first.conn.in_transaction) == ((1,), False)
    first.execute("DROP TRIGGER event_in_order")
    first.begin()
    first.execute(ADD, ("jobs/cut off",))
    second = open_store(guarded=False).writer
    assert (second.execute(COUNT).fetchone(), second.conn.in_transaction) == ((0,), False)
    kept = "SELECT count(*) FROM sqlite_master WHERE name = 'event_in_order'"
    assert second.execute(kept).fetchone() == (1,)


def test_nothing_in_the_schema_waits_for_the_commit_or_rolls_back_by_itself() -> None:
    schema = open_store(guarded=False).writer.schema
    found = r"DEFERR|RAISE\s*\(\s*ROLLBACK|ON CONFLICT ROLLBACK"
    assert re.findall(found, schema, re.IGNORECASE) == []
