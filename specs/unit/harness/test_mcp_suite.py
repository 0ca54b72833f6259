"""What the runner of the protocol's own suite counts, and how it is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.mcp import server_suite, suite
from harness.mcp.outcome import Outcome


@pytest.mark.parametrize(
    ("statuses", "passed", "failed"),
    [
        (["SUCCESS", "SUCCESS"], 2, 0),
        (["SUCCESS", "WARNING"], 1, 1),
        (["FAILURE", "INFO", "SKIPPED"], 0, 1),
    ],
)
def test_a_warning_of_the_server_suite_is_a_failure_and_what_was_skipped_is_nothing(
    statuses: list[str], passed: int, failed: int, tmp_path: Path
) -> None:
    folder = tmp_path / "server-server-sse-polling-2026-11-23T05-31-17-985Z"
    folder.mkdir()
    checks = folder / server_suite.CHECKS
    checks.write_text(json.dumps([{"status": each} for each in statuses]), encoding="utf-8")

    told = server_suite.outcome_of(checks)
    assert told == Outcome(scenario="server-sse-polling", passed=passed, failed=failed)
    assert told.holds is (failed == 0)


def test_a_scenario_without_a_check_holds_nothing() -> None:
    assert Outcome(scenario="empty", passed=0, failed=0).holds is False


@pytest.mark.parametrize("argv", [["--help"], ["server", "--help"], ["one", "two"]])
def test_it_says_how_it_is_used(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert suite.main(argv) == 2
    assert capsys.readouterr().err == suite.USAGE + "\n"
