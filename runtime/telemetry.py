"""Structured logs, and the metrics of the whole service.

A log line is an event with fields, to stderr, as JSON or for a terminal; the request and the job it
belongs to come by contextvars (`structlog.contextvars.bind_contextvars`). What users and models say
is never logged: of an exception a line holds its type and where it was raised, and its words only
where they are ours (a Problem) or the system's (an OSError). No label of a metric names a tenant, a
user or a job. Source: structlog's processors.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any, Literal, TextIO

import orjson
import structlog
import trio
from structlog.typing import EventDict, WrappedLogger

from runtime import limits
from runtime.clock import Clock, SystemClock, rfc3339
from runtime.metrics import Counter, Gauge, Histogram, Labels, Observed, render
from runtime.problems import Problem
from runtime.spool import Spool
from runtime.supervisor import Supervisor

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PLAIN = frozenset({str, int, bool, type(None)})  # what JSON tells as it is
SAYABLE = re.compile(r"[ !#-\[\]-~]*")  # and what it does not escape
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


def configure(
    *,
    format: Literal["console", "json"] = "console",
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
    clock: Clock | None = None,
    for_good: bool = False,
) -> None:
    """Log from now on: our own events, and the warnings of the libraries.

    Args:
        stream: None is stderr; stdout belongs to what commands answer.
        for_good: this process will not say it otherwise later. A logger is then put together once,
            and not for each line, which costs twice what the line does.
    """
    dated = clock or SystemClock()
    target = Spool(sys.stderr) if stream is None else stream

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"at": rfc3339(dated.now_ms()), **event}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            told_exception,
            stamp,
            as_json if format == "json" else as_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=target),  # type: ignore[arg-type]  # a Spool has the two methods that are used
        cache_logger_on_first_use=for_good,
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, Foreign)] + [Foreign()]
    root.setLevel(logging.WARNING)


class Foreign(logging.Handler):
    """Passes on what libraries log, without the arguments, which may hold what users said."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno,
            "library",
            library=record.name,
            said=str(record.msg)[: limits.LOG_SAID_CHARS],
            exc_info=record.exc_info[1] if record.exc_info else None,
        )


def told_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by what may be told of it."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        chain = list(_chain(error))
        event["error"] = told(chain[0])
        event["raised_at"] = _places(chain[0])
        if len(chain) > 1:
            event["because"] = [told(each) for each in chain[1:]]
    return event


def told(error: BaseException) -> str:
    """Return the type of an exception, and its words where they cannot be a user's."""
    name = type(error).__name__
    if isinstance(error, Problem):
        return f"{name}: {error.detail}"
    words = getattr(error, "sqlite_errorname", None) or (
        error.strerror if isinstance(error, OSError) else None
    )
    return f"{name}: {words}" if words else name


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield what was raised, then what is inside it or behind it, nearest first."""
    seen: list[BaseException] = [error]
    for each in seen:  # grows as it goes
        yield each
        inner = list(each.exceptions) if isinstance(each, BaseExceptionGroup) else []
        behind = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        for further in (*inner, *([behind] if behind else [])):
            if len(seen) < limits.LOG_CHAIN_MAX and further not in seen:
                seen.append(further)


def _places(error: BaseException) -> list[str]:
    """Return where it was raised, innermost last, as file:line function."""
    frames = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
    return [
        f"{code.co_filename.rpartition(os.sep)[2]}:{line} {code.co_name}"
        for code, line in frames[-limits.LOG_FRAMES_MAX :]
    ]


def _typed(value: object) -> str:
    """Stand in for what is no JSON: its type, since its repr might hold what a user said."""
    return f"<{type(value).__name__}>"


def as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return the line as one JSON object."""
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
    try:
        return orjson.dumps(dict(event), default=_typed, option=options).decode()
    except TypeError:  # a lone surrogate, an integer beyond 64 bits: the slow encoder takes them
        return json.dumps(dict(event), default=_typed)


def as_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Return the line for a person: time, level, event, fields, then lists a line an item."""
    line: dict[str, Any] = dict(event)
    if not all(type(each) in PLAIN for each in line.values()):
        line = json.loads(as_json(_, __, event))
    at, level, name = (_shown(line.pop(key, "")) for key in ("at", "level", "event"))
    lists = {key: line.pop(key) for key in [*line] if isinstance(line[key], list)}
    parts = [f"{at} {level:<7} {name}", *(f"{key}={_shown(line[key])}" for key in line)]
    below = [f"\n    {key}: {_shown(each)}" for key, values in lists.items() for each in values]
    return "  ".join(parts) + "".join(below)


def _shown(value: object) -> str:
    """Return a value in printable ASCII: nothing that is logged may move a terminal's cursor."""
    if type(value) is str and SAYABLE.fullmatch(value):
        return value
    return json.dumps(value).strip('"')


class Metrics:
    """Every number the service shows; one object, handed to those who count."""

    def __init__(self) -> None:
        self._supervisors: list[Supervisor] = []
        self.commit_seconds = Histogram("runchat_commit_seconds", "A commit, with fsync.", SECONDS)
        self.commit_batch = Histogram("runchat_commit_batch", "Writes in one commit.", COUNTS)
        self.fsync_errors_total = Counter("runchat_fsync_errors_total", "Failed fsyncs; alarm.")
        self.jobs_total = Counter("runchat_jobs_total", "Jobs that reached a status.", "status")
        self.readers = Gauge("runchat_readers", "Open streams.")
        self.readers_cut_total = Counter("runchat_readers_cut_total", "Readers cut for slowness.")
        self.reader_lag = Histogram(
            "runchat_reader_lag_events", "Events a reader was behind when it read.", COUNTS
        )
        self.loop_lag_seconds = Histogram(
            "runchat_loop_lag_seconds", "How late the loop woke a sleeping task.", SECONDS
        )
        self.provider_first_part_seconds = Histogram(
            "runchat_provider_first_part_seconds", "From the call to the first part.", SECONDS
        )
        self.egress_decisions_total = Counter(
            "runchat_egress_decisions_total",
            "Connections and URLs that the guard allowed or refused.",
            "decision",
            "rule",
            "purpose",
        )
        self.actors = Observed(
            "runchat_actors", "Actors alive.", "supervisor", kind="gauge", read=self._alive
        )
        self.mailbox_depth = Observed(
            "runchat_mailbox_depth",
            "Messages and parts that wait in mailboxes.",
            "supervisor",
            kind="gauge",
            read=self._depths,
        )
        self.actor_restarts_total = Observed(
            "runchat_actor_restarts_total",
            "Lives begun after a crash.",
            "supervisor",
            kind="counter",
            read=self._restarts,
        )

    def watch(self, *supervisors: Supervisor) -> None:
        """Count the actors of these supervisors."""
        self._supervisors += supervisors

    def job_started(self) -> None:
        """Count a job that began to run."""
        self.jobs_total.inc("running")

    def job_ended(self, status: str) -> None:
        """Count a job by how it ended."""
        self.jobs_total.inc(status)

    def first_part(self, seconds: float) -> None:
        """Take how long a provider was silent at first."""
        self.provider_first_part_seconds.observe(seconds)

    def committed(self, seconds: float, writes: int) -> None:
        """Take one commit; from any thread."""
        self.commit_seconds.observe(seconds)
        self.commit_batch.observe(writes)

    def render(self) -> bytes:
        """Return all of it as a Prometheus server reads it."""
        return render(
            (
                self.commit_seconds,
                self.commit_batch,
                self.fsync_errors_total,
                self.jobs_total,
                self.readers,
                self.readers_cut_total,
                self.reader_lag,
                self.loop_lag_seconds,
                self.provider_first_part_seconds,
                self.egress_decisions_total,
                self.actors,
                self.mailbox_depth,
                self.actor_restarts_total,
            )
        )

    def _alive(self) -> Iterator[tuple[Labels, float]]:
        for each in self._supervisors:
            yield (each.name,), len(each.report())

    def _depths(self) -> Iterator[tuple[Labels, float]]:
        for each in self._supervisors:
            yield (each.name,), sum(report.waiting for report in each.report())

    def _restarts(self) -> Iterator[tuple[Labels, float]]:
        for each in self._supervisors:
            yield (each.name,), each.restarts


async def sample_loop_lag(metrics: Metrics) -> None:
    """Measure for ever how late the loop is; a task of the service's nursery."""
    while True:
        due = trio.current_time() + limits.LOOP_LAG_SAMPLE_S
        await trio.sleep_until(due)
        metrics.loop_lag_seconds.observe(trio.current_time() - due)
