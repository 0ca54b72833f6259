"""What a service holds: memory, threads, open descriptors by kind, tasks, actors, readers.

From `/proc` (Linux), from the service's own `/api/health/actors` and `/metrics`, and from the
program around it, which knows trio's tasks.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from harness.bench.service import Service
from harness.bench.wire import Http

GAUGE = re.compile(rb"^runchat_readers (\d+)", re.MULTILINE)
RUNNING = ("running", "queued")


def counts(service: Service) -> dict[str, int]:
    """Return how many there are of each thing that must not be left behind.

    The descriptor and the tasks of the connection that asks are part of it, each time.
    """
    found = Counter(_kinds(service.pid))
    found["threads"] = sum(1 for _ in Path(f"/proc/{service.pid}/task").iterdir())
    with Http(service.target) as http:
        for actor in http.call("GET", "/api/health/actors")["actors"]:
            found[f"actors of {actor['supervisor']}"] += 1
            found["messages waiting"] += actor["waiting"]
        for status in RUNNING:
            found[f"jobs {status}"] = len(http.call("GET", f"/api/jobs?status={status}")["items"])
        metrics = http.ask(service.target.request("GET", "/metrics", accept="*/*")).body
        gauge = GAUGE.search(metrics)
        found["readers"] = int(gauge[1]) if gauge else 0
        found["tasks"] = service.ask("tasks")["tasks"]
    return dict(found)


def _kinds(pid: int) -> list[str]:
    """Return the kind of each open descriptor of a process."""
    kinds: list[str] = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
        kind, colon, _ = target.partition(":")
        kinds.append(f"descriptors of {kind}" if colon else "descriptors of files")
    return kinds
