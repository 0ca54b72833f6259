"""A job's log as the chunks of a chat completion, and the completion that they add up to. Pure.

The chunks of a log, added up as every client adds them up, are the answer that is given whole. A
chunk cannot be taken back: where a retry begins again after something was said, the stream says an
error and no more. An answer that broke off or failed is an error, never a completion.

| the job                                | finish_reason                         |
|----------------------------------------|---------------------------------------|
| completed, with calls; without         | `tool_calls`; `stop`                  |
| incomplete by length, by a filter      | `length`, `content_filter`            |
| everything else                        | none: an error                        |

Source: OpenAI's API reference, "Chat"; DeepSeek's for `reasoning_content`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actors import items_out, job_state, sealing
from actors.items_in import Item
from actors.job_state import JobState
from runtime.events import JOB_END, decode
from runtime.log import Record
from runtime.problems import UpstreamSaid
from transports.ingress.http import openai_errors
from transports.ingress.http.chat_completions.messages import ENCRYPTED, OURS
from transports.ingress.http.responses.resource import BROKEN_OFF, SENTENCES, Told, told_of

REASONS: Final = {"length": "length", "filter": "content_filter"}
TAKEN_BACK: Final = "The answer was begun again after a part of it had been sent; ask again."
ENDED: Final = "The answer was ended before it was whole."
WORDS: Final = {"message": "content", "refusal": "refusal", "reasoning": "reasoning_content"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What of a completion never changes."""

    job_id: str
    created_at_ms: int
    model: str

    def head(self, kind: str) -> Item:
        """Return the fields with which a completion and each of its chunks begin."""
        return {
            "id": completion_id(self.job_id),
            "object": kind,
            "created": self.created_at_ms // 1000,
            "model": self.model,
        }


def completion_id(job_id: str) -> str:
    """Return the id of the completion that a job makes."""
    return f"chatcmpl-{job_id.partition('_')[2]}"


def job_id_of(completion: str) -> str:
    """Return the id of the job that makes a completion; of nonsense, one that is no job's."""
    prefix, _, own = completion.partition("-")
    return f"job_{own}" if prefix == "chatcmpl" else ""


def finish_reason(told: Told) -> str | None:
    """Return why an answer that has ended is one; None where it is none."""
    if told.status == "incomplete":
        return REASONS.get(told.reason or "")
    if told.status != "completed":
        return None
    calls = any(item["type"] == "tool_call" for item in told.items)
    return "tool_calls" if calls else "stop"


def error(told: Told) -> Item:
    """Return the error of an answer that is none."""
    said = told.error or {}
    ended = ENDED if told.status in {"aborted", "superseded"} else BROKEN_OFF
    return {
        "message": said.get("message") or SENTENCES.get(told.reason or "", ended),
        "type": "server_error",
        "param": None,
        "code": said.get("class") or openai_errors.code_of(UpstreamSaid),
    }


def usage(said: Mapping[str, Any] | None) -> Item | None:
    """Return the usage; None where the provider did not say both sides of it."""
    if said is None or said.get("input") is None or said.get("output") is None:
        return None
    return {
        "prompt_tokens": said["input"],
        "completion_tokens": said["output"],
        "total_tokens": said["input"] + said["output"],
        "prompt_tokens_details": {
            "cached_tokens": said.get("cached") or 0,
            "cache_write_tokens": said.get("cache_write") or 0,
        },
        "completion_tokens_details": {"reasoning_tokens": said.get("reasoning") or 0},
    }


def completion(shown: Shown, told: Told) -> Item:
    """Return the completion of an answer that is one."""
    choice = {"index": 0, "message": message(shown.job_id, told.items), "logprobs": None}
    return {
        **shown.head("chat.completion"),
        "choices": [choice | {"finish_reason": finish_reason(told)}],
        "usage": usage(told.usage),
    }


def message(job_id: str, items: Iterable[Mapping[str, Any]]) -> Item:
    """Return the message that an answer's items make."""
    said: Item = {"role": "assistant", "content": None, "refusal": None}
    calls: list[Item] = []
    for item in items:
        length = len(said["content"] or "")
        if (name := WORDS.get(item["type"])) is not None and item.get("text"):
            said[name] = (said.get(name) or "") + item["text"]
        notes = [_note(note, length) for note in items_out.notes_of(item.get("annotations", ()))]
        state = _state(item)
        if notes:
            said.setdefault("annotations", []).extend(notes)
        if item["type"] == "tool_call":
            function = {"name": item.get("name") or "", "arguments": item.get("arguments") or ""}
            call = {"id": items_out.call_id(job_id, item), "type": "function"}
            calls.append({**call, "function": function} | _beside(state))
        elif item["type"] == "reasoning" and state:
            said.setdefault("reasoning_details", []).append(_detail(state))
    return said | ({"tool_calls": calls} if calls else {})


def _note(note: Item, offset: int) -> Item:
    """Return a citation of an item's text as one of the whole content's."""
    places = {name: note[name] + offset for name in ("start_index", "end_index")}
    cited = {"url": note["url"], "title": note["title"], **places}
    return {"type": "url_citation", "url_citation": cited}


def _state(item: Mapping[str, Any]) -> str:
    whole = item["status"] == "completed" and item.get("native")
    return sealing.seal(item["native"]) if whole else ""


def _detail(state: str) -> Item:
    return {"type": ENCRYPTED, "data": state}


def _beside(state: str) -> Item:
    return {"extra_content": {OURS: {"state": state}}} if state else {}


class Chunks:
    """Reads one log from its start."""

    def __init__(self, shown: Shown, *, tells_usage: bool) -> None:
        self._shown, self._tells_usage = shown, tells_usage
        self._state = JobState()
        self._calls: dict[str, int] = {}  # item -> its place among the calls
        self._offsets: dict[str, int] = {}  # item -> how much content came before it
        self._length = 0  # of the content
        self._spoken: set[str] = set()  # items of which something was sent
        self._broken = False

    def take(self, record: Record) -> list[Item]:
        """Return the chunks that follow from the next record; an error is `{"error": ...}`."""
        event = decode(record.body)
        data = event["data"]
        job_state.fold(self._state, event["sequence"], record.kind, data)
        if self._broken:
            return []
        if record.kind == "item.retracted" and data["item_id"] in self._spoken:
            self._broken = True
            return [{"error": _taken_back()}]
        return list(self._chunks(record.kind, data))

    def _chunks(self, kind: str, data: Mapping[str, Any]) -> Iterator[Item]:
        match kind:
            case "job.started":
                yield self._chunk({"role": "assistant", "content": None, "refusal": None})
            case "item.started":
                yield from self._begin(data["item_id"])
            case "item.delta":
                yield from self._grow(data["item_id"], data)
            case "item.done":
                yield from self._finish(data["item"])
            case _ if kind == JOB_END:
                yield from self._end(told_of(self._state))
            case _:
                pass

    def _begin(self, item_id: str) -> Iterator[Item]:
        self._offsets[item_id] = self._length
        item = self._state.items[item_id]
        if item.type == "tool_call":
            self._calls[item_id] = len(self._calls)
            self._spoken.add(item_id)
            shown = {"index": item.index, "type": item.type, "call_id": item.call_id}
            call = {"id": items_out.call_id(self._shown.job_id, shown), "type": "function"}
            function = {"name": item.name or "", "arguments": ""}
            yield self._call(item_id, {**call, "function": function})

    def _grow(self, item_id: str, data: Mapping[str, Any]) -> Iterator[Item]:
        item = self._state.items[item_id]
        name = WORDS.get(item.type)
        if name is not None and (text := data.get("text")):
            if name == "content":
                self._length += len(text)
            self._spoken.add(item_id)
            yield self._chunk({name: text})
        elif item_id in self._calls and (arguments := data.get("arguments")):
            yield self._call(item_id, {"function": {"arguments": arguments}})
        elif (note := items_out.note_of(data.get("annotation") or {})) is not None:
            self._spoken.add(item_id)
            yield self._chunk({"annotations": [_note(note, self._offsets[item_id])]})

    def _finish(self, item: Mapping[str, Any]) -> Iterator[Item]:
        if not (state := _state(item)):
            return
        if item["type"] == "reasoning":
            self._spoken.add(item["id"])
            yield self._chunk({"reasoning_details": [_detail(state)]})
        elif item["id"] in self._calls:
            yield self._call(item["id"], {"function": {"arguments": ""}, **_beside(state)})

    def _end(self, told: Told) -> Iterator[Item]:
        reason = finish_reason(told)
        if reason is None:
            self._broken = True
            yield {"error": error(told)}
            return
        yield self._chunk({}, reason)
        if self._tells_usage and (said := usage(told.usage)) is not None:
            yield {**self._shown.head("chat.completion.chunk"), "choices": [], "usage": said}

    @property
    def is_whole(self) -> bool:
        """Whether the answer has ended as one."""
        return self._state.ended is not None and not self._broken

    def _call(self, item_id: str, more: Item) -> Item:
        return self._chunk({"tool_calls": [{"index": self._calls[item_id], **more}]})

    def _chunk(self, delta: Item, reason: str | None = None) -> Item:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        more = {"usage": None} if self._tells_usage else {}
        return {**self._shown.head("chat.completion.chunk"), "choices": [choice], **more}


def _taken_back() -> Item:
    return {"message": TAKEN_BACK, "type": "server_error", "param": None, "code": "begun_again"}
