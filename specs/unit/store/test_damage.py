"""Damage on the disk, wherever it is, is never read as data."""

from __future__ import annotations

import sqlite3
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.problems import LogCorrupt, Problem
from specs.requirements import requirement
from specs.unit.store.kit import appends, make, opened, record
from store import recovery
from store.commit import Committer
from store.event_log import SqliteEventLog
from store.opening import FILE, open_store
from store.writer import Append

STREAMS: Final = ("jobs/a", "jobs/b")
EVENTS: Final = 40
WAL: Final = FILE + "-wal"


def said_by(stream: str, after: int) -> Append:
    records = [record(n, f"said in {stream}") for n in range(after + 1, after + 5)]
    return Append(stream=stream, after=after, records=records)


@cache
def sound(*, checkpoints: bool) -> dict[str, bytes]:
    """The files of a store that holds EVENTS of each stream, in the WAL or in the database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = opened(folder)
        committer = Committer(store.writer)
        committer.commit([make(*STREAMS)])
        committer.checkpoint(truncate=True)
        for after in range(0, EVENTS, 4):
            committer.commit([appends(said_by(each, after)) for each in STREAMS])
        if checkpoints:
            committer.checkpoint(truncate=True)
        kept = {each.name: each.read_bytes() for each in folder.iterdir()}
        store.close()
    return {name: content for name, content in kept.items() if name in {FILE, WAL}}


def read(files: dict[str, bytes]) -> tuple[dict[str, list[bytes]], str]:
    """Open a store and read all its logs: what was read, and what was said of damage."""
    with tempfile.TemporaryDirectory() as name:
        for file, content in files.items():
            (Path(name) / file).write_bytes(content)
        found: dict[str, list[bytes]] = {}
        try:
            with open_store(Path(name), migrates=False) as store:
                said = ",".join(recovery.damaged_tails(store.reader))
                for stream in STREAMS:
                    bodies = found[stream] = []
                    log = SqliteEventLog(store.reader)
                    while page := log.read(stream, after=len(bodies), limit=7):
                        bodies += [each.body for segment in page for each in segment.records]
                check = store.reader.execute("PRAGMA integrity_check").fetchone()[0]
                return found, said or ("" if check == "ok" else str(check))
        except (sqlite3.Error, Problem) as error:
            return found, type(error).__name__


@cache
def whole() -> dict[str, list[bytes]]:
    found, said = read(sound(checkpoints=True))
    assert said == ""
    assert [len(found[each]) for each in STREAMS] == [EVENTS, EVENTS]
    return found


def is_prefix(found: dict[str, list[bytes]]) -> bool:
    return all(bodies == whole()[name][: len(bodies)] for name, bodies in found.items())


@requirement("log.damage-is-never-data")
@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_in_the_database_is_said_or_harms_nothing(place: float, bit: int) -> None:
    files = dict(sound(checkpoints=True))
    content = bytearray(files[FILE])
    content[int(place * len(content))] ^= 1 << bit
    found, said = read(files | {FILE: bytes(content)})

    assert is_prefix(found)
    if said == "":
        assert found == whole()


@requirement("log.damage-is-never-data")
def test_a_schema_whose_words_are_no_text_any_more_is_said() -> None:
    files = dict(sound(checkpoints=True))
    content = bytearray(files[FILE])
    content[content.rindex(b"CREATE TABLE stream (") + len("CREATE ")] ^= 0x80

    assert read(files | {FILE: bytes(content)}) == ({}, "FolderUnusable")


@requirement("log.damage-is-never-data")
@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_a_flipped_bit_in_the_wal_is_never_data(place: float, bit: int) -> None:
    files = dict(sound(checkpoints=False))
    content = bytearray(files[WAL])
    content[int(place * len(content))] ^= 1 << bit
    found, _ = read(files | {WAL: bytes(content)})

    assert is_prefix(found)
    assert {len(bodies) % 4 for bodies in found.values()} <= {0}  # whole commits


@requirement("log.damage-is-never-data")
@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_torn_tail_is_a_shorter_history_and_a_sound_one(place: float) -> None:
    files = dict(sound(checkpoints=False))
    found, said = read(files | {WAL: files[WAL][: int(place * len(files[WAL]))]})

    assert said == ""
    assert is_prefix(found)
    assert len({len(bodies) for bodies in found.values()}) == 1  # a commit wrote to both
    assert {len(bodies) % 4 for bodies in found.values()} == {0}


@requirement("log.damage-is-never-data")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, EVENTS - 1), st.data())
def test_a_flipped_bit_in_an_event_is_found_at_that_event(event: int, data: st.DataObject) -> None:
    files = dict(sound(checkpoints=True))
    body = whole()["jobs/a"][event]
    start = files[FILE].index(body)
    place = data.draw(st.integers(0, len(body) - 1))
    content = bytearray(files[FILE])
    content[start + place] ^= 1 << data.draw(st.integers(0, 7))
    found, said = read(files | {FILE: bytes(content)})

    assert said == "LogCorrupt"
    assert found == {"jobs/a": whole()["jobs/a"][:event]}


@pytest.mark.parametrize("cut", [1, 100, 4096, 20_000])
def test_a_database_that_lost_its_end_is_said_to_be_damaged(cut: int) -> None:
    files = sound(checkpoints=True)
    found, said = read({FILE: files[FILE][:-cut]})

    assert is_prefix(found)
    assert said != ""


def test_damage_in_the_middle_keeps_what_is_before_it_readable(tmp_path: Path) -> None:
    files = dict(sound(checkpoints=True))
    body = whole()["jobs/a"][20]
    content = files[FILE].replace(body, body[:-1] + b"?")
    (tmp_path / FILE).write_bytes(content)
    with open_store(tmp_path, migrates=False) as store:
        log = SqliteEventLog(store.reader)
        bodies = [each.body for segment in log.read("jobs/a", after=0) for each in segment.records]
        with pytest.raises(LogCorrupt):
            log.read("jobs/a", after=len(bodies))

    assert bodies == whole()["jobs/a"][:20]
