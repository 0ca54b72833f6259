"""What twenty readers that have stopped reading cost while 20 MiB are appended.

All follow one job that is being answered, so that its log grows under them; its text is also what
the job's actor holds until the answer ends, once. Memory is looked at before the job says anything
and as soon as its log is whole, and its greatest value in between.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from harness.bench.crowd import Crowd
from harness.bench.figures import Line, Wrong
from harness.bench.machine import resident_bytes
from harness.bench.measure import BEFORE, Measure, Size
from harness.bench.service import Service, soon, steps
from harness.bench.wire import Http, Unexpected

MIB = 1024 * 1024
DELTA_BYTES = 16 * 1024
WITHIN_S = 60.0
LOOK_S = 0.02


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Let the readers stall, and the job talk."""
    count = size.stalled_bytes // DELTA_BYTES
    with Service(folder / "data", model=True) as service, service.http() as http:
        path = steps(http, (count, 0), begins_ns=soon(size.lead_ms), size=DELTA_BYTES)
        with Crowd(service.target) as crowd:
            for _ in range(size.stalled_readers):
                crowd.join_stalled(path)
            if head_of(http, path) > BEFORE:
                raise Unexpected("The readers were not there before the first delta.")
            before = most = resident_bytes(service.pid)
            deadline = time.monotonic() + WITHIN_S
            while head_of(http, path) < count + BEFORE:
                most = max(most, resident_bytes(service.pid))
                if time.monotonic() > deadline:
                    raise Wrong(f"The log stands at {head_of(http, path)} of {count + BEFORE}.")
                time.sleep(LOOK_S)
            after = resident_bytes(service.pid)
    return {"growth_mib": (max(most, after) - before) / MIB}


def head_of(http: Http, path: str) -> int:
    """Return how many events a log has."""
    return int(http.call("GET", f"{path}?after=now")["head"])


MEASURE = Measure(
    name="stalled",
    lines=(
        Line(
            key="growth_mib",
            title="20 stalled readers while 20 MiB are appended: growth",
            unit="MiB",
            at_most=32,
        ),
    ),
    run=run,
)
