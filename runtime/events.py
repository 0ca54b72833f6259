"""The grammar of the event logs: every kind with the shape of its data.

An event is `{"sequence": 7, "kind": "item.delta", "at": "...Z", "data": {...}}`; a kind is past
tense or a state reached; the dataclass beside it is its data. A field that is None is left out.
The bytes made here are what is stored, and what every reader is sent, for ever: adding a field or a
kind is allowed, changing a meaning is not. `specs/contract/events.schema.json` is made from this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import orjson

from runtime.clock import rfc3339
from runtime.event_data import Data as Data  # noqa: PLC0414  everybody looks for it here
from runtime.log import Record
from runtime.tool_events import ApprovalRequested, ApprovalResolved, ToolProgressed, ToolsCalled

ItemType: TypeAlias = Literal[
    "message",
    "reasoning",
    "tool_call",
    "tool_result",
    "server_tool",
    "image",
    "citation",
    "refusal",
    "opaque",
]
Status: TypeAlias = Literal[
    "queued", "running", "completed", "incomplete", "failed", "aborted", "superseded", "interrupted"
]
EndStatus: TypeAlias = Literal[
    "completed", "incomplete", "failed", "aborted", "superseded", "interrupted"
]
EndState: TypeAlias = Literal[
    "finished",
    "finished_no_reason",
    "truncated",
    "transport_error",
    "provider_error",
    "cancelled",
]
Json: TypeAlias = Mapping[str, Any] | tuple[Any, ...] | str | float | bool
UsageSource: TypeAlias = Literal["provider", "partial", "counted"]
JOB_END = "job.ended"  # the one kind that ends a job's stream
CURRENT: tuple[Status, ...] = ("queued", "running")  # what `?status=active` means


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """A piece of text in a message."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(Data):
    """The job is running: its model has been chosen and its prompt is what came before."""

    kind: ClassVar[str] = "job.started"
    model: str
    endpoint: str
    conversation_id: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStarted(Data):
    """The model began an item; `index` is its place among the job's items, 0, 1, 2.

    Args:
        call_id: of a tool call, its result, or a server tool's work.
        name: of the tool.
        answers: of a tool's result: the item that called it.
    """

    kind: ClassVar[str] = "item.started"
    item_id: str
    type: ItemType
    role: str
    index: int
    call_id: str | None = None
    name: str | None = None
    answers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDelta(Data):
    """More of an item: one of text, arguments, bytes (base64) and annotation."""

    kind: ClassVar[str] = "item.delta"
    item_id: str
    text: str | None = None
    arguments: str | None = None
    bytes: str | None = None
    annotation: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object; written out, since most events are deltas."""
        if self.text is not None:
            return {"item_id": self.item_id, "text": self.text}
        return Data.to_json(self)


class Merged(Data):
    """Deltas of an item that were one before anybody saw them: more of its text or arguments."""

    __slots__ = ("item_id", "name", "pieces")
    kind = ItemDelta.kind

    def __init__(self, item_id: str, name: Literal["text", "arguments"], first: str) -> None:
        self.item_id, self.name, self.pieces = item_id, name, [first]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, as that of an ItemDelta."""
        return {"item_id": self.item_id, self.name: "".join(self.pieces)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Data):
    """An item as it is stored; what its deltas add up to.

    Args:
        native: `{wire, model, value}`: the item in its provider's own form, for the next turn.
        is_error: of a tool's result: the tool failed, or was not called.
        content: of a tool's result: pictures and documents, `{type, url, name}`.
        structured: of a tool's result: what it gave as JSON.
    """

    kind: ClassVar[str] = "item"
    id: str
    type: ItemType
    role: str
    index: int
    status: Literal["in_progress", "completed", "incomplete"]
    text: str | None = None
    arguments: str | None = None
    bytes: str | None = None
    annotations: tuple[Mapping[str, Any], ...] = ()
    call_id: str | None = None
    name: str | None = None
    native: Mapping[str, Any] | None = None
    answers: str | None = None
    is_error: bool | None = None
    content: tuple[Mapping[str, Any], ...] | None = None
    structured: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDone(Data):
    """The item is whole, or as whole as it will be (`item.status`)."""

    kind: ClassVar[str] = "item.done"
    inner: ClassVar[tuple[str, ...]] = ("item",)
    item_id: str
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRetracted(Data):
    """A retry began again: forget the item."""

    kind: ClassVar[str] = "item.retracted"
    item_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Data):
    """Tokens used, normalised, beside `raw` as it came; None where the provider did not say.

    Args:
        cost: `{usd, prices}`, exact, as a string; None where no price is known.
    """

    kind: ClassVar[str] = "usage"
    source: UsageSource
    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    tool_use: int | None = None
    iterations: tuple[Mapping[str, Any], ...] | None = None
    raw: Mapping[str, Any] | None = None
    cost: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNoted(Data):
    """Something to know of how the model was asked or answered, such as state that was dropped."""

    kind: ClassVar[str] = "job.noted"
    code: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Data):
    """Why a job failed, in the provider's words where it said any."""

    kind: ClassVar[str] = "error"
    class_: str
    code: str
    message: str
    provider_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded(Data):
    """The one end of a job's log. `reason` is ours, `provider_reason` is the provider's word."""

    kind: ClassVar[str] = JOB_END
    inner: ClassVar[tuple[str, ...]] = ("error",)
    status: EndStatus
    reason: str
    provider_reason: str | None = None
    end_state: EndState | None = None
    superseded_by: str | None = None
    error: Error | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object; `end_state` and `provider_reason` are there even when null."""
        rest = Data.to_json(self)
        first = {"status": self.status, "reason": self.reason}
        always = {"provider_reason": self.provider_reason, "end_state": self.end_state}
        return first | always | rest


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationCreated(Data):
    """The conversation began."""

    kind: ClassVar[str] = "conversation.created"
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAdded(Data):
    """A message joined the conversation."""

    kind: ClassVar[str] = "message.added"
    message_id: str
    role: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueued(Data):
    """A job waits for the current one to end."""

    kind: ClassVar[str] = "job.queued"
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCurrent(Data):
    """The conversation's current job is this one from now on."""

    kind: ClassVar[str] = "job.current"
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSuperseded(Data):
    """A newer job took the place of this one."""

    kind: ClassVar[str] = "job.superseded"
    job_id: str
    superseded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationJobEnded(Data):
    """A job of this conversation has ended; it is no longer current."""

    kind: ClassVar[str] = "job.ended"
    job_id: str
    status: EndStatus


JOB_EVENTS: tuple[type[Data], ...] = (
    JobStarted,
    ItemStarted,
    ItemDelta,
    ItemDone,
    ItemRetracted,
    Usage,
    JobNoted,
    ToolsCalled,
    ToolProgressed,
    ApprovalRequested,
    ApprovalResolved,
    JobEnded,
)
CONVERSATION_EVENTS: tuple[type[Data], ...] = (
    ConversationCreated,
    MessageAdded,
    JobQueued,
    JobCurrent,
    JobSuperseded,
    ConversationJobEnded,
)


# U+0085, U+2028 and U+2029 end a line for Python's `splitlines` and what is built on it, not in SSE
OTHER_LINE_ENDS = tuple((end.encode(), f"\\u{ord(end):04x}".encode()) for end in "\x85\u2028\u2029")
Fact: TypeAlias = tuple[str, Mapping[str, Any]]  # an event's kind and its data as JSON


def facts(events: Iterable[Data]) -> list[Fact]:
    """Return events as JSON: what a fold reads, and what `encode` makes records of."""
    return [(event.kind, event.to_json()) for event in events]


def portions(said: Sequence[Fact], size_bytes: int) -> Iterator[Sequence[Fact]]:
    """Return `said` in runs whose deltas have about `size_bytes` together, or an event each."""
    first = held = 0
    for place, (_, data) in enumerate(said):
        more = len(data.get("text") or data.get("arguments") or data.get("bytes") or "")
        if held and held + more > size_bytes:
            yield said[first:place]
            first, held = place, 0
        held += more
    if said:
        yield said[first:]


def encode(after: int, events: Iterable[Fact], at_ms: int) -> tuple[Record, ...]:
    """Return the bytes that are kept and sent, of the events that follow sequence `after`.

    Args:
        at_ms: when they happened, Unix milliseconds.
    """
    at = rfc3339(at_ms)
    return tuple(
        Record(n, kind, one_line({"sequence": n, "kind": kind, "at": at, "data": data}))
        for n, (kind, data) in enumerate(events, after + 1)
    )


def one_line(event: Mapping[str, Any]) -> bytes:
    """Return JSON that is one line to every reader: some break lines at more than CR and LF."""
    body = b"".join((orjson.dumps(event), b""))  # a copy: orjson's own bytes hold a large buffer
    if b"\xe2\x80" in body or b"\xc2\x85" in body:
        for character, escaped in OTHER_LINE_ENDS:
            body = body.replace(character, escaped)
    return body


def records(after: int, events: Iterable[Data], at_ms: int) -> tuple[Record, ...]:
    """Return `events` as the records that follow sequence `after`; see `encode`."""
    return encode(after, facts(events), at_ms)


def decode(body: bytes) -> dict[str, Any]:
    """Return a stored event as its JSON object."""
    event: dict[str, Any] = orjson.loads(body)
    return event
