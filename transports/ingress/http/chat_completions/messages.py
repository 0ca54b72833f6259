"""The messages of a chat, as items in the one form. Pure.

One message of the assistant is several items: its thoughts, its words, its calls. A thought or a
call may carry its provider's state, as the answer that first told it gave it (`reasoning_details`,
`extra_content`); it goes back to that provider and to no other. What is not understood is refused
with its place. Source: OpenAI's API reference, "Chat"; DeepSeek's for `reasoning_content`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from actors import items_in
from actors.items_in import Item
from runtime.problems import Invalid

Object = Mapping[str, Any]
SAYS: Final = ("system", "developer", "user")
ENCRYPTED: Final = "reasoning.encrypted"
OURS: Final = "runchat"  # beside a call: what of it is ours
TAKEN: Final = {
    **dict.fromkeys(SAYS, frozenset({"role", "content"})),
    "assistant": {
        "role",
        "content",
        "refusal",
        "tool_calls",
        "reasoning_content",
        "reasoning_details",
        "annotations",  # of an answer that is sent back: what it cites is not asked again
    },
    "tool": {"role", "content", "tool_call_id"},
}


def read_messages(messages: Sequence[Object], new_id: Callable[[str], str]) -> list[Item]:
    """Return what was said as items, each with an id.

    Raises:
        Invalid: with the place of what is wrong.
    """
    return items_in.read_messages(messages, _items, new_id)


def _items(message: Object, where: str) -> Iterator[tuple[Item, str]]:
    """Yield the items of a message, each with its provider's state, "" for none."""
    role = message.get("role")
    taken = TAKEN.get(str(role))
    if taken is None:
        raise Invalid.at(f"{where}/role", f"A role is one of {', '.join(TAKEN)}.")
    for name, value in message.items():
        if name not in taken and value is not None:
            raise Invalid.at(f"{where}/{name}", "This is not taken here.")
    content = message.get("content")
    if role == "assistant":
        yield from _assistant(message, where)
    elif role == "tool":
        output = _parts(content, where)
        call = {"type": "function_call_output", "call_id": message.get("tool_call_id")}
        if not isinstance(call["call_id"], str):
            raise Invalid.at(f"{where}/tool_call_id", "This is needed, a string.")
        yield {**call, "output": output}, ""
    else:
        yield {"type": "message", "role": role, "content": _parts(content, where)}, ""


def _assistant(message: Object, where: str) -> Iterator[tuple[Item, str]]:
    yield from _thoughts(message, where)
    content = message.get("content")
    if isinstance(content, str) and not content:
        content = None
    said = [] if content is None else _parts(content, where)
    if isinstance(said, str):
        said = [{"type": "text", "text": said}]
    if refusal := message.get("refusal"):
        said = [*said, {"type": "refusal", "refusal": refusal}]
    if said:
        yield {"type": "message", "role": "assistant", "content": said}, ""
    for place, call in enumerate(message.get("tool_calls") or ()):
        yield _call(call, f"{where}/tool_calls/{place}")


def _thoughts(message: Object, where: str) -> Iterator[tuple[Item, str]]:
    """Yield one item a piece of state; the words go with the first, since they are one string."""
    text = message.get("reasoning_content") or ""
    if not isinstance(text, str):
        raise Invalid.at(f"{where}/reasoning_content", "This is a string.")
    details = message.get("reasoning_details") or ()
    if not isinstance(details, Sequence):
        raise Invalid.at(f"{where}/reasoning_details", "This is a list.")
    states = []
    for place, each in enumerate(details):
        match each:
            case {"type": "reasoning.encrypted", "data": str(state)}:
                states.append(state)
            case _:
                at = f"{where}/reasoning_details/{place}"
                raise Invalid.at(at, f"These are of type {ENCRYPTED!r}, as they were given.")
    for state in states or ([""] if text else []):
        summary = [{"type": "summary_text", "text": text}] if text else []
        yield {"type": "reasoning", "summary": summary}, state
        text = ""


def _call(call: Any, where: str) -> tuple[Item, str]:
    match call:
        case {"type": "function", "id": str(id), "function": {"name": str(name), **function}}:
            arguments = function.get("arguments", "")
            if not isinstance(arguments, str):
                raise Invalid.at(f"{where}/function/arguments", "This is a string.")
        case _:
            raise Invalid.at(where, "A call is a function's, with its id and name.")
    match call.get("extra_content"):
        case {"runchat": {"state": str(state)}}:
            pass
        case _:
            state = ""
    item = {"type": "function_call", "call_id": id, "name": name, "arguments": arguments}
    return item, state


def _parts(content: Any, where: str) -> Any:
    """Return the content as an item has it: pictures and documents are called otherwise there."""
    if not isinstance(content, list):
        if isinstance(content, str):
            return content
        raise Invalid.at(f"{where}/content", "Content is a string or a list of parts.")
    return [_part(part, f"{where}/content/{place}") for place, part in enumerate(content)]


def _part(part: Any, where: str) -> Any:
    match part:
        case {"type": "image_url", "image_url": {"url": url, **more}}:
            return {"type": "input_image", "image_url": url, "detail": more.get("detail")}
        case {"type": "file", "file": {**file}}:
            return {"type": "input_file", **file}
        case {"type": "text" | "refusal"}:
            return part
        case {"type": kind}:
            raise Invalid.at(f"{where}/type", f"Parts of type {kind!r} are not taken here.")
        case _:
            raise Invalid.at(where, "A part is an object with a type.")
