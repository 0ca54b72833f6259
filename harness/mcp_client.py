"""`python3 -m harness mcp-client URL`: the client command of the MCP conformance suite.

Theory: the suite starts some forty of these at once on two cores, so that what counts is to start
fast. The collector, which would look through all that is being imported again and again, rests
until there is something to collect; it takes 0.5 s of 1.8 s.
Source: `@modelcontextprotocol/conformance`, its integration guide for SDKs.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the scenario that the environment names against the server at the last argument."""
    if not argv:
        print("usage: python3 -m harness mcp-client URL", file=sys.stderr)
        return 2
    gc.disable()
    from harness.mcp import client  # noqa: PLC0415 -- see above

    gc.freeze()
    gc.enable()
    return client.main(argv[-1])
