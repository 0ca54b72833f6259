"""Dataclasses are the same whether their code was kept or is compiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

START = """
import dataclasses, sys
from pathlib import Path
from transports.ingress.cli.kept_code import kept_code

compiled = []
sys.addaudithook(lambda event, given: event == "compile" and compiled.append(given[0]))
with kept_code(Path(sys.argv[1]), writes=True):
    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Point:
        x: int
        y: int = 2
    fresh = len(compiled)
    made = Point(x=1)
try:
    made.x = 5
except dataclasses.FrozenInstanceError:
    found = {made: "found"}[Point(x=1)]
    print("compiled" if fresh else "kept", made, made == Point(x=1, y=2), found)
print(hasattr(dataclasses, "exec"))
"""
SAME = "Point(x=1, y=2) True found"


def started(file: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START, str(file)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_the_second_start_compiles_no_dataclass(tmp_path: Path) -> None:
    file = tmp_path / "methods"
    assert started(file) == [f"compiled {SAME}", "False"]
    assert started(file) == [f"kept {SAME}", "False"]
    assert [each.name for each in tmp_path.iterdir()] == ["methods"]


@pytest.mark.parametrize("damage", [b"", b"other", b"\x00" * 400])
def test_what_cannot_be_used_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "methods"
    started(file)
    file.write_bytes(file.read_bytes()[:4] + damage)
    assert started(file) == [f"compiled {SAME}", "False"]
    assert started(file) == [f"kept {SAME}", "False"]


def test_a_start_that_may_keep_nothing_does_without(tmp_path: Path) -> None:
    file = tmp_path / "none" / "methods"
    assert started(file) == [f"compiled {SAME}", "False"]
    assert not file.exists()
