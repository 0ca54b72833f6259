"""The sequential model of one conversation, "which job is current", for `harness.linearize`.

Theory: what N clients may see of a conversation is what one client would see who did the same one
after the other. Calls: start (refuse, replace with and without `replaces`, queue), abort, read. A
job also ends by itself: its provider ends, or the process dies; that is a call of nobody, which
begins when its cause does and has no answer. The end of a job and the start of the next queued one
are two commits, so a read may fall between them and see none; nothing else may.

A start whose answer never came makes a job whose id nobody was told: it is called by its number
until the first answer that names it, and by that name ever after.
Source: CONTRACT.md section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from runtime import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """POST /api/conversations/{id}/jobs. `number` tells it from all others of the history."""

    number: int
    on_active: Literal["refuse", "replace", "queue"] = "refuse"
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """POST /api/jobs/{id}/abort."""

    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """GET /api/conversations/{id}: which job is current."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The job's provider ends, or the process that answers it dies."""

    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoesOn:
    """The oldest queued job becomes current, though nobody has looked; before a death, perhaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dies:
    """The process dies and starts again: whatever was current has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """202: the job, and whether it runs or waits."""

    job: str
    status: Literal["running", "queued"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """409 `job-active` or `job-changed`, with the current job; 429 with none."""

    why: Literal["job-active", "job-changed", "queue-full"]
    current: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The current job that was read; None where there was none."""

    job: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """200, or 409 where the job had ended otherwise."""

    done: bool


Do: TypeAlias = Start | Abort | Read | Ends | GoesOn | Dies
Said: TypeAlias = Accepted | Refused | Current | Aborted
Job: TypeAlias = str | int  # its id, or the number of the start that nobody was answered


@dataclass(frozen=True, slots=True)
class State:
    """A conversation between two calls."""

    current: Job | None = None
    queue: tuple[Job, ...] = ()
    aborted: frozenset[Job] = frozenset()
    known: frozenset[str] = frozenset()  # ids that some answer has named

    def named(self, job: str) -> State:
        """Return the state after an answer has named a job: the current one may be meant."""
        if job in self.known:
            return self
        known = replace(self, known=self.known | {job})
        return replace(known, current=job) if isinstance(self.current, int) else known

    def next_current(self) -> State:
        """Return the state once the oldest queued job is current, where none is."""
        if self.current is not None or not self.queue:
            return self
        return replace(self, current=self.queue[0], queue=self.queue[1:])


def step(state: State, do: Do, said: Said | None) -> State | None:
    """Return the state after a call that was answered so; None where the model answers otherwise.

    Args:
        said: None where the answer never came: the call does what it would have done.
    """
    match do:
        case Read():
            return _read(state, said)
        case Start():
            return _start(state.next_current(), do, said)
        case Abort():
            return _abort(state.next_current(), do.job, said)
        case Ends():
            state = state.next_current().named(do.job)
            return replace(state, current=None) if state.current == do.job else None
        case GoesOn():
            return state.next_current()
        case Dies():
            return replace(state, current=None)
        case _:
            assert_never(do)


def _read(state: State, said: Said | None) -> State | None:
    if not isinstance(said, Current):
        return state
    if said.job is None:
        return state if state.current is None else None
    seen = state.next_current().named(said.job)
    return seen if seen.current == said.job else None


def _start(state: State, do: Start, said: Said | None) -> State | None:
    if isinstance(said, Refused) and said.current is not None:
        state = state.named(said.current)
    refused = _refusal(state, do)
    if refused is not None:
        return state if said in (None, refused) else None
    if isinstance(said, Refused):
        return None
    runs = state.current is None or do.on_active == "replace"
    job: Job = do.number
    if isinstance(said, Accepted):
        if said.job in state.known or said.status != ("running" if runs else "queued"):
            return None
        job, state = said.job, replace(state, known=state.known | {said.job})
    if runs:
        return replace(state, current=job)
    return replace(state, queue=(*state.queue, job))


def _refusal(state: State, do: Start) -> Refused | None:
    current = state.current if isinstance(state.current, str) else None
    if do.replaces is not None and do.replaces != state.current:
        return Refused(why="job-changed", current=current)
    if state.current is None:
        return None
    if do.on_active == "refuse":
        return Refused(why="job-active", current=current)
    if do.on_active == "queue" and len(state.queue) >= limits.QUEUED_JOBS_MAX:
        return Refused(why="queue-full")
    return None


def _abort(state: State, job: str, said: Said | None) -> State | None:
    stops = job == state.current or job in state.queue or job in state.aborted
    if isinstance(said, Aborted) and said.done != stops:
        return None
    if not stops:
        return state
    return replace(
        state,
        current=None if job == state.current else state.current,
        queue=tuple(each for each in state.queue if each != job),
        aborted=state.aborted | {job},
    )
