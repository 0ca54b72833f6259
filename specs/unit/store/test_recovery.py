"""At the start a torn or flipped tail is found, at a cost that does not grow with the log."""

from __future__ import annotations

from pathlib import Path

from specs.unit.store.kit import append, appends, fill, opened
from specs.unit.store.test_event_log import damage
from store.commit import commit_one
from store.recovery import damaged_tails


def test_sound_tails_are_named_by_nobody(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 500)
        fill(store, "jobs/2", 0)
        commit_one(store.writer, appends(append("jobs/1", 500, ends=True)))

        assert damaged_tails(store.reader) == ()


def test_a_flipped_bit_in_a_tail_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 500)
        fill(store, "jobs/2", 500)
        damage(
            tmp_path,
            "DROP TRIGGER event_kept",
            "UPDATE event SET body = CAST(body || ' ' AS BLOB) WHERE stream = 2 AND sequence = 499",
        )

        assert damaged_tails(store.reader) == ("jobs/2",)


def test_a_hole_in_a_tail_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 500)
        damage(
            tmp_path,
            "DROP TRIGGER event_stays",
            "DELETE FROM event WHERE sequence = 480",
        )

        assert damaged_tails(store.reader) == ("jobs/1",)


def test_an_end_without_an_event_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, "jobs/1", 0)
        store.writer.execute("UPDATE stream SET ended = 1")

        assert damaged_tails(store.reader) == ("jobs/1",)
