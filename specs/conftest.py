"""What holds for every spec of the run.

The browser's specs are a pytest run of their own, without trio mode: playwright has its own loop.
"""

from __future__ import annotations

from pathlib import Path

import pytest

BROWSER = Path(__file__).parent / "browser"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("requirements_strict", "fail on a promise without a spec", "bool", default=False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path == BROWSER and config.getini("trio_mode") else None
