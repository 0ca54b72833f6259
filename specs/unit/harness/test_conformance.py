"""The runner of others' suites: what it counts as passed, and what it says without node."""

from pathlib import Path

import pytest

from harness import checks, conformance, installing, open_responses
from harness.clients import main as clients
from specs.requirements import requirement


def test_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["other-suite"], ["durable-streams", "--only", "nothing"]):
        assert conformance.main(argv) == 2
    assert capsys.readouterr().err == 3 * (conformance.USAGE + "\n")


@pytest.mark.parametrize(
    ("words", "held"),
    [
        ("passed one\npassed two\n", True),
        ("passed one\nFAILED two\n", False),
        ("passed one\n", False),
        ("passed one\nsomebody passed two\n", False),
    ],
)
def test_every_check_that_is_wanted_must_say_that_it_passed(
    words: str, held: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conformance.told_good("clients", words, 2) is held
    assert capsys.readouterr().out.endswith(f"clients: {2 if held else 1}/2\n")


def test_the_version_of_what_is_no_node_is_none() -> None:
    assert installing.version_of("/bin/true") == 0


def test_the_suite_is_a_part_of_the_test_run_or_skipped_by_name() -> None:
    [part] = [part for part in checks.PARTS if part.name == "streams"]
    assert part.command[1:] == ("-m", "harness", "conformance", "durable-streams")
    assert part.missing == conformance.MISSING


@requirement("fronts.clients")
def test_the_clients_are_a_part_of_the_test_run_or_skipped_by_name() -> None:
    [part] = [part for part in checks.PARTS if part.name == "clients"]
    assert part.command[1:] == ("-m", "harness", "conformance", "clients")
    assert part.missing == clients.MISSING
    assert conformance.main(["clients", "more"]) == 2


def test_what_is_there_is_not_put_there_again(tmp_path: Path) -> None:
    folder, done = tmp_path / "kept", list[str]()

    def install(*, works: bool = True) -> bool:
        done.append("once")
        return works

    assert installing.installed(folder, ("a==1",), lambda: install(works=False)) is False
    assert [installing.installed(folder, ("a==1",), install) for _ in range(2)] == [True, True]
    assert installing.installed(folder, ("a==2",), install) is True
    assert len(done) == 3


def test_a_suite_that_is_nowhere_is_skipped_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(open_responses.VARIABLE, raising=False)
    assert conformance.main(["open-responses"]) == 0
    assert conformance.main(["open-responses", str(tmp_path)]) == 0
    assert capsys.readouterr().err.count("skipped: the Open Responses suite") == 2
