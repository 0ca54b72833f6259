"""Power cuts lose nothing that was acknowledged, on a rig that is seen to see losses."""

from __future__ import annotations

import random

import pytest

from harness import powerloss
from harness.power.disk import Disk, Opened, Removed, Synced, Truncated, Written
from harness.power.trial import trials
from specs.requirements import requirement


@requirement("commit.survives-power-cut")
def test_60_power_cuts_lose_and_corrupt_nothing_that_was_acknowledged() -> None:
    tally = trials(60)

    assert (tally.points, tally.lost, tally.corrupt, tally.told) == (60, 0, 0, [])
    assert tally.acknowledged > 5000
    assert tally.lives == 3


def test_the_same_rig_sees_what_is_lost_where_a_commit_is_not_synced() -> None:
    tally = trials(40, synchronous="NORMAL")

    assert tally.lost > 100
    assert tally.corrupt == 0  # a WAL without its end is a shorter history, and no wrong one


def test_the_same_rig_sees_stores_broken_where_nothing_is_synced() -> None:
    tally = trials(40, synchronous="OFF")

    assert tally.lost > 100
    assert tally.corrupt > 0


def test_the_command_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert powerloss.main(["--points", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 power cuts in 1 lives, ")
    assert powerloss.main(["--points", "20", "--synchronous", "NORMAL"]) == 1
    assert "seed 1, life 0, step " in capsys.readouterr().err


def cuts(disk: Disk, count: int = 200) -> set[tuple[tuple[str, bytes], ...]]:
    """All that was found after many cuts at one moment."""
    return {tuple(sorted(disk.cut(random.Random(seed)).items())) for seed in range(count)}  # noqa: S311


def disk(*steps: Opened | Written | Truncated | Synced | Removed) -> Disk:
    made = Disk({"old": b"aaaa"})
    for step in steps:
        made.take(step)
    return made


def test_what_was_synced_is_found() -> None:
    made = disk(Written("old", 2, b"bb"), Synced("old", folder=False))

    assert cuts(made) == {(("old", b"aabb"),)}


def test_what_was_not_synced_may_be_found_or_not() -> None:
    made = disk(Written("old", 0, b"bb"), Truncated("old", 3))

    assert cuts(made) == {
        (("old", b"aaaa"),),
        (("old", b"bbaa"),),
        (("old", b"aaa"),),
        (("old", b"bba"),),
    }


def test_a_later_write_may_outlive_an_earlier_one_and_a_write_may_be_torn() -> None:
    made = disk(Written("old", 0, b"x" * 512 + b"y" * 512), Written("old", 1024, b"z"))
    found = {content for ((_, content),) in cuts(made)}

    assert b"aaaa" + bytes(508) + b"y" * 512 in found
    assert b"x" * 512 in found
    assert b"aaaa" + bytes(1020) + b"z" in found
    assert len(found) == 8


def test_a_name_is_kept_once_its_folder_is_synced() -> None:
    new, gone = Opened("new"), Removed("old", folder=False)
    assert {tuple(dict(each)) for each in cuts(disk(new, gone))} == {
        ("old",),
        ("new", "old"),
        ("new",),
        (),
    }
    synced = disk(new, gone, Synced("new", folder=True))
    assert {tuple(dict(each)) for each in cuts(synced)} == {("new",)}
    assert {tuple(dict(each)) for each in cuts(disk(Removed("old", folder=True)))} == {()}
