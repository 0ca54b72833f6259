"""The simulation is proved by bugs planted on purpose: each is caught, and by its law."""

import re

import pytest

from harness import faults, sim
from harness.simulation import plan as plans
from harness.simulation.planted import PLANTED
from harness.simulation.wire import Frame, Garbled, parse

# the first seed, with all faults, that caught each, and the law (`sim --planted all` finds them)
CAUGHT_BY = {
    "announce-before-commit": (2, "nobody sees what is not committed"),
    "double-terminal": (1, "nothing follows job.ended"),
    "skip-on-resume": (1, "nothing is missing or doubled"),
    "repeat-on-resume": (1, "a page is a piece of the log"),
    "lost-wake-up": (2, "a reader that waits is woken"),
    "late-part": (14, "sequences have no gap"),
    "mixed-calls": (1, "an answer is what the provider said"),
    "cut-is-completed": (2, "completed needs the terminal mark"),
    "cross-tenant-read": (7, "an answer is one of the contract's"),
    "unaudited": (1, "an accepted change is audited once"),
    "half-an-end": (1, "an end is one transaction in both logs"),
    "torn-group-commit": (1, "an end is one transaction in both logs"),
    "full-disk-acknowledged": (1, "the store holds what was committed, and nothing else"),
    "append-after-failed-fsync": (1, "nothing is written after a failed fsync"),
    "cursor-off-by-one": (1, "an answer is one of the contract's"),
    "ids-by-the-clock-alone": (8, "ids sort by birth"),
    "revoked-reads-on": (23, "a revoked reader ends within a minute"),
    "split-character": (2, "an answer is what the provider said"),
    "stalled-blocks-others": (240, "a reader that waits is woken"),
    "stalled-is-kept": (320, "a reader that takes nothing is cut"),
    "rest-not-sent": (5, "a reader that waits is woken"),
    "key-forgotten": (5, "an answer is one of the contract's"),
    "lost-abort": (6, "an abort is answered after its end is committed"),
}

NEAR = 8  # seeds looked at from there on: a change of the product moves what happens in each


def test_every_planted_bug_has_the_seed_that_caught_it() -> None:
    assert set(CAUGHT_BY) == set(PLANTED)
    assert len(PLANTED) >= 12
    assert max(seed for seed, _ in CAUGHT_BY.values()) <= sim.WITHIN


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_caught_by_its_law(name: str) -> None:
    first, law = CAUGHT_BY[name]
    stride = 1 if first % plans.WIRE_EVERY else plans.WIRE_EVERY  # some show over HTTP alone
    for seed in range(first, first + NEAR * stride, stride):
        plan = plans.make(seed, faults.NAMES)
        if sim.run_seed(plan, PLANTED[name]).law == law:
            assert sim.run_seed(plan).wrong == ""
            return
    pytest.fail(f"{name} escapes: look for it anew with `harness sim --planted {name}`")


def test_a_failing_plan_is_shrunk_to_steps_that_still_fail() -> None:
    plan = plans.make(1, faults.NAMES)
    kept = sim.shrink(plan, PLANTED["double-terminal"])
    assert len(kept) <= 4
    assert sim.run_seed(plan.keep(kept), PLANTED["double-terminal"]).wrong != ""


def test_a_failure_prints_the_one_command_that_replays_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sim.main(["--seeds", "1", "--plant", "half-an-end", "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    found = re.search(r"python3 -m harness sim (--seeds 1 .*)", said)
    assert found is not None
    assert sim.main(found[1].split()) == 1
    assert len([line for line in said.splitlines() if line.startswith("    ")]) <= 4
    assert "WRONG an end is one transaction in both logs" in capsys.readouterr().out


def test_the_search_for_a_planted_bug_names_the_first_seed_that_catches_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = sim.discover("announce-before-commit", frozenset(faults.NAMES), plans.STEPS)
    assert found is not None
    assert (found.seed <= NEAR, found.law) == (True, CAUGHT_BY["announce-before-commit"][1])
    assert sim.discover("stalled-is-kept", frozenset(faults.NAMES), plans.STEPS, within=3) is None
    with pytest.raises(SystemExit):
        sim.main(["--planted", "no-such-bug"])
    assert "no such bug: no-such-bug" in capsys.readouterr().err


def test_a_plan_comes_from_its_seed_and_holds_only_the_faults_asked_for() -> None:
    assert plans.make(5, faults.NAMES) == plans.make(5, faults.NAMES)
    assert plans.make(5, ()) != plans.make(6, ())
    taken = {step.kind for seed in range(30) for step in plans.make(seed, ("disk",)).steps}
    assert taken & {"crash_message", "crash_write", "kill", "kill_commit", "stop"} == set()
    assert "disk" in taken


@pytest.mark.parametrize(
    ("block", "frame"),
    [
        (b'id: 3\nevent: item.delta\ndata: {"a":1}', Frame(3, "item.delta", b'{"a":1}')),
        (b"id: 12", Frame(12)),
        (b":", None),
        (b"retry: 2000", None),
        (b"retry: 2000\n:    ", None),
    ],
)
def test_a_block_of_the_contract_is_read(block: bytes, frame: Frame | None) -> None:
    assert parse(block) == frame


@pytest.mark.parametrize(
    "block",
    [
        b"event: item.delta\ndata: {}",
        b"id: 3\ndata: {}",
        b"data: {}",
        b"id: 3\nevent: item.delta\ndata: {}\ndata: {}",
        b"id: x",
    ],
)
def test_a_block_that_the_contract_does_not_know_is_refused(block: bytes) -> None:
    with pytest.raises(Garbled):
        parse(block)
