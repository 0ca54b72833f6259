"""A job's log as the events of a response's stream. Pure: the same log makes the same bytes.

Each event of the log makes none, one or several of the stream, numbered 0, 1, 2; so a reader that
names a number goes on behind it at any time, also after the response has ended. An item that a
retry has taken back is closed as incomplete, and what takes its place begins at index 0 again; the
response at the end has only what stands.
Source: Open Responses 2026-04-24, the streaming events; OpenAI's API reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from actors import items_out, job_state
from actors.items_in import Item
from actors.job_state import JobState
from runtime.events import JOB_END, decode, one_line
from runtime.log import Record
from transports.ingress.http.responses.resource import Shown, resource, told_of

TERMINAL: Final = {"completed": "response.completed", "failed": "response.failed"}
WORDS: Final = {"message": "output_text", "refusal": "refusal"}  # kind of item -> its events


class Projection:
    """Reads one log from its start."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._state = JobState()
        self._sequence = -1  # of the newest event
        self._places: dict[str, int] = {}  # item -> its place in the output
        self._summed: set[str] = set()  # reasoning whose summary has begun

    def take(self, record: Record) -> list[tuple[int, str, bytes]]:
        """Return the events that follow from the next record: number, type and JSON of each."""
        event = decode(record.body)
        made = []
        for kind, fields in self._events(record.kind, event):
            self._sequence += 1
            whole = {"type": kind, "sequence_number": self._sequence, **fields}
            made.append((self._sequence, kind, one_line(whole)))
        return made

    def _events(self, kind: str, event: Mapping[str, Any]) -> Iterator[tuple[str, Item]]:
        state, data = self._state, event["data"]
        if kind == "item.retracted":
            yield from self._retract(data["item_id"])
        job_state.fold(state, event["sequence"], kind, data)
        match kind:
            case "job.started":
                for each in ("response.created", "response.in_progress"):
                    yield each, {"response": resource(self._shown, told_of(state))}
            case "item.started":
                yield from self._begin(data["item_id"])
            case "item.delta":
                yield from self._grow(data["item_id"], data)
            case "item.done":
                yield from self._finish(data["item"])
            case _ if kind == JOB_END:
                ended_at_ms = round(1000 * datetime.fromisoformat(event["at"]).timestamp())
                whole = resource(self._shown, told_of(state, ended_at_ms))
                name = TERMINAL.get(whole["status"], "response.incomplete")
                yield name, {"response": whole}
            case _:
                pass

    def _item(self, item_id: str) -> dict[str, Any]:
        item = self._state.items[item_id]
        return item.item(item.status).to_json()

    def _show(self, item: Mapping[str, Any]) -> Item | None:
        return items_out.shown(self._shown.job_id, item, sealed=self._shown.sealed)

    def _begin(self, item_id: str) -> Iterator[tuple[str, Item]]:
        item = self._item(item_id)
        shown = self._show(item)
        if shown is None:
            return
        place = self._places[item_id] = len(self._places)
        yield "response.output_item.added", {"output_index": place, "item": shown}
        if item["type"] in WORDS:
            where = self._where(item) | {"content_index": 0}
            yield "response.content_part.added", {**where, "part": items_out.part(item)}

    def _where(self, item: Mapping[str, Any]) -> Item:
        public = items_out.public_id(self._shown.job_id, item)
        return {"item_id": public, "output_index": self._places[item["id"]]}

    def _grow(self, item_id: str, data: Mapping[str, Any]) -> Iterator[tuple[str, Item]]:
        if item_id not in self._places:
            return
        item = self._state.items[item_id]
        where = self._where({"id": item.id, "type": item.type, "index": item.index})
        if (text := data.get("text")) is not None:
            if item.type == "reasoning":
                yield from self._think(item_id, where, text)
            elif (words := WORDS.get(item.type)) is not None:
                more: Item = {"logprobs": []} if words == "output_text" else {}
                fields = {**where, "content_index": 0, "delta": text, **more}
                yield f"response.{words}.delta", fields
        elif (arguments := data.get("arguments")) is not None and item.type == "tool_call":
            yield "response.function_call_arguments.delta", {**where, "delta": arguments}
        elif (note := items_out.note_of(data.get("annotation") or {})) is not None:
            index = len(items_out.notes_of(item.annotations)) - 1
            fields = {**where, "content_index": 0, "annotation_index": index}
            yield "response.output_text.annotation.added", {**fields, "annotation": note}

    def _think(self, item_id: str, where: Item, text: str) -> Iterator[tuple[str, Item]]:
        where = {**where, "summary_index": 0}
        if not text:
            return
        if item_id not in self._summed:
            self._summed.add(item_id)
            part = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", {**where, "part": part}
        yield "response.reasoning_summary_text.delta", {**where, "delta": text}

    def _finish(self, item: Mapping[str, Any]) -> Iterator[tuple[str, Item]]:
        if item["id"] not in self._places:
            return
        where = self._where(item)
        match item["type"]:
            case "message" | "refusal":
                part, first = items_out.part(item), {**where, "content_index": 0}
                if item["type"] == "refusal":
                    yield "response.refusal.done", {**first, "refusal": part["refusal"]}
                else:
                    fields = {**first, "text": part["text"], "logprobs": []}
                    yield "response.output_text.done", fields
                yield "response.content_part.done", {**first, "part": part}
            case "tool_call":
                fields = {**where, "arguments": item.get("arguments", "")}
                yield "response.function_call_arguments.done", fields
            case "reasoning" if item["id"] in self._summed:
                [part], first = items_out.summary(item), {**where, "summary_index": 0}
                yield "response.reasoning_summary_text.done", {**first, "text": part["text"]}
                yield "response.reasoning_summary_part.done", {**first, "part": part}
            case _:
                pass
        place = where["output_index"]
        yield "response.output_item.done", {"output_index": place, "item": self._show(item)}

    def _retract(self, item_id: str) -> Iterator[tuple[str, Item]]:
        """Close what is taken back, if it was open; the output begins anew once all of it is."""
        item = self._state.items[item_id]
        if not item.done:
            yield from self._finish(item.item("incomplete").to_json())
        self._places.pop(item_id, None)
