"""A job's log as the parts of an AI SDK UI message stream, version 1. Pure.

Every event of the log makes none, one or several parts, so that a stream that is read again from
its start is the same. A part cannot be taken back: where a retry begins again after something was
said, the stream says an error and no more. An answer that broke off or failed ends in `error`, one
that was ended in `abort`; only one that is whole has a `finish`.
Source: npm `ai` 6, `uiMessageChunkSchema`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from actors import items_out, job_state, sealing
from actors.items_in import Item
from actors.job_state import JobState
from runtime.events import JOB_END, decode
from runtime.log import Record
from transports.ingress.http.chat_completions.projection import TAKEN_BACK, error, finish_reason
from transports.ingress.http.responses.resource import Told, told_of
from transports.ingress.http.ui_chat.asked import OURS

WORDS: Final = {"message": "text", "refusal": "text", "reasoning": "reasoning"}
REASONS: Final = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
}
NOT_JSON: Final = "The model wrote arguments that are no JSON."
ENDED: Final = ("aborted", "superseded")


class Parts:
    """Reads one log from its start."""

    def __init__(self, job_id: str, message_id: str) -> None:
        self._job_id, self._message_id = job_id, message_id
        self._state = JobState()
        self._cited = 0
        self._spoken: set[str] = set()  # items of which more was sent than that they began
        self._broken = False

    def take(self, record: Record) -> list[Item]:
        """Return the parts that follow from the next record."""
        event = decode(record.body)
        data = event["data"]
        gone = self._item(data["item_id"]) if record.kind == "item.retracted" else None
        job_state.fold(self._state, event["sequence"], record.kind, data)
        if self._broken:
            return []
        if gone is not None and gone["id"] in self._spoken:
            self._broken = True
            return [{"type": "error", "errorText": TAKEN_BACK}]
        if gone is not None and gone["type"] in WORDS and not gone["done"]:
            return [{"type": f"{WORDS[gone['type']]}-end", "id": self._id(gone)}]
        return list(self._parts(record.kind, data))

    def _parts(self, kind: str, data: Mapping[str, Any]) -> Iterator[Item]:
        match kind:
            case "job.started":
                known = {"job_id": self._job_id, "model": data["model"]}
                yield {"type": "start", "messageId": self._message_id, "messageMetadata": known}
                yield {"type": "start-step"}
            case "item.started":
                yield from self._begin(self._item(data["item_id"]))
            case "item.delta":
                yield from self._grow(self._item(data["item_id"]), data)
            case "item.done":
                yield from self._finish(data["item"])
            case _ if kind == JOB_END:
                yield from self._end(told_of(self._state))
            case _:
                pass

    def _item(self, item_id: str) -> Item:
        """Return what is short of an item: its words would be copied each time."""
        item = self._state.items[item_id]
        fixed = ("id", "type", "index", "call_id", "name", "done")
        return {name: getattr(item, name) for name in fixed}

    def _id(self, item: Mapping[str, Any]) -> str:
        return items_out.public_id(self._job_id, item)

    def _begin(self, item: Item) -> Iterator[Item]:
        if (words := WORDS.get(item["type"])) is not None:
            yield {"type": f"{words}-start", "id": self._id(item)}
        elif item["type"] == "tool_call":
            self._spoken.add(item["id"])
            yield {"type": "tool-input-start", **self._named(item)}

    def _named(self, item: Mapping[str, Any]) -> Item:
        call_id = items_out.call_id(self._job_id, item)
        return {"toolCallId": call_id, "toolName": item.get("name") or ""}

    def _grow(self, item: Item, data: Mapping[str, Any]) -> Iterator[Item]:
        words = WORDS.get(item["type"])
        self._spoken.add(item["id"])
        if words is not None and (text := data.get("text")):
            yield {"type": f"{words}-delta", "id": self._id(item), "delta": text}
        elif item["type"] == "tool_call" and (more := data.get("arguments")):
            call_id = items_out.call_id(self._job_id, item)
            yield {"type": "tool-input-delta", "toolCallId": call_id, "inputTextDelta": more}
        elif (note := items_out.note_of(data.get("annotation") or {})) is not None:
            source, self._cited = f"{self._id(item)}_{self._cited}", self._cited + 1
            where = {"url": note["url"], "title": note["title"]}
            yield {"type": "source-url", "sourceId": source, **where}

    def _finish(self, item: Mapping[str, Any]) -> Iterator[Item]:
        whole, native = item["status"] == "completed", item.get("native")
        state = {OURS: {"state": sealing.seal(native)}} if whole and native else None
        beside = {"providerMetadata": state} if state else {}
        if (words := WORDS.get(item["type"])) is not None:
            yield {"type": f"{words}-end", "id": self._id(item), **beside}
        elif item["type"] == "tool_call" and whole:
            yield self._called(item) | beside
        elif item["type"] == "image" and whole and item.get("bytes"):
            url = f"data:image/png;base64,{item['bytes']}"
            yield {"type": "file", "mediaType": "image/png", "url": url}

    def _called(self, item: Mapping[str, Any]) -> Item:
        written = item.get("arguments") or "{}"
        try:
            read = orjson.loads(written)
        except orjson.JSONDecodeError:
            wrong = {"input": written, "errorText": NOT_JSON}
            return {"type": "tool-input-error", **self._named(item), **wrong}
        return {"type": "tool-input-available", **self._named(item), "input": read}

    def _end(self, told: Told) -> Iterator[Item]:
        reason = finish_reason(told)
        if reason is None and told.status in ENDED:
            yield {"type": "abort", "reason": told.reason}
        elif reason is None:
            yield {"type": "error", "errorText": error(told)["message"]}
        else:
            yield {"type": "finish-step"}
            used = usage(told.usage)
            more = {"messageMetadata": {"usage": used}} if used else {}
            yield {"type": "finish", "finishReason": REASONS[reason], **more}


def usage(said: Mapping[str, Any] | None) -> Item:
    """Return the usage as the AI SDK calls it; what the provider did not say is left out."""
    told = said or {}
    names = {
        "inputTokens": told.get("input"),
        "cachedInputTokens": told.get("cached"),
        "outputTokens": told.get("output"),
        "reasoningTokens": told.get("reasoning"),
    }
    used = {name: value for name, value in names.items() if value is not None}
    if "inputTokens" in used and "outputTokens" in used:
        used["totalTokens"] = used["inputTokens"] + used["outputTokens"]
    return used
