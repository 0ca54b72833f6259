"""What a start does without is absent while it imports, and there again for whoever asks later."""

from __future__ import annotations

import subprocess
import sys

START = """
import sys
from transports.ingress.cli.sparing import unused
with unused():
    import quart, structlog
print([name for name in ("rich", "hypercorn.asyncio", "quart", "structlog") if name in sys.modules])
import hypercorn.asyncio
print(hypercorn.asyncio.serve.__module__)
"""


def test_a_start_imports_neither_and_both_can_be_imported_afterwards() -> None:
    done = subprocess.run(
        [sys.executable, "-c", START], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["['quart', 'structlog']", "hypercorn.asyncio"]
