"""From a POST that starts a job to its first event at a reader.

The clock starts when the request is sent on an open connection; a second open connection asks for
the log as soon as the 202 is read, and the clock stops at the first event, `job.started`, and again
at the first word of the answer. Each job has a conversation of its own, made before, and is read to
its end before the next is started.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from harness.bench.crowd import events
from harness.bench.figures import Line, Wrong, percentile
from harness.bench.measure import Measure, Size
from harness.bench.service import Service, ask, converse
from harness.bench.wire import SSE, Http, unchunked

WORDS = "one two three"
END = b"0\r\n\r\n"
WARM = 20  # jobs before the first that counts: caches, prepared statements


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Ask one question after the other."""
    first: list[float] = []
    word: list[float] = []
    with Service(folder / "data") as service, service.http() as asker, service.http() as reader:
        for _ in range(WARM + size.questions):
            conversation = converse(asker)
            began = time.perf_counter()
            job = ask(asker, conversation, "echo", {}, WORDS)
            first_s, word_s = _follow(reader, service, job)
            first.append((first_s - began) * 1000)
            word.append((word_s - began) * 1000)
    return {
        "first_p50_ms": percentile(first[WARM:], 0.5),
        "first_p99_ms": percentile(first[WARM:], 0.99),
        "word_p50_ms": percentile(word[WARM:], 0.5),
    }


def _follow(reader: Http, service: Service, job: str) -> tuple[float, float]:
    """Return when the first event and the first word of a job came."""
    reader.send(service.target.request("GET", f"/api/jobs/{job}/events", accept=SSE))
    raw = reader.until(b"event: job.started")
    first_s = time.perf_counter()
    raw += reader.until(b"event: item.delta")
    word_s = time.perf_counter()
    raw += reader.until(END)
    check(raw)
    return first_s, word_s


def check(raw: bytes) -> None:
    """Hold an answer of echo against what it was told.

    Raises:
        Wrong: it says something else, or its events are not 1, 2, 3.
    """
    said = list(events(unchunked(raw)))
    if [number for number, _ in said] != list(range(1, len(said) + 1)):
        raise Wrong(f"The events are {[number for number, _ in said]}.")
    told = [json.loads(data)["data"] for _, data in said]
    if "".join(data.get("text", "") for data in told) != WORDS:
        raise Wrong("The answer of echo is not the question.")


MEASURE = Measure(
    name="ask",
    lines=(
        Line(
            key="first_p50_ms",
            title="POST job to first event at a reader (echo), p50",
            unit="ms",
            at_most=8,
            durable=True,
        ),
        Line(key="first_p99_ms", title="the same, p99", unit="ms", durable=True),
        Line(key="word_p50_ms", title="POST job to first word, p50", unit="ms", durable=True),
    ),
    run=run,
)
