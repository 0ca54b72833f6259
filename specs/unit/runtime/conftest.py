"""Crashes are the daily bread here: their log lines are made as ever, and kept out of sight."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
import structlog

from runtime.telemetry import configure


@pytest.fixture(autouse=True)
def lines() -> Iterator[io.StringIO]:
    """What is logged while a spec runs, one JSON object a line."""
    stream = io.StringIO()
    configure(format="json", level="debug", stream=stream)
    yield stream
    structlog.reset_defaults()
