"""Says whether what concurrent clients saw could have happened one thing after the other.

Theory: a history is linearizable if every call can be given one moment between its beginning and
its answer so that, in the order of these moments, a sequential model gives exactly these answers. A
call whose answer never came may have its moment at any time after its beginning, or never. The
search takes the next call that may come first, and goes back where it is stuck; a set of calls done
together with the state they left is tried once only. A history of several objects is linearizable
if that of each object is, so each is searched alone (`parts_of`).
Source: Wing and Gong, "Testing and Verifying Concurrent Objects" (1993); Lowe, "Testing for
Linearizability" (2017), the memory; Horn and Kroening, "Faster Linearizability Checking via
P-Compositionality" (2015).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

Do = TypeVar("Do")
Said = TypeVar("Said")
S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Do, Said]):
    """One call of one client, as that client saw it."""

    part: str  # the object it is about; calls about different objects do not meet
    do: Do
    said: Said | None  # None: the answer never came
    began: int  # its place among all beginnings and answers of the history
    answered: int | None


# From a state and a call to the next state; None where the model would have said something else.
Step: TypeAlias = Callable[[S, Do, "Said | None"], "S | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Generic[Do, Said]):
    """What the search has found."""

    holds: bool
    order: tuple[Call[Do, Said], ...]  # a witness; where there is none, the longest order tried
    stuck: tuple[Call[Do, Said], ...]  # the calls of which none could come next
    looked: int  # states looked at


class Recorder(Generic[Do, Said]):
    """Takes down a history; the order in which it is told is the order in which things happened."""

    def __init__(self) -> None:
        self._moments = 0
        self._calls: list[_Noted[Do, Said]] = []

    def begin(self, part: str, do: Do) -> int:
        """Note that a call begins; return its number, for `answer`."""
        self._calls.append(_Noted(part, do, self._moment()))
        return len(self._calls) - 1

    def answer(self, number: int, said: Said) -> None:
        """Note what a call was answered; one whose connection broke is never answered."""
        noted = self._calls[number]
        noted.said, noted.answered = said, self._moment()

    def history(self) -> list[Call[Do, Said]]:
        """Return all calls, in the order of their beginnings."""
        return [
            Call(part=n.part, do=n.do, said=n.said, began=n.began, answered=n.answered)
            for n in self._calls
        ]

    def _moment(self) -> int:
        self._moments += 1
        return self._moments


@dataclass(slots=True)
class _Noted(Generic[Do, Said]):
    part: str
    do: Do
    began: int
    said: Said | None = None
    answered: int | None = None


def parts_of(history: Iterable[Call[Do, Said]]) -> dict[str, list[Call[Do, Said]]]:
    """Return the history of each object, by its name."""
    parts: dict[str, list[Call[Do, Said]]] = {}
    for call in history:
        parts.setdefault(call.part, []).append(call)
    return parts


def check(
    history: Iterable[Call[Do, Said]], start: S, step: Step[S, Do, Said]
) -> Verdict[Do, Said]:
    """Return whether the history is linearizable; where it is not, of the first part that is not.

    Args:
        start: every object's state before the first call.
        step: the model.
    """
    order: list[Call[Do, Said]] = []
    looked = 0
    for part in parts_of(history).values():
        verdict = _Search(part, step).run(start)
        looked += verdict.looked
        if not verdict.holds:
            return verdict
        order += verdict.order
    return Verdict(holds=True, order=tuple(order), stuck=(), looked=looked)


@dataclass(slots=True)
class _Entry:
    """A beginning or an answer in the doubly linked list of what is left to place."""

    call: int
    answers: bool
    before: _Entry | None = None
    after: _Entry | None = None
    match: _Entry | None = None  # of a beginning: its answer


@dataclass(slots=True)
class _Search(Generic[S, Do, Said]):
    """One search; `run` it once."""

    calls: Sequence[Call[Do, Said]]
    step: Step[S, Do, Said]
    best: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))

    def run(self, state: S) -> Verdict[Do, Said]:
        head = self._link()
        done, placed = 0, list[tuple[_Entry, S]]()
        seen: set[tuple[int, S]] = set()
        waiting = sum(call.answered is not None for call in self.calls)
        entry, looked = head.after, 0
        while waiting:
            if entry is not None and not entry.answers:
                looked += 1
                call = self.calls[entry.call]
                following = self.step(state, call.do, call.said)
                key = (done | 1 << entry.call, following)
                if following is not None and key not in seen:
                    seen.add(key)  # type: ignore[arg-type]  # the state is one
                    placed.append((entry, state))
                    state, done = following, key[0]
                    waiting -= call.answered is not None
                    _lift(entry)
                    entry = head.after
                else:
                    entry = entry.after
                continue
            self._remember(placed, head)  # no call may come next: an answer stands in the way
            if not placed:
                return self._verdict(holds=False, looked=looked)
            entry, state = placed.pop()
            done &= ~(1 << entry.call)
            waiting += self.calls[entry.call].answered is not None
            _unlift(entry)
            entry = entry.after
        self.best = ([each.call for each, _ in placed], [])
        return self._verdict(holds=True, looked=looked)

    def _link(self) -> _Entry:
        moments: list[tuple[int, _Entry]] = []
        for number, call in enumerate(self.calls):
            begins = _Entry(number, answers=False)
            moments.append((call.began, begins))
            if call.answered is not None:
                begins.match = _Entry(number, answers=True)
                moments.append((call.answered, begins.match))
        head = newest = _Entry(-1, answers=False)
        for _, entry in sorted(moments, key=lambda each: each[0]):
            newest.after, entry.before = entry, newest
            newest = entry
        return head

    def _remember(self, placed: Sequence[tuple[_Entry, S]], head: _Entry) -> None:
        if len(placed) < len(self.best[0]) or (self.best[1] and len(placed) == len(self.best[0])):
            return
        stuck, entry = [], head.after
        while entry is not None and not entry.answers:
            stuck.append(entry.call)
            entry = entry.after
        self.best = ([each.call for each, _ in placed], stuck)

    def _verdict(self, *, holds: bool, looked: int) -> Verdict[Do, Said]:
        order, stuck = (tuple(self.calls[number] for number in each) for each in self.best)
        return Verdict(holds=holds, order=order, stuck=stuck, looked=looked)


def _lift(entry: _Entry) -> None:
    """Take a call out of the list: its beginning and its answer."""
    for each in (entry, entry.match):
        if each is not None and each.before is not None:
            each.before.after = each.after
            if each.after is not None:
                each.after.before = each.before


def _unlift(entry: _Entry) -> None:
    """Put a call back where it was; the one lifted last goes first."""
    for each in (entry.match, entry):
        if each is not None and each.before is not None:
            each.before.after = each
            if each.after is not None:
                each.after.before = each
