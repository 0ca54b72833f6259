"""Programs that say on their first line where they are: our service, and upstreams beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness import setup

END_S = 60  # a service that has been told to end ends its jobs first
NOTHING: Mapping[str, str] = {}


@contextmanager
def started(
    command: Sequence[str], env: Mapping[str, str] = NOTHING, said: IO[bytes] | None = None
) -> Iterator[str]:
    """Run a program and yield its url; after the block its stdin ends, and so does it.

    Args:
        said: gets what it says on stderr; None: whoever sees ours.
    """
    with subprocess.Popen(
        command,
        cwd=setup.ROOT,
        env={**os.environ, "RUNCHAT_LOG__LEVEL": "warning", **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
    ) as program:
        assert program.stdout is not None
        try:
            yield json.loads(program.stdout.readline())["url"]
        finally:
            program.communicate(timeout=END_S)


@contextmanager
def serving(
    data: Path, *more: str, user: str = "suite", env: Mapping[str, str] = NOTHING
) -> Iterator[str]:
    """Serve as one person, with more arguments of `serve-as`; yield the url."""
    command = [sys.executable, "-m", "harness", "serve-as", "--tenant", "conformance"]
    command += ["--user", user, "--port", "0", "--data", str(data), *more]
    with started([*command, "--announce", "json", "--exit-with-parent"], env) as url:
        yield url
