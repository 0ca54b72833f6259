"""What an answer that went through the whole product must show, held against a recorded reading.

A golden is what the vendor's own SDK read from a recorded stream. Where the SDK is known to
misread, the rule beside it says how: it joins chat calls that share an index, and a name that is
sent twice; it writes a second message's words into the first one's blocks; it gives Gemini's
arguments in pieces as calls without names. Where it fails, the answer only has to have an honest
end. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

Json = Mapping[str, Any]
HUMP = re.compile(r"(?<!^)(?=[A-Z])")
OPEN = frozenset({None, "None", "queued", "in_progress"})
GOOGLE_REASON = "FinishReason."


def mismatches(row: Json, golden: Json | None, body: bytes, job: Json, end: Json) -> list[str]:
    """Return what differs, a sentence each.

    Args:
        row: of the index: `id`, `wire`, `features`.
        golden: what the SDK read; None: nobody has.
        body: the stream as recorded.
        job: as `GET /api/jobs/{id}` shows it.
        end: the data of its last event.
    """
    golden = golden or {}
    if not end:
        return ["the log has no end"]
    if end.get("error", {}).get("class") == "internal":
        return [f"the product failed: {end['error']['message']}"]
    if "error-event" in row["features"]:
        return _differ("status", "failed", end["status"])
    if golden.get("err") or not golden:
        return []
    wire: str = row["wire"]
    read = _READ[wire](job)
    return [
        *_text(wire, golden, body, read["text"]),
        *_tools(golden, read["tools"]),
        *(_usage(golden, job) if golden.get("usage") else []),
        *_signatures(golden, read["signatures"]),
        *(_differ("blocks", golden["blocks"], read["types"]) if "blocks" in golden else []),
        *(_items(golden["item_types"], read["types"]) if golden.get("item_types") else []),
        *_stop(golden, end),
    ]


def text_of(job: Json) -> str:
    """Return the words of an answer's messages."""
    return "".join(each.get("text", "") for each in job["items"] if each["type"] == "message")


def _values(job: Json) -> list[Json]:
    return [each["native"]["value"] for each in job["items"] if each.get("native")]


def _calls(job: Json) -> list[tuple[str, str]]:
    calls = (each for each in job["items"] if each["type"] == "tool_call")
    return [(each.get("name", ""), each.get("arguments", "")) for each in calls]


def _read_chat(job: Json) -> dict[str, Any]:
    return {"text": text_of(job), "tools": _calls(job), "signatures": None, "types": []}


def _read_responses(job: Json) -> dict[str, Any]:
    functions = [
        (each.get("name", ""), each.get("arguments", ""))
        for each in job["items"]
        if each["type"] == "tool_call"
        and each.get("native", {}).get("value", {}).get("type") == "function_call"
    ]
    types = [value["type"] for value in _values(job)]
    return {"text": text_of(job), "tools": functions, "signatures": None, "types": types}


def _read_anthropic(job: Json) -> dict[str, Any]:
    values = _values(job)
    signatures = [len(each["signature"]) for each in values if each.get("signature")]
    types = [value["type"] for value in values]
    return {"text": text_of(job), "tools": _calls(job), "signatures": signatures, "types": types}


def _read_google(job: Json) -> dict[str, Any]:
    parts = [part for value in _values(job) for part in value["parts"]]
    signed = len([part for part in parts if part.get("thoughtSignature")])
    return {"text": text_of(job), "tools": _calls(job), "signatures": signed, "types": []}


_READ = {
    "openai-chat": _read_chat,
    "openai-responses": _read_responses,
    "anthropic-messages": _read_anthropic,
    "google-generate": _read_google,
}
WIRES = frozenset(_READ)


def _differ(what: str, wanted: Any, got: Any) -> list[str]:
    if wanted == got:
        return []
    return [f"{what}: wanted {str(wanted)[:200]!r}, got {str(got)[:200]!r}"]


def _text(wire: str, golden: Json, body: bytes, text: str) -> list[str]:
    wanted = golden.get("text")
    if wanted is None:
        return []
    glued = len(re.findall(rb'"type": ?"message_start"', body)) > 1
    if wire == "anthropic-messages" and glued:  # its words are in the wrong order, or lost
        lost = Counter[str](wanted) - Counter(text)
        return [f"text: lost {lost}"] if lost else []
    return _differ("text", wanted, text)


def _tools(golden: Json, calls: list[tuple[str, str]]) -> list[str]:
    wanted = golden.get("tools")
    if wanted is None:
        return []
    if any(name is None for name, _ in wanted):  # Gemini's pieces: the names are what can be read
        named = [name for name, _ in wanted if name is not None]
        return _differ("tools", named, [name for name, _ in calls])
    left = list(calls)
    if all(_taken(left, name, arguments) for name, arguments in wanted) and not left:
        return []
    return _differ("tools", wanted, calls)


def _taken(calls: list[tuple[str, str]], name: str, arguments: str) -> bool:
    """Take the calls that make up what the SDK read as one: several, where they share an index."""
    for count in range(1, len(calls) + 1):
        names = "".join(each for each, _ in calls[:count])
        said = "".join(each for _, each in calls[:count])
        same = _json(said) == _json(arguments) if count == 1 else said == arguments
        if same and (names == name or (count == 1 and name == names * 2)):
            del calls[:count]
            return True
    return False


def _json(arguments: str) -> Any:
    try:
        return orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return arguments


def _usage(golden: Json, job: Json) -> list[str]:
    raw = (job["usage"] or {}).get("raw")
    if raw is None:
        return ["usage: none"]
    missing = list(_missing(golden["usage"], _snake(raw), ""))
    return [f"usage: {each}" for each in missing]


def _missing(wanted: Any, got: Any, where: str) -> Iterable[str]:
    """Yield what the wanted value has and the other has not; null is nothing."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            if value is not None:
                inner = got.get(HUMP.sub("_", name).lower()) if isinstance(got, dict) else None
                yield from _missing(value, inner, f"{where}.{name}")
    elif wanted != got:
        yield f"{where} is {got!r}, wanted {wanted!r}"


def _snake(value: Any) -> Any:
    if isinstance(value, dict):
        return {HUMP.sub("_", name).lower(): _snake(each) for name, each in value.items()}
    return [_snake(each) for each in value] if isinstance(value, list) else value


def _signatures(golden: Json, got: list[int] | int | None) -> list[str]:
    wanted = golden.get("sigs")
    if wanted is None or got is None:
        return []
    kept = [length for length in wanted if length] if isinstance(wanted, list) else wanted
    return _differ("signatures", kept, got)


def _items(wanted: list[str], got: list[str]) -> list[str]:
    return _differ("items", wanted, got)


def _stop(golden: Json, end: Json) -> list[str]:
    if golden.get("status") in OPEN and "status" in golden:  # it never heard of an end
        return ["status: shown as finished"] if end["status"] == "completed" else []
    if "status" in golden:
        return _differ("status", golden["status"], end["status"])
    wanted = golden.get("stop", golden.get("finish"))
    if wanted in (None, "None"):
        return []
    got = end.get("provider_reason") or end.get("error", {}).get("code")  # a failure is an end too
    return _differ("stop", str(wanted).removeprefix(GOOGLE_REASON), got)
