"""Logs of every released schema fold for ever as they did when they were written.

A file here is never edited. A new schema adds a folder of its own beside the old ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.ending import result_of
from actors.job_state import JobState, fold
from specs.requirements import requirement

LOGS = Path(__file__).parent.parent / "contract" / "logs"
NAMES = sorted(str(path.relative_to(LOGS)) for path in LOGS.rglob("*.jsonl"))


def told(name: str) -> dict[str, Any]:
    """Return the fold of a golden log."""
    state = JobState()
    for line in (LOGS / name).read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        fold(state, event["sequence"], event["kind"], event["data"])
    shown: dict[str, Any] = json.loads(result_of(state))
    return shown | {"head": state.head, "ended": state.ended}


@requirement("contract.golden-logs")
@pytest.mark.parametrize("name", NAMES)
def test_a_golden_log_folds_as_it_did(name: str) -> None:
    expected = LOGS / name.replace(".jsonl", ".fold.json")

    assert told(name) == json.loads(expected.read_text(encoding="utf-8"))


def test_the_golden_logs_of_the_first_schema_are_all_here() -> None:
    assert [name for name in NAMES if name.startswith("v1/")] == [
        f"v1/{each}.jsonl"
        for each in (
            "aborted_empty",
            "answered",
            "crashed",
            "cut_short",
            "every_item",
            "failed",
            "from_a_later_version",
            "interrupted",
            "retracted",
            "superseded",
        )
    ]
