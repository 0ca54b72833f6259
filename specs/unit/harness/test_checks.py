"""The parts of `python3 -m harness test` and the one line that counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import checks

SPECS = Path(__file__).parents[2]
SUITE = '<testsuites><testsuite tests="9" failures="{}" errors="{}" skipped="{}"/></testsuites>'


def result(name: str, passed: int, failed: int, skipped: int, words: str = "") -> checks.Result:
    part = checks.Part(name=name, command=("true",), budget_s=10)
    return checks.Result(
        part=part, passed=passed, failed=failed, skipped=skipped, seconds=12, words=words
    )


@pytest.mark.parametrize(
    ("failures", "errors", "skipped", "status", "expected"),
    [
        (0, 0, 0, 0, (9, 0, 0)),
        (2, 1, 3, 1, (3, 3, 3)),
        (0, 0, 2, 0, (7, 0, 2)),
        (0, 0, 0, 3, (9, 1, 0)),  # it broke outside of its specs
    ],
)
def test_a_part_of_pytest_counts_as_its_own_account(
    tmp_path: Path, failures: int, errors: int, skipped: int, status: int, expected: object
) -> None:
    xml = tmp_path / "counts.xml"
    xml.write_text(SUITE.format(failures, errors, skipped), encoding="utf-8")
    assert checks.counts(xml, status) == expected


@pytest.mark.parametrize(("status", "expected"), [(0, (1, 0, 0)), (1, (0, 1, 0))])
def test_any_other_part_counts_as_one(tmp_path: Path, status: int, expected: object) -> None:
    assert checks.counts(tmp_path / "none.xml", status) == expected


def test_the_last_line_is_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    status = checks.report([result("specs", 7, 0, 0), result("lint", 1, 0, 0)])
    lines = capsys.readouterr().out.splitlines()
    assert (status, lines[-1]) == (0, "8 passed, 0 failed")
    assert lines[2] == "specs         12.0      10  over its budget"


def test_skips_are_counted_and_named_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    words = "..s\nSKIPPED [1] specs/test_x.py:3: node is not installed\n2 passed\n"
    missing = result("browser", 0, 0, 1, "skipped: Chromium is not installed")
    status = checks.report([result("specs", 2, 0, 1, words), missing])
    assert status == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "SKIPPED [1] specs/test_x.py:3: node is not installed",
        "skipped: Chromium is not installed",
        "2 passed, 0 failed, 2 skipped",
    ]


@pytest.mark.parametrize(("passed", "failed"), [(7, 1), (0, 0)])
def test_a_failure_fails_and_so_does_nothing_at_all(passed: int, failed: int) -> None:
    assert checks.report([result("specs", passed, failed, 0)]) == 1


def test_a_part_that_takes_too_long_is_ended_and_failed(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    status = checks.run_into(output, ["sh", "-c", "echo begun; exec sleep 60"], timeout_s=1)
    assert (status, output.read_text(encoding="utf-8")) == (1, "begun\nended after 1 s\n")


def test_the_workers_are_done_with_all_budgets_within_nine_minutes() -> None:
    ends = [0] * checks.WORKERS
    for part in checks.PARTS:  # as the pool takes them: whoever is free takes the next
        if not part.waits:
            ends[ends.index(min(ends))] += part.budget_s
    ends.append(sum(part.budget_s for part in checks.PARTS if part.waits))
    assert max(ends) + checks.UNION.budget_s < 540


def test_the_longest_parts_go_first_and_none_twice() -> None:
    budgets = [part.budget_s for part in checks.PARTS]
    assert budgets == sorted(budgets, reverse=True)
    names = [part.name for part in (*checks.PARTS, checks.UNION)]
    assert sorted(set(names)) == sorted(names)


def test_every_spec_belongs_to_one_slice_and_every_slice_has_specs() -> None:
    specs = [path.relative_to(SPECS.parent) for path in SPECS.rglob("test_*.py")]
    slices = [checks.slice_of(path.as_posix()) for path in specs]

    assert set(slices) == set(checks.SLICES) == set(checks.BUDGETS_S)
    assert checks.slice_of("specs/w01_streaming/test_simulation.py") == "simulation"
    assert checks.slice_of("specs/w99_later/test_something_new.py") == "specs"
    beginnings = [each for several in checks.SLICES.values() for each in several]
    paths = [path.as_posix() for path in specs]
    assert [each for each in beginnings if not any(p.startswith(each) for p in paths)] == []


def test_each_slice_leaves_what_it_showed_and_the_last_run_judges_them_all() -> None:
    given = {part.name: checks.command_of(part, ("-x",), Path("left")) for part in checks.PARTS}

    for name in checks.SLICES:
        assert given[name][1:] == ["-q", f"--slice={name}", "-x", "--shown=left"]
    assert given["lint"][-1] == "-x"
    assert checks.command_of(checks.UNION, (), Path("left"))[-1] == "--shown=left"
