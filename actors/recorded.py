"""What made each event of a job's log: the part or the message that its actor was given. Pure.

Theory: nothing is kept beside a log for its replay, since the log says it all. An event was made of
one part of the provider, or of several that were merged before anybody saw them: their border is
the event, their time is its time, and what they were apart from each other is no part of history.
How a job ended says which message ended it. So each event gives back its cause, with every field
that the actor copies and none that it computes: place, item, status and end are the actor's to make
again. Two causes that leave the same log (a crash and a provider that began again) are told as one.
What tools answered, and what humans were asked and said, was given to the job from outside: it is
given again as it was, and no tool is called for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Cause: TypeAlias = dict[str, Any]

# The message behind an end that no provider made: by its reason, where `end_state` says so too.
ENDED_BY: Final[Mapping[tuple[str | None, str], str]] = {
    ("cancelled", "aborted"): "abort",
    ("cancelled", "superseded"): "replace",
    ("cancelled", "shutdown"): "interrupt",
    (None, "crashed"): "give_up",
    (None, "process-died"): "die",
}


def closes_with_the_end(event: Mapping[str, Any]) -> bool:
    """Say whether an event came of the job's end, which follows: an item that was still open."""
    return bool(event["kind"] == "item.done" and event["data"]["item"]["status"] == "incomplete")


class Causes:
    """Walks one log and gives the cause of each event; None where it came with another."""

    def __init__(self) -> None:
        self._indexes: dict[str, int] = {}  # the provider's index of each item, by its id
        self._newest = ""  # kind of the event before
        self._results: set[str] = set()  # items that tools answered

    def of(self, event: Mapping[str, Any]) -> Cause | None:  # noqa: PLR0911  a table
        """Return what made the next event of the log."""
        kind, data, at = event["kind"], event["data"], event["at"]
        before, self._newest = self._newest, kind
        if self._is_of_a_tool(data):
            return _message(at, "append", {"kind": kind, "data": data})
        match kind:
            case "job.started":
                return _message(at, "start")
            case "job.ended":
                return _end(at, data)
            case "item.retracted":
                return None if before == kind else _part(at, "retracted")
            case "item.started":
                index = self._indexes[data["item_id"]] = len(self._indexes)
                given = {
                    name: data[name] for name in ("type", "role", "call_id", "name") if name in data
                }
                return _part(at, "item_start", given | {"index": index, "item_id": data["item_id"]})
            case "item.delta":
                given = {name: value for name, value in data.items() if name != "item_id"}
                return _part(at, "delta", given | {"index": self._indexes[data["item_id"]]})
            case "item.done":
                return None if closes_with_the_end(event) else self._done(at, data)
            case "usage" | "job.noted":
                return _part(at, kind.removeprefix("job."), data)
            case _:  # a kind that the job's actor does not make: it was given as it is
                return _message(at, "append", {"kind": kind, "data": data})

    def _is_of_a_tool(self, data: Mapping[str, Any]) -> bool:
        if data.get("type") == "tool_result":
            self._results.add(data["item_id"])
        return data.get("item_id") in self._results

    def _done(self, at: str, data: Mapping[str, Any]) -> Cause:
        item = data["item"]
        given = {"index": self._indexes[data["item_id"]]}
        return _part(at, "item_done", given | {n: item[n] for n in ("native",) if n in item})


def _end(at: str, data: Mapping[str, Any]) -> Cause:
    name = ENDED_BY.get((data.get("end_state"), data["reason"]))
    if name is None:
        given = ("end_state", "reason", "provider_reason", "error")
        return _part(at, "end", {each: data[each] for each in given if data.get(each) is not None})
    by = data.get("superseded_by")
    return _message(at, name, {"superseded_by": by} if by else {})


def _message(at: str, name: str, more: Mapping[str, Any] | None = None) -> Cause:
    return {"record": "message", "at": at, "message": {"type": name, **(more or {})}}


def _part(at: str, name: str, more: Mapping[str, Any] | None = None) -> Cause:
    return {"record": "part", "at": at, "part": {"what": name, **(more or {})}}
