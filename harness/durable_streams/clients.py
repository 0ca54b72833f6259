"""The protocol's Python client reads a live job to its end, and again from its middle.

Run by `harness.conformance`, with the package on its path and BASE in the environment. This client
knows nothing of closed streams, so that it is left at the end that the log itself has.
Source: PyPI `durable-streams` 0.1.0.
"""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
from durable_streams import stream  # type: ignore[import-not-found, unused-ignore]

BASE = os.environ["BASE"]
WAIT_S = 30
ALL = 1000


def begin(client: httpx.Client) -> str:
    """Start a job that takes a second."""
    talk = client.post("/api/conversations", json={}).json()["id"]
    body = {
        "input": "go",
        "model": "synthetic/tokens",
        "options": {"count": 100, "interval_ms": 10},
    }
    return str(client.post(f"/api/conversations/{talk}/jobs", json=body).json()["id"])


def read(job: str, live: str, offset: str, most: int) -> tuple[list[Any], str]:
    """Return the events after an offset, until the end or `most` of them, and the offset then."""
    found: list[Any] = []
    url = f"{BASE}/v1/stream/jobs/{job}"
    with stream(url, offset=offset, live=live, timeout=WAIT_S) as answer:
        for event in answer.iter_events(mode="json"):
            found += event.data if isinstance(event.data, list) else [event.data]
            offset = event.next_offset
            if found and (found[-1]["kind"] == "job.ended" or len(found) >= most):
                break
    return found, offset


def main() -> None:
    """Read in both live modes."""
    with httpx.Client(base_url=BASE, timeout=WAIT_S) as client:
        for live in ("sse", "long-poll"):
            for what, first in (
                ("a live job to its end", ALL),
                ("left in the middle of a live job, and back", 30),
            ):
                job = begin(client)
                found, offset = read(job, live, "-1", first)
                if first != ALL:
                    found += read(job, live, offset, ALL)[0]
                truth = client.get(f"/api/jobs/{job}/events?limit=1000").json()["events"]
                holds = json.dumps(found) == json.dumps(truth)
                word = "passed" if holds else "FAILED"
                print(f"{word} python {live}: {what} ({len(found)} events)")


if __name__ == "__main__":
    main()
