"""What each slice of a run showed of the contract, in a file of its own, so that all can be judged.

A slice that left nothing behind did not run to its end: then there is no union to judge.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.checks import SLICES

Shown = tuple[str, str, int, str]  # of `harness.contract`: method, path, status, name or ""


def write(folder: Path, name: str, shown: set[Shown]) -> None:
    """Leave what a slice has shown."""
    (folder / f"{name}.json").write_text(json.dumps(sorted(shown)), encoding="utf-8")


def read(folder: Path) -> set[Shown]:
    """Return what all slices together have shown.

    Raises:
        UsageError: one of them left nothing.
    """
    missing = [name for name in SLICES if not (folder / f"{name}.json").exists()]
    if missing:
        raise pytest.UsageError(f"Slices that did not run to their end: {', '.join(missing)}")
    return {
        (method, path, status, problem)
        for name in SLICES
        for method, path, status, problem in json.loads(
            (folder / f"{name}.json").read_text(encoding="utf-8")
        )
    }
