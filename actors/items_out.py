"""A job's items as the Responses API shows them, and as the next turn tells them. Pure.

An item's public id says which job made it and as which item, so that a caller may name it later
without an index being kept: `msg_<the job's own part>_<place>`. Kinds that the API has no word for
are left out of what is shown; the log has them, and the next turn tells them to their provider.
Source: Open Responses 2026-04-24, `ItemField`; OpenAI's API reference for images.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from actors import sealing
from actors.items_in import Item
from actors.tools import result as tool_result
from transports.egress.providers.asked import (
    Image,
    Input,
    Native,
    PromptCall,
    PromptMessage,
    PromptOpaque,
    PromptReasoning,
    PromptResult,
    said,
)

PREFIXES: Final = {
    "message": "msg",
    "refusal": "msg",
    "tool_call": "fc",
    "reasoning": "rs",
    "image": "ig",
    "opaque": "op",
    "server_tool": "st",
    "tool_result": "fco",
}
PLACE: Final = re.compile(r"[a-z]+_([0-9a-z]{26})_(\d{1,5})")
CITATION: Final = ("url", "title", "start_index", "end_index")
OPENAI: Final = "openai-responses"  # the wire whose own items this API can show as they came


def shown(job_id: str, item: Mapping[str, Any], *, sealed: bool) -> Item | None:
    """Return an item of a job's log as an output item; None where the API has no word for it.

    Args:
        sealed: reasoning carries its provider's state.
    """
    status = item["status"]
    head: Item = {"id": public_id(job_id, item)}
    match item["type"]:
        case "message" | "refusal":
            content = [part(item)] if has_part(item) else []
            words = {"type": "message", "status": status, "role": "assistant"}
            return head | words | phase_of(item) | {"content": content}
        case "tool_call":
            call = {"call_id": call_id(job_id, item), "name": item.get("name") or ""}
            said_so_far = {"arguments": item.get("arguments", ""), "status": status}
            return head | {"type": "function_call"} | call | said_so_far
        case "reasoning":
            made = head | {"type": "reasoning", "summary": summary(item)}
            if sealed and item.get("native"):
                made["encrypted_content"] = sealing.seal(item["native"])
            return made
        case "image":
            made = head | {"type": "image_generation_call"}
            return made | {"status": status, "result": item.get("bytes")}
        case _:
            return None


def has_part(item: Mapping[str, Any]) -> bool:
    """Whether a message shows its one part: before its first word it has none."""
    return bool(item.get("text")) or item["status"] != "in_progress"


def part(item: Mapping[str, Any]) -> Item:
    """Return the one content part of a message."""
    if item["type"] == "refusal":
        return {"type": "refusal", "refusal": item.get("text") or ""}
    notes = notes_of(item.get("annotations", ()))
    text = item.get("text") or ""
    return {"type": "output_text", "text": text, "annotations": notes, "logprobs": []}


def notes_of(notes: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Return the notes that the API has a word for."""
    return [shown for note in notes if (shown := note_of(note)) is not None]


def note_of(note: Mapping[str, Any]) -> Item | None:
    """Return a note on a message; None for one that is no whole citation of an address."""
    if note.get("type") != "url_citation" or any(name not in note for name in CITATION):
        return None
    return {"type": "url_citation"} | {name: note[name] for name in CITATION}


def summary(item: Mapping[str, Any]) -> list[Item]:
    """Return the parts of what a model tells of its thoughts."""
    text = item.get("text") or ""
    return [{"type": "summary_text", "text": text}] if text else []


def phase_of(item: Mapping[str, Any]) -> Item:
    """Return the phase of a message, where its provider said one."""
    native = item.get("native") or {}
    phase = native.get("value", {}).get("phase") if native.get("wire") == OPENAI else None
    return {"phase": phase} if phase in {"commentary", "final_answer"} else {}


def public_id(job_id: str, item: Mapping[str, Any]) -> str:
    """Return the id under which callers know an item."""
    prefix = PREFIXES.get(item["type"], "it")
    return f"{prefix}_{job_id.partition('_')[2]}_{item['index']}"


def call_id(job_id: str, item: Mapping[str, Any]) -> str:
    """Return the id of a call; one of ours where its provider gave none."""
    return item.get("call_id") or public_id(job_id, item)


def place_of(id: str) -> tuple[str, int] | None:
    """Return the job and the index that a public id names; None where it is none of ours."""
    found = PLACE.fullmatch(id)
    return (f"job_{found[1]}", int(found[2])) if found else None


def asked(job_id: str, item: Mapping[str, Any]) -> Input | None:  # noqa: PLR0911  a table
    """Return an item of a finished job as the next turn tells it; None: it is not to be told.

    A call whose arguments broke off is none. What broke off has no state that a provider would
    take back.
    """
    whole = item["status"] == "completed"
    native = Native(**item["native"]) if whole and item.get("native") else None
    text = item.get("text") or ""
    match item["type"]:
        case "message" | "refusal" if text or native:
            return PromptMessage(
                role="assistant", content=said("assistant", text).content, native=native
            )
        case "reasoning" if text or native:
            return PromptReasoning(text=text, native=native)
        case "tool_call" if whole:
            return PromptCall(
                call_id=call_id(job_id, item),
                name=item.get("name") or "",
                arguments=item.get("arguments", ""),
                native=native,
            )
        case "tool_result":
            return PromptResult(
                call_id=item["call_id"],
                content=tuple(tool_result.contents(item)),
                is_error=item.get("is_error") or False,
            )
        case "image" if item.get("bytes"):
            picture = Image(url=f"data:image/png;base64,{item['bytes']}")
            return PromptMessage(role="assistant", content=(picture,), native=native)
        case _ if native:
            return PromptOpaque(native=native)
    return None
