"""What a call's outcome becomes: what the model is told, cut where it is too long, and its digest.

What is cut or left out is said where it was, in the same words for a person and a model, so that
neither takes a part for the whole. The digest is of the result as it came. A picture or a document
that is an address and not the thing itself is told as that address: nobody fetches it unasked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson
import trio

from actors.tools.tooling import Outcome
from runtime import limits
from transports.egress.providers.asked import Content, File, Image, Text

KINDS: Final[Mapping[type[Content], str]] = {Image: "picture", File: "document"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """The result of a call as the log keeps it."""

    text: str
    is_error: bool = False
    content: tuple[Mapping[str, Any], ...] = ()
    structured: Any = None
    sha256: str | None = None
    size_bytes: int | None = None


def failed(words: str) -> ToolResult:
    """Return the result of a call that was not made, or of which nothing is known."""
    return ToolResult(text=words, is_error=True)


async def kept(outcome: Outcome) -> ToolResult:
    """Return what is kept of an outcome; a large one is looked at on a thread."""
    said = sum(len(each.text if isinstance(each, Text) else each.url) for each in outcome.content)
    if said <= limits.INLINE_RESULT_CHARS and outcome.structured is None:
        return of(outcome)
    return await trio.to_thread.run_sync(of, outcome)


def of(outcome: Outcome) -> ToolResult:
    """Return what is kept of an outcome; takes a while for a large one."""
    try:
        whole = orjson.dumps(asdict(outcome))
        structured = orjson.dumps(outcome.structured)
    except (TypeError, RecursionError):
        return failed("The tool's result is not JSON.")
    words = [each.text for each in outcome.content if isinstance(each, Text)]
    if outcome.structured is not None and not words:
        words = [structured.decode()]
    lines, kept = [cut("\n".join(words))], []
    room = limits.TOOL_MEDIA_BYTES
    for part in outcome.content:
        if isinstance(part, Text):
            continue
        if not part.url.startswith("data:"):
            lines.append(f"[a {KINDS[type(part)]} at {part.url[: limits.TOOL_URL_CHARS]}]")
        elif len(part.url) > room:
            lines.append(f"[a {KINDS[type(part)]} of {len(part.url)} bytes is left out]")
        else:
            room -= len(part.url)
            kept.append(asdict(part) | {"type": type(part).__name__.lower()})
    small = len(structured) <= limits.TOOL_RESULT_BYTES
    if not small and "\n".join(words) != structured.decode():
        lines.append(f"[the result as JSON, {len(structured)} bytes, is left out]")
    return ToolResult(
        text="\n".join(filter(None, lines)),
        is_error=outcome.is_error,
        content=tuple(kept),
        structured=outcome.structured if small else None,
        sha256=hashlib.sha256(whole).hexdigest(),
        size_bytes=len(whole),
    )


def cut(text: str) -> str:
    """Return the words, or as many as may be kept and how many they were."""
    told = text.encode(errors="replace")
    if len(told) <= limits.TOOL_RESULT_BYTES:
        return told.decode()
    head = told[: limits.TOOL_RESULT_BYTES].decode(errors="ignore")
    return f"{head}\n[cut here: these are the first {len(head.encode())} of {len(told)} bytes]"


def contents(item: Mapping[str, Any]) -> Iterator[Content]:
    """Yield what a model is told of a result's item."""
    yield Text(text=item.get("text") or "")
    for part in item.get("content") or ():
        if part["type"] == "image":
            yield Image(url=part["url"], detail=part.get("detail"))
        else:
            yield File(url=part["url"], name=part.get("name"))
