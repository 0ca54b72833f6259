"""What a start does without is absent while it imports, and there again for whoever asks later."""

from __future__ import annotations

import subprocess
import sys

START = """
import sys
from transports.ingress.cli.sparing import unused
with unused():
    import quart, sqlite_utils, structlog
spared = ("dateutil", "greenlet", "hypercorn.asyncio", "rich")
print([name for name in (*spared, "quart", "sqlite_utils", "structlog") if name in sys.modules])
import hypercorn.asyncio
from dateutil import parser
print(hypercorn.asyncio.serve.__module__, parser.parse("2026-11-23").day)
"""


def test_a_start_imports_none_of_them_and_all_can_be_imported_afterwards() -> None:
    done = subprocess.run(
        [sys.executable, "-c", START], check=True, capture_output=True, text=True, timeout=60
    )
    there = "['quart', 'sqlite_utils', 'structlog']"
    assert done.stdout.splitlines() == [there, "hypercorn.asyncio 23"]
