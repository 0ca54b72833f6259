"""What an idle actor and an idle SSE connection cost in resident memory.

Actors are made in a process of their own (`actors_at_rest`), beside bare tasks as the floor. The
connections follow one stalled job of a running service; the kernel's own buffers are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from harness.bench.crowd import Crowd
from harness.bench.figures import Line, Wrong
from harness.bench.machine import resident_bytes
from harness.bench.measure import Measure, Size
from harness.bench.service import Process, Service, start

KIB = 1024
WARM = 50  # connections before the first that counts
SETTLE_S = 1.0


def run_actors(_: Path, size: Size) -> Mapping[str, float]:
    """Fill a process with actors, and another with tasks."""
    kib: dict[str, float] = {}
    for kind in ("actor", "task"):
        with Process("-m", "harness.bench.actors_at_rest", kind, str(size.actors)) as probe:
            if probe.said["alive"] < size.actors:
                raise Wrong(f"{probe.said['alive']} of {size.actors} are alive.")
            kib[f"{kind}_kib"] = probe.said["each_bytes"] / KIB
    return kib


def run_connections(folder: Path, size: Size) -> Mapping[str, float]:
    """Have one silent job followed by many."""
    with Service(folder / "data") as service, service.http() as http:
        path = start(http, "synthetic/tokens", count=1, end="stall", fail_after=1)
        with Crowd(service.target) as crowd:
            crowd.join([path] * WARM)
            time.sleep(SETTLE_S)
            before = resident_bytes(service.pid)
            began = time.perf_counter()
            crowd.join([path] * size.idle_readers)
            opened_s = time.perf_counter() - began
            time.sleep(SETTLE_S)
            after = resident_bytes(service.pid)
            if any(reader.gone for reader in crowd.readers):
                raise Wrong("An idle connection was ended by the service.")
    return {
        "connection_kib": (after - before) / size.idle_readers / KIB,
        "opened_per_s": size.idle_readers / opened_s,
    }


ACTORS = Measure(
    name="actors",
    lines=(
        Line(key="actor_kib", title="10,000 idle TrioActors, each", unit="KiB", at_most=12),
        Line(key="task_kib", title="(bare trio task and channel, each)", unit="KiB"),
    ),
    run=run_actors,
)
CONNECTIONS = Measure(
    name="connections",
    lines=(
        Line(
            key="connection_kib", title="2,000 idle SSE connections, each", unit="KiB", at_most=30
        ),
        Line(key="opened_per_s", title="SSE streams opened, one after the other", unit="/s"),
    ),
    run=run_connections,
)
