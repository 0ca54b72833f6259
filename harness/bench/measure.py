"""What a measure is: a name, the lines it fills, and a run; and how large its runs are.

The sizes of FULL are those of the targets. TINY is for the specs: it shows that a measure works and
that its checks hold, and its figures mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from harness.bench.figures import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a run does."""

    starts: int = 1
    questions: int = 200  # jobs of echo, one after the other
    log_events: int = 50_000
    resumes: int = 500
    paced_readers: int = 200
    paced_events: int = 500  # at PACE_MS: ten seconds
    crowd_readers: int = 1000
    crowd_events: int = 600
    jobs: int = 100
    job_events: int = 1000
    actors: int = 10_000
    egress: int = 1000  # connections, and requests
    idle_readers: int = 2000
    stalled_readers: int = 20
    stalled_bytes: int = 20 * 1024 * 1024
    lengths: tuple[int, ...] = (1000, 10_000, 100_000, 1_000_000)
    length_samples: int = 500  # appends, and resumes, at each length
    catch_up_events: int = 50_000  # 7.3 MB
    followed_events: int = 150  # at PACE_MS
    posts: int = 1500
    posted_arrays: int = 100
    comebacks: int = 300
    writers: int = 100
    writes: int = 300  # of each of them
    mcp_sessions: int = 100  # each way
    operations: int = 22_361  # of a document of an API, the largest in public use
    gateway_asked: int = 150  # of each kind, one after the other; twice as often by many
    gateway_left: int = 100  # clients that leave
    turn: int = 0  # which run this is: what is compared takes turns in going first
    lead_ms: int = 3000  # a job waits so long for its readers, and a little longer for many


FULL = Size()
TINY = Size(
    questions=3,
    log_events=300,
    resumes=5,
    paced_readers=3,
    paced_events=5,
    crowd_readers=4,
    crowd_events=40,
    jobs=3,
    job_events=20,
    actors=20,
    egress=20,
    idle_readers=5,
    stalled_readers=2,
    stalled_bytes=64 * 1024,
    lengths=(50, 100),
    length_samples=10,
    catch_up_events=60,
    followed_events=5,
    posts=4,
    posted_arrays=2,
    comebacks=3,
    writers=4,
    writes=5,
    mcp_sessions=2,
    operations=20,
    gateway_asked=2,
    gateway_left=2,
    lead_ms=1500,
)
PACE_MS = 20
BEFORE = 2  # job.started and item.started come before the first delta of a job
Run: TypeAlias = Callable[[Path, Size], Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that is measured.

    Args:
        run: takes an empty folder and returns a value for each line, or raises figures.Wrong.
        once: a run is long and holds its own repetitions, so that one is taken.
    """

    name: str
    lines: tuple[Line, ...]
    run: Run
    once: bool = False
