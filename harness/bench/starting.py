"""From the start of the process to the line that says it is ready, and what it then weighs.

The reference is what any program on these libraries pays: a process that imports them and nothing
else. The first start of a folder also makes the database; every other start is the second line.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from harness import setup
from harness.bench.figures import Line
from harness.bench.machine import cpu_s, resident_bytes
from harness.bench.measure import Measure, Size
from harness.bench.service import Process, Service

MIB = 1024 * 1024
SETTLE_S = 0.5
IMPORTS = (
    "import json, signal, trio, pykka, quart_trio, hypercorn.trio, sqlite_utils;"
    "print(json.dumps({}), flush=True); signal.pause()"
)


def run(folder: Path, _: Size) -> Mapping[str, float]:
    """Start it twice, and the reference once; the modules are compiled, as those of others are."""
    setup.compile_folders()
    with Service(folder / "data") as first:
        first_s = first.start_s
    with Service(folder / "data") as again, again.http() as http:
        cpu = cpu_s(again.pid)[1]
        http.call("GET", "/api/health")
        time.sleep(SETTLE_S)
        idle = resident_bytes(again.pid)
    with Process("-c", IMPORTS) as imports:
        imports_bytes = resident_bytes(imports.pid)
    return {
        "start_first_s": first_s,
        "start_s": again.start_s,
        "start_cpu_s": cpu,
        "imports_s": imports.start_s,
        "idle_mb": idle / MIB,
        "imports_mb": imports_bytes / MIB,
    }


MEASURE = Measure(
    name="start",
    lines=(
        Line(key="start_s", title="start to ready", unit="s", at_most=0.7),
        Line(key="start_first_s", title="the same on an empty folder", unit="s", at_most=0.7),
        Line(key="start_cpu_s", title="processor time of the start", unit="s"),
        Line(key="imports_s", title="(imports of the libraries alone)", unit="s"),
        Line(key="idle_mb", title="resident memory, idle", unit="MiB", at_most=80),
        Line(key="imports_mb", title="(imports of the libraries alone)", unit="MiB"),
    ),
    run=run,
)
