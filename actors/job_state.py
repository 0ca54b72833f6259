"""A job as a pure machine: what its log means, and what is to be appended to it.

`fold` reads one event; the state of a job is the fold of its log, and nothing else. `on_parts` and
`ending` say which events follow from what a provider sent and from how the answer ended. Nothing
here waits, reads a clock or knows where events are kept.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, assert_never

from runtime import limits
from runtime.events import (
    JOB_END,
    Data,
    EndState,
    EndStatus,
    Error,
    Item,
    ItemDelta,
    ItemDone,
    ItemRetracted,
    ItemStarted,
    ItemType,
    JobEnded,
    JobNoted,
    Merged,
    Usage,
)
from transports.egress.providers import base
from transports.egress.providers.asked import Native

# How an answer ends: the reason it stopped -> (status, end_state). Contract, section 4.
ENDS: Mapping[str, tuple[EndStatus, EndState | None]] = {
    "aborted": ("aborted", "cancelled"),
    "superseded": ("superseded", "cancelled"),
    "shutdown": ("interrupted", "cancelled"),
    "crashed": ("failed", None),  # the actor gave up
    "process-died": ("interrupted", None),
}
PROVIDER_ENDS: Mapping[EndState, EndStatus] = {
    "finished": "completed",  # incomplete when the reason is one of base.INCOMPLETE
    "finished_no_reason": "completed",
    "truncated": "incomplete",
    "transport_error": "incomplete",
    "provider_error": "failed",
    "cancelled": "aborted",
}


@dataclass(slots=True)
class OpenItem:
    """An item as far as the log tells it. Text is kept in pieces, or it would cost its square."""

    id: str
    type: ItemType
    role: str
    index: int
    text: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    bytes: list[bytes] = field(default_factory=list)
    annotations: list[Mapping[str, Any]] = field(default_factory=list)
    call_id: str | None = None
    name: str | None = None
    native: Mapping[str, Any] | None = None
    answers: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)  # of a result, beside its words
    done: bool = False
    status: Literal["in_progress", "completed", "incomplete"] = "in_progress"

    def item(self, status: Literal["in_progress", "completed", "incomplete"]) -> Item:
        """Return the item as it stands, marked `status`."""
        is_text = self.type in {"message", "reasoning", "refusal"}
        return Item(
            id=self.id,
            type=self.type,
            role=self.role,
            index=self.index,
            status=status,
            text="".join(self.text) if self.text or is_text else None,
            arguments="".join(self.arguments) if self.arguments else None,
            bytes=base64.b64encode(b"".join(self.bytes)).decode() if self.bytes else None,
            annotations=tuple(self.annotations),
            call_id=self.call_id,
            name=self.name,
            native=self.native,
            answers=self.answers,
            **self.given,
        )


@dataclass(slots=True)
class JobState:
    """The fold of a job's log up to `head`."""

    head: int = 0
    model: str | None = None
    endpoint: str | None = None
    items: dict[str, OpenItem] = field(default_factory=dict)  # by id, in order of start
    items_started: int = 0
    said_bytes: int = 0
    usage: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    rounds: int = 0  # how often the model has waited for tools
    calls: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # without result, by item
    kept: int = 0  # items of the rounds that are over: what is never taken back
    usage_before: Mapping[str, Any] | None = None  # what the rounds that are over have used
    approvals: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # as they were asked
    resolved: dict[str, str] = field(default_factory=dict)  # how, by approval

    def open_approvals(self) -> list[Mapping[str, Any]]:
        """Return what a human is asked and has not answered."""
        if self.ended:
            return []
        return [each for id_, each in self.approvals.items() if id_ not in self.resolved]

    def waits_for_human(self) -> bool:
        """Whether a call stands still until a human says yes or no to it."""
        asked = (each for each in self.open_approvals() if "schema" not in each)
        return any(each["item_id"] in self.calls for each in asked)

    def item_list(self) -> tuple[dict[str, Any], ...]:
        """Return the items as JSON objects, in the order they began."""
        return tuple(each.item(each.status).to_json() for each in self.items.values())

    def text(self) -> str:
        """Return what the answer says: the text of its messages and refusals."""
        said = (each for each in self.items.values() if each.type in {"message", "refusal"})
        return "".join(piece for each in said for piece in each.text)


def fold(  # noqa: C901  a table of kinds
    state: JobState, sequence: int, kind: str, data: Mapping[str, Any]
) -> None:
    """Take the next event of the log into `state`. Unknown kinds and fields change nothing."""
    state.head = sequence
    match kind:
        case "item.delta":
            _fold_delta(state, data)
        case "job.started":
            state.model, state.endpoint = data["model"], data["endpoint"]
        case "item.started":
            item = OpenItem(data["item_id"], data["type"], data["role"], data["index"])
            item.call_id, item.name = data.get("call_id"), data.get("name")
            item.answers = data.get("answers")
            state.items[item.id] = item
            state.items_started += 1
        case "item.done":
            item = state.items[data["item_id"]]
            item.done, item.status = True, data["item"]["status"]
            item.native = data["item"].get("native")
            if item.type == "tool_result":
                _fold_result(state, item, data["item"])
        case "item.retracted":
            state.items.pop(data["item_id"], None)
        case "usage":
            state.usage = data
        case "tools.called":
            state.rounds += 1
            state.usage_before = state.usage
            state.calls = {each["item_id"]: each for each in data["calls"]}
        case "approval.requested":
            state.approvals[data["approval_id"]] = data
        case "approval.resolved":
            state.resolved[data["approval_id"]] = data["outcome"]
        case _ if kind == JOB_END:
            state.ended = data
        case _:
            pass  # a kind of a later version: kept in the log, without meaning here


def _fold_result(state: JobState, item: OpenItem, told: Mapping[str, Any]) -> None:
    names = ("is_error", "content", "structured")
    item.given = {name: told[name] for name in names if told.get(name) is not None}
    state.calls.pop(item.answers or "", None)
    if not state.calls:
        state.kept = len(state.items)


def _fold_delta(state: JobState, data: Mapping[str, Any]) -> None:
    item = state.items[data["item_id"]]
    if (text := data.get("text")) is not None:
        item.text.append(text)
        state.said_bytes += len(text)
    elif (arguments := data.get("arguments")) is not None:
        item.arguments.append(arguments)
        state.said_bytes += len(arguments)
    elif (encoded := data.get("bytes")) is not None:
        item.bytes.append(base64.b64decode(encoded))
        state.said_bytes += len(encoded)
    elif (annotation := data.get("annotation")) is not None:
        item.annotations.append(annotation)


@dataclass(slots=True)
class Answering:
    """The part of a life that turns a provider's parts into events: its indexes to our items."""

    new_id: Callable[[], str]
    merges: bool  # may deltas that wait together become one
    usage_before: Mapping[str, Any] | None = None  # of the job's earlier calls of the model
    items: dict[int, str] = field(default_factory=dict)  # the provider's index -> open item's id


def on_parts(  # noqa: C901, PLR0912  a table of parts
    state: JobState, answering: Answering, parts: Iterable[base.Part]
) -> tuple[list[Data], base.End | None]:
    """Return the events that follow from `parts`, and the provider's end if it is among them.

    What comes after the end is left out. Deltas that wait together are merged here, before they
    have a sequence, where the provider allows it.
    """
    events: list[Data] = []
    said_bytes, started = state.said_bytes, state.items_started
    for part in parts:
        match part:
            case base.Delta():
                said_bytes += len(part.text or part.arguments or part.data or b"")
                if said_bytes > limits.OUTPUT_BYTES_MAX:
                    return events, base.End(end_state="finished", reason="length")
                if part.index not in answering.items:
                    start = base.ItemStart(index=part.index, type="message")
                    events.append(_begin(answering, start, started))
                    started += 1
                _add_delta(events, answering, part)
            case base.ItemStart():
                if started >= limits.JOB_ITEMS_MAX:
                    return events, base.End(end_state="finished", reason="length")
                if open_id := answering.items.pop(part.index, None):
                    events.append(_done(state, events, open_id, "completed"))
                events.append(_begin(answering, part, started))
                started += 1
            case base.ItemDone():
                if open_id := answering.items.pop(part.index, None):
                    events.append(_done(state, events, open_id, "completed", part.native))
            case base.Retracted():
                answering.items.clear()
                events += _retracted(state, events)
            case base.Noted():
                events.append(JobNoted(code=part.code, detail=part.detail, count=part.count))
            case base.Usage():
                events.append(_usage(part, answering.usage_before))
            case base.End():
                return events, part
            case _:
                assert_never(part)
    return events, None


def _begin(answering: Answering, part: base.ItemStart, place: int) -> ItemStarted:
    item_id = answering.items[part.index] = answering.new_id()
    return ItemStarted(
        item_id=item_id,
        type=part.type,
        role=part.role,
        index=place,
        call_id=part.call_id,
        name=part.name,
    )


def _retracted(state: JobState, pending: Iterable[Data]) -> list[Data]:
    """Return what takes back all since the last round, in the log and in what is pending."""
    gone = {each.item_id for each in pending if isinstance(each, ItemRetracted)}
    begun = [
        *list(state.items)[state.kept :],
        *(each.item_id for each in pending if isinstance(each, ItemStarted)),
    ]
    return [ItemRetracted(item_id=item_id) for item_id in begun if item_id not in gone]


def _add_delta(events: list[Data], answering: Answering, part: base.Delta) -> None:
    item_id = answering.items[part.index]
    name: Literal["text", "arguments"] = "arguments" if part.text is None else "text"
    said = part.arguments if part.text is None else part.text
    if answering.merges and said is not None:
        newest = events[-1] if events else None
        if isinstance(newest, Merged) and (newest.item_id, newest.name) == (item_id, name):
            newest.pieces.append(said)
        else:
            events.append(Merged(item_id, name, said))
        return
    data = None if part.data is None else base64.b64encode(part.data).decode()
    events.append(
        ItemDelta(
            item_id=item_id,
            text=part.text,
            arguments=part.arguments,
            bytes=data,
            annotation=part.annotation,
        )
    )


COUNTS = ("input", "cached", "cache_write", "output", "reasoning", "tool_use")


def _usage(part: base.Usage, before: Mapping[str, Any] | None) -> Usage:
    """Return what the job has used: this call of the model, and those before it."""
    before = before or {}
    sums = {name: _sum(getattr(part, name), before.get(name)) for name in COUNTS}
    cost = part.cost
    if cost is not None and before.get("cost"):
        usd = Decimal(cost["usd"]) + Decimal(before["cost"]["usd"])
        cost = {**cost, "usd": format(usd.normalize(), "f")}
    elif before:
        cost = None  # of a part is unknown what it cost
    return Usage(source=part.source, iterations=part.iterations, raw=part.raw, cost=cost, **sums)


def _sum(now: int | None, before: int | None) -> int | None:
    return now if before is None else before if now is None else now + before


def _done(
    state: JobState,
    pending: Iterable[Data],
    item_id: str,
    status: Literal["completed", "incomplete"],
    native: Native | None = None,
) -> ItemDone:
    """Return the item's last event: what the log and the events still pending add up to."""
    if (known := state.items.get(item_id)) is not None:
        whole = OpenItem(known.id, known.type, known.role, known.index)
        whole.call_id, whole.name, whole.answers = known.call_id, known.name, known.answers
        whole.text, whole.arguments = [*known.text], [*known.arguments]
        whole.bytes, whole.annotations = [*known.bytes], [*known.annotations]
        scratch = JobState(items={item_id: whole})
    else:
        scratch = JobState()
    for event in pending:
        if isinstance(event, ItemStarted | ItemDelta | Merged) and event.item_id == item_id:
            fold(scratch, 0, event.kind, event.to_json())
    if native is not None:
        scratch.items[item_id].native = asdict(native)
    return ItemDone(item_id=item_id, item=scratch.items[item_id].item(status))


def verdict_of(end: base.End) -> JobEnded:
    """Return the end of a job whose provider ended so."""
    status = PROVIDER_ENDS[end.end_state]
    if end.end_state == "finished" and end.reason in base.INCOMPLETE:
        status = "incomplete"
    return JobEnded(
        status=status,
        reason=end.reason or end.end_state,
        provider_reason=end.provider_reason,
        end_state=end.end_state,
        error=end.error,
    )


def verdict_for(
    reason: Literal["aborted", "superseded", "shutdown", "crashed", "process-died"],
    *,
    superseded_by: str | None = None,
    error: Error | None = None,
) -> JobEnded:
    """Return the end of a job that something other than its provider ended."""
    status, end_state = ENDS[reason]
    return JobEnded(
        status=status,
        reason=reason,
        end_state=end_state,
        superseded_by=superseded_by,
        error=error,
    )


def ending(state: JobState, verdict: JobEnded) -> list[Data]:
    """Return the last events of the log: every open item done as far as it got, then the end."""
    whole = verdict.status == "completed"
    return [*open_items(state, "completed" if whole else "incomplete"), verdict]


def open_items(state: JobState, status: Literal["completed", "incomplete"]) -> list[ItemDone]:
    """Return the events that end what is still open."""
    return [_done(state, (), each.id, status) for each in state.items.values() if not each.done]


def retraction(state: JobState) -> list[Data]:
    """Return the events that take back what was said since the last round, before a retry."""
    return [ItemRetracted(item_id=item_id) for item_id in list(state.items)[state.kept :]]
