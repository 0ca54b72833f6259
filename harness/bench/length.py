"""Cost against the length of a log: resume and append at a thousand to a million events.

One service, one folder; for each length a job says so many events as fast as it goes, then more at
an even pace, each timed from its making to its arrival at a reader, and then stalls. Readers then
come back to random places of it. A job can be this long only while it is answered: at its end its
whole answer becomes one event. Each length is one long build, so that the samples of one are the
runs of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from harness.bench.crowd import Crowd
from harness.bench.delivering import delays_ms
from harness.bench.figures import Line, Wrong, percentile
from harness.bench.measure import BEFORE, Measure, Size
from harness.bench.resuming import resume
from harness.bench.service import Service, await_head, rounds, steps

PACE_MS = 10
ROUNDS = 5
BUILD_S = 300.0
LENGTHS = (1000, 10_000, 100_000, 1_000_000)
FLAT = 3.0  # times what the shortest log costs; what is more would be growth and not chance


def run(folder: Path, size: Size) -> Mapping[str, float]:
    """Build each length, append to it and resume in it."""
    found: dict[str, float] = {}
    with Service(folder / "data", model=True) as service, service.http() as http:
        for name, length in zip(LENGTHS, size.lengths, strict=False):
            samples = size.length_samples
            path = steps(http, (length, 0), (1, size.lead_ms), (samples, PACE_MS))
            await_head(http, path, length + BEFORE, BUILD_S)
            with Crowd(service.target) as crowd:
                crowd.join([f"{path}?after=now"])
                crowd.read_to(b"id: %d\n" % (length + 1 + samples + BEFORE))
                appends = list(delays_ms(crowd.readers[0]))[-samples:]
            if len(appends) != samples:
                raise Wrong(f"A reader got {len(appends)} of {samples} deltas.")
            resumes = resume(service.target, path, length, samples)
            found[f"append_{name}_ms"] = _middle(appends)
            found[f"resume_{name}_ms"] = _middle(resumes)
            found[f"append_{name}_p99_ms"] = percentile(appends, 0.99)
            found[f"resume_{name}_p99_ms"] = percentile(resumes, 0.99)
    first, last = LENGTHS[0], LENGTHS[min(len(size.lengths), len(LENGTHS)) - 1]
    for kind in ("append", "resume"):
        found[f"{kind}_ratio"] = found[f"{kind}_{last}_ms"] / found[f"{kind}_{first}_ms"]
    return {line.key: found.get(line.key, 0.0) for line in MEASURE.lines}


def _middle(samples: list[float]) -> float:
    return median(percentile(each, 0.5) for each in rounds(samples, ROUNDS))


def _lines() -> tuple[Line, ...]:
    made = [
        Line(
            key=f"{kind}_ratio",
            title=f"{kind} at 1,000,000 events, times that at 1,000",
            unit="x",
            at_most=FLAT,
        )
        for kind in ("append", "resume")
    ]
    for kind, what in (("append", "append to arrival"), ("resume", "resume to first event")):
        for length in LENGTHS:
            for share in ("", "_p99"):
                made.append(  # noqa: PERF401
                    Line(
                        key=f"{kind}_{length}{share}_ms",
                        title=f"{what}, log of {length:,}, {share[1:] or 'p50'}",
                        unit="ms",
                        durable=kind == "append",
                    )
                )
    return tuple(made)


MEASURE = Measure(name="length", lines=_lines(), run=run, once=True)
