"""Items that a caller sends: checked, brought into one form, and read as words of no vendor. Pure.

The form is the one of the Open Responses specification, so that what is stored can be shown again
as it is. Beside it an item may carry `native`: its provider's own form, where a model of ours made
it; that is never shown. What is not understood is refused with its place, and never dropped.
Source: Open Responses 2026-04-24, `ItemParam` and `ItemField`.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from actors import sealing
from runtime import limits
from runtime.problems import Invalid
from transports.egress.providers.asked import (
    Content,
    File,
    Image,
    Input,
    Native,
    PromptCall,
    PromptMessage,
    PromptOpaque,
    PromptReasoning,
    PromptResult,
    Role,
    Text,
)

Item: TypeAlias = dict[str, Any]
ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
PREFIXES: Final = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}
PREFIXES_MORE: Final = {"reasoning": "rs", "compaction": "cmp", "item_reference": "ref"}
PHASES: Final = ("commentary", "final_answer")
SUMMARY: Final = "What was said before, in short:\n\n"


def read_items(
    given: str | Sequence[Any], new_id: Callable[[str], str], where: str = "/input"
) -> list[Item]:
    """Return what a caller sent as items in the one form, each with an id.

    Args:
        new_id: makes an id from its prefix, for an item that has none.
        where: the pointer to what was given, for a refusal.

    Raises:
        Invalid: with the place of what is wrong.
    """
    if isinstance(given, str):
        content = [{"type": "input_text", "text": given}]
        given = [{"type": "message", "role": "user", "content": content}]
    if len(given) > limits.TURN_ITEMS_MAX:
        raise Invalid.at(where, f"At most {limits.TURN_ITEMS_MAX} items may be sent.")
    return [read_item(each, new_id, f"{where}/{place}") for place, each in enumerate(given)]


def read_item(given: Any, new_id: Callable[[str], str], where: str) -> Item:
    """Return one item as `read_items` does; `where` points to it."""
    if not isinstance(given, dict):
        raise Invalid.at(where, "An item is an object.")
    kind = given.get("type") or ("message" if "role" in given else None)
    reader = READERS.get(str(kind))
    if reader is None:
        raise Invalid.at(f"{where}/type", f"Items of type {kind!r} are not taken here.")
    item = reader(given, where)
    prefix = (PREFIXES | PREFIXES_MORE)[item["type"]]
    return {"id": _optional(given, "id", where) or new_id(prefix), **item}


def read_messages(
    messages: Sequence[Mapping[str, Any]],
    items_of: Callable[[Mapping[str, Any], str], Iterable[tuple[Item, str]]],
    new_id: Callable[[str], str],
) -> list[Item]:
    """Return the messages of a front whose message may be several items, as items with ids.

    Args:
        items_of: yields the items of a message and each one's sealed state, "" for none; is told
            the message and the pointer to it.

    Raises:
        Invalid: with the place of what is wrong.
    """
    items: list[Item] = []
    for place, message in enumerate(messages):
        where = f"/messages/{place}"
        for given, state in items_of(message, where):
            item = read_item(given, new_id, where)
            native = sealing.native_in(state)
            items.append(item if native is None else item | {"native": asdict(native)})
    if len(items) > limits.TURN_ITEMS_MAX:
        raise Invalid.at("/messages", f"At most {limits.TURN_ITEMS_MAX} items may be sent.")
    return items


def _message(given: Mapping[str, Any], where: str) -> Item:
    role = given.get("role")
    if role not in ROLES:
        raise Invalid.at(f"{where}/role", f"A role is one of {', '.join(ROLES)}.")
    content = given.get("content")
    kind = "output_text" if role == "assistant" else "input_text"
    if isinstance(content, str):
        content = [{"type": kind, "text": content}]
    item: Item = {
        "type": "message",
        "status": "completed",
        "role": role,
        "content": _parts(content, f"{where}/content", kind),
    }
    if (phase := given.get("phase")) is not None:
        if phase not in PHASES:
            raise Invalid.at(f"{where}/phase", f"A phase is one of {', '.join(PHASES)}.")
        item["phase"] = phase
    return item


def _parts(given: Any, where: str, text_kind: str) -> list[Item]:
    if not isinstance(given, list):
        raise Invalid.at(where, "Content is a string or a list of parts.")
    return [_part(each, f"{where}/{place}", text_kind) for place, each in enumerate(given)]


def _part(given: Any, where: str, text_kind: str) -> Item:
    if not isinstance(given, dict):
        raise Invalid.at(where, "A part is an object.")
    match given.get("type"):
        case "input_text" | "output_text" | "text":
            made: Item = {"type": text_kind, "text": _string(given, "text", where)}
            if text_kind == "output_text":
                made |= {"annotations": given.get("annotations") or [], "logprobs": []}
            return made
        case "refusal":
            return {"type": "refusal", "refusal": _string(given, "refusal", where)}
        case "input_image":
            return _image(given, where)
        case "input_file":
            return _file(given, where)
        case kind:
            raise Invalid.at(f"{where}/type", f"Parts of type {kind!r} are not taken here.")


def _image(given: Mapping[str, Any], where: str) -> Item:
    if given.get("file_id"):
        raise Invalid.at(f"{where}/file_id", "Files are not kept here: send `image_url`.")
    url = _string(given, "image_url", where)
    if not url.startswith(("https://", "http://", "data:image/")):
        raise Invalid.at(f"{where}/image_url", "An image is an address or a data URL.")
    _require_base64(url, f"{where}/image_url")
    return {"type": "input_image", "image_url": url, "detail": given.get("detail") or "auto"}


def _file(given: Mapping[str, Any], where: str) -> Item:
    if given.get("file_id"):
        raise Invalid.at(f"{where}/file_id", "Files are not kept here: send `file_data`.")
    made: Item = {"type": "input_file"}
    for name in ("filename", "file_data", "file_url"):
        if value := _optional(given, name, where):
            _require_base64(value, f"{where}/{name}")
            made[name] = value
    if "file_data" not in made and "file_url" not in made:
        raise Invalid.at(f"{where}/file_data", "A file is `file_data` or `file_url`.")
    return made


def _require_base64(url: str, where: str) -> None:
    """Refuse a data URL that holds no base64: that is how every vendor takes what it holds."""
    if not url.startswith("data:"):
        return
    kind, _, data = url.partition(",")
    try:
        held = a2b_base64(data, strict_mode=True)
    except ValueError:
        held = b""
    if not (held and kind.endswith(";base64")):
        raise Invalid.at(where, "A data URL is `data:TYPE;base64,` and base64.")


def _call(given: Mapping[str, Any], where: str) -> Item:
    item: Item = {name: _string(given, name, where) for name in ("call_id", "name", "arguments")}
    return {"type": "function_call", **item, "status": "completed"}


def _result(given: Mapping[str, Any], where: str) -> Item:
    output = given.get("output")
    if not isinstance(output, str):
        output = _parts(output, f"{where}/output", "input_text")
    call_id = _string(given, "call_id", where)
    done = {"status": "completed"}
    return {"type": "function_call_output", "call_id": call_id, "output": output, **done}


def _reasoning(given: Mapping[str, Any], where: str) -> Item:
    made: Item = {"type": "reasoning", "summary": []}
    for name, kind in (("summary", "summary_text"), ("content", "reasoning_text")):
        parts = given.get(name) or []
        if not isinstance(parts, list) or any(not isinstance(each, dict) for each in parts):
            raise Invalid.at(f"{where}/{name}", "This is a list of parts.")
        if parts or name == "summary":
            texts = [_string(each, "text", f"{where}/{name}/{n}") for n, each in enumerate(parts)]
            made[name] = [{"type": kind, "text": text} for text in texts]
    if sealed := _optional(given, "encrypted_content", where):
        made["encrypted_content"] = sealed
    return made


def _compaction(given: Mapping[str, Any], where: str) -> Item:
    sealed = _string(given, "encrypted_content", where)
    if sealing.summary_in(sealed) is None:
        raise Invalid.at(f"{where}/encrypted_content", "This was not made here.")
    return {"type": "compaction", "encrypted_content": sealed}


def _reference(given: Mapping[str, Any], where: str) -> Item:
    return {"type": "item_reference", "id": _string(given, "id", where)}


READERS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Item]]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _result,
    "reasoning": _reasoning,
    "compaction": _compaction,
    "item_reference": _reference,
}


def _string(given: Mapping[str, Any], name: str, where: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise Invalid.at(f"{where}/{name}", "This is needed, a string.")
    return value


def _optional(given: Mapping[str, Any], name: str, where: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid.at(f"{where}/{name}", "This is a string.")
    return value


def asked(item: Mapping[str, Any]) -> Input:
    """Return an item in the one form as a model is asked."""
    native = Native(**item["native"]) if "native" in item else None
    match item["type"]:
        case "message":
            role = ROLES[item["role"]]
            return PromptMessage(role=role, content=contents(item["content"]), native=native)
        case "function_call":
            call = {name: item[name] for name in ("call_id", "name", "arguments")}
            return PromptCall(**call, native=native)
        case "function_call_output":
            output = item["output"]
            content = (Text(text=output),) if isinstance(output, str) else contents(output)
            return PromptResult(call_id=item["call_id"], content=content)
        case "reasoning":
            said = "".join(each["text"] for each in item.get("content") or item["summary"])
            native = native or sealing.native_in(item.get("encrypted_content", ""))
            return PromptReasoning(text=said, native=native)
        case "compaction":
            summary = sealing.summary_in(item["encrypted_content"]) or ""
            return PromptMessage(role="system", content=(Text(text=SUMMARY + summary),))
        case _:
            assert native is not None, "only what a model made has no form of ours"
            return PromptOpaque(native=native)


def contents(parts: Sequence[Mapping[str, Any]]) -> tuple[Content, ...]:
    """Return the parts of an item as a model is told them."""
    return tuple(map(_content, parts))


def _content(part: Mapping[str, Any]) -> Content:
    match part["type"]:
        case "input_image":
            return Image(url=part["image_url"], detail=part["detail"])
        case "input_file":
            return File(url=part.get("file_data") or part["file_url"], name=part.get("filename"))
        case "refusal":
            return Text(text=part["refusal"])
        case _:
            return Text(text=part["text"])
