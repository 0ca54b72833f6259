"""`runchat replay FILE`: the harness's own command, in its own process.

The harness stands above the command line, so it is started and not imported.
"""

from __future__ import annotations

import argparse
import os
import sys

RUN = "import sys; from harness.replay import main; sys.exit(main(sys.argv[1:]))"


def run(args: argparse.Namespace) -> int:
    """Become the harness; `-P` keeps the current folder from standing in for our packages."""
    command = [sys.executable, "-P", "-c", RUN, str(args.file), *args.more]
    os.execv(sys.executable, command)  # noqa: S606  it is our own Python, and no shell
