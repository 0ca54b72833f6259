"""A recorded job as it is read from a file: what was given, and which events came of it.

Theory: an export (`actors.export`) holds both. A log alone (`runchat tail JOB`, or one of an older
version's) is taken too: its causes are told by the log itself (`actors.recorded`). The bytes of an
event are cut out of its line and never made again, since they are what is compared.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from actors.export import EVENT, VERSION
from actors.recorded import Cause, Causes, closes_with_the_end
from runtime.events import Error
from transports.egress.providers.asked import Native
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Noted,
    Part,
    Retracted,
    Usage,
)

UNKNOWN: Final = "unknown"  # what a log without its first event does not tell
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Unreadable(Exception):
    """The file holds no recorded job; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that the job's actor was given, and the events that came of it."""

    at_ms: int
    cause: Mapping[str, Any]  # a `part` or a `message`
    events: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One job."""

    job: Mapping[str, Any]
    question: str
    steps: Sequence[Step]

    @property
    def log(self) -> list[bytes]:
        """All events, as the bytes that were recorded."""
        return [event for step in self.steps for event in step.events]

    @property
    def item_ids(self) -> list[str]:
        """The ids of the items, in the order in which they began."""
        parts = (step.cause["part"] for step in self.steps if "part" in step.cause)
        return [part["item_id"] for part in parts if part["what"] == "item_start"]

    @property
    def waited(self) -> bool:
        """Whether the job was queued before it ran, or instead."""
        first = self.steps[0]
        starts = first.cause.get("message", {}).get("type") == "start"
        return not starts or first.at_ms != ms_of(self.job["created_at"])


def read(path: Path) -> Recording:
    """Return the job that a file holds: an export, or a log alone.

    Raises:
        Unreadable: it holds neither.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error
    try:
        first = json.loads(lines[0]) if lines else {}
        if "record" in first:
            if first["version"] > VERSION:
                raise Unreadable(f"{path} was made by a later version, {first['made_by']}.")
            recording = _of_export(lines[1:])
        else:
            recording = _of_log(lines)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Unreadable(f"{path} is no exported job: {error!r}.") from error
    if not recording.log:
        raise Unreadable(f"{path} holds no event yet.")
    return recording


def _of_export(lines: Sequence[bytes]) -> Recording:
    job, told = json.loads(lines[0]), json.loads(lines[1])
    spoken = [each["text"] for each in told["messages"] if each["role"] == "user"]
    return Recording(
        job=job, question=spoken[-1] if spoken else "", steps=list(_steps_of_export(lines[2:]))
    )


def _steps_of_export(lines: Sequence[bytes]) -> Iterator[Step]:
    step: Step | None = None
    for line in lines:
        if line.startswith(EVENT):
            if step is None:
                raise ValueError("an event comes before its cause")
            step.events.append(line.removeprefix(EVENT)[:-1])
            continue
        if step is not None:
            yield step
        cause = json.loads(line)
        step = Step(at_ms=ms_of(cause["at"]), cause=cause)
    if step is not None:
        yield step


def _of_log(lines: Sequence[bytes]) -> Recording:
    steps: list[Step] = []
    causes, closing = Causes(), list[bytes]()
    for line in lines:
        event = json.loads(line)
        cause: Cause | None = causes.of(event)
        if cause is not None:
            steps.append(Step(at_ms=ms_of(event["at"]), cause=cause))
        if closes_with_the_end(event):
            closing.append(line)
        else:
            steps[-1].events.extend([*closing, line])
            closing.clear()
    started = json.loads(lines[0])
    told = started["data"] if started["kind"] == "job.started" else {}
    names = ("model", "endpoint", "conversation_id", "message_id")
    job = {name: told.get(name, UNKNOWN) for name in names} | {"id": "job_" + UNKNOWN}
    return Recording(job=job | {"created_at": started["at"]}, question="", steps=steps)


def ms_of(at: str) -> int:
    """Return a moment of a log as Unix milliseconds."""
    return (datetime.fromisoformat(at) - EPOCH) // timedelta(milliseconds=1)


# --- parts ---


def part_of(told: Mapping[str, Any]) -> Part:
    """Return a recorded part as the provider yields it."""
    given = {name: value for name, value in told.items() if name not in ("what", "item_id")}
    return PARTS[told["what"]](given)


def _delta(given: dict[str, Any]) -> Part:
    encoded = given.pop("bytes", None)
    return Delta(**given, data=None if encoded is None else base64.b64decode(encoded))


def _item_done(given: dict[str, Any]) -> Part:
    native = given.pop("native", None)
    return ItemDone(**given, native=None if native is None else Native(**native))


def _usage(given: dict[str, Any]) -> Part:
    turns = given.pop("iterations", None)
    return Usage(**given, iterations=None if turns is None else tuple(turns))


def _end(given: dict[str, Any]) -> Part:
    told = given.pop("error", None)
    if told is None:
        return End(**given)
    named = {("class_" if name == "class" else name): value for name, value in told.items()}
    return End(**given, error=Error(**named))


PARTS: Final[Mapping[str, Callable[[dict[str, Any]], Part]]] = {
    "item_start": lambda given: ItemStart(**given),
    "delta": _delta,
    "item_done": _item_done,
    "retracted": lambda _: Retracted(),
    "noted": lambda given: Noted(**given),
    "usage": _usage,
    "end": _end,
}
