"""A request in the words of Anthropic's Messages wire. Pure.

What a model of this wire said goes back block by block as it came, in its order: signed thinking
before the call that it led to. Turns of one side that follow each other are one message; that the
results come before the words in it is the input's order (`actors/prompt.py`, `in_turn`).
Source: Anthropic's API reference, create a message; its guide to extended thinking with tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runtime import limits
from transports.egress.providers.asked import (
    Content,
    Image,
    Input,
    PromptCall,
    PromptMessage,
    PromptOpaque,
    PromptReasoning,
    PromptResult,
    Text,
    Tool,
    data_in,
)
from transports.egress.providers.base import Request

Json = dict[str, Any]


def body(request: Request) -> Json:
    """Return the body; foreign natives have been taken out of the input before."""
    options, wanted = request.options, request.wanted
    system = "\n\n".join(
        each.text for each in request.input if isinstance(each, PromptMessage) and _leads(each)
    )
    form = wanted.form
    effort = getattr(options, "reasoning_effort", None)
    is_off = effort == "none"  # no effort of this wire's
    output = {"effort": effort} if effort and not is_off else {}
    if form is not None and form.schema is not None:
        output["format"] = {"type": "json_schema", "schema": form.schema}
    asked = {
        "system": system or None,
        "temperature": None if options.temperature is None else min(options.temperature, 1.0),
        "top_p": getattr(options, "top_p", None),
        "stop_sequences": getattr(options, "stop", None),
        "tools": [_tool(each) for each in wanted.tools] or None,
        "tool_choice": _choice(request) if wanted.tools else None,
        "output_config": output or None,
        "thinking": {"type": "disabled"} if is_off else None,
    }
    most = options.max_output_tokens or request.model.output_limit or limits.ANSWER_TOKENS
    return {
        "model": request.model.name,
        "messages": messages(request.input),
        "max_tokens": most,
        "stream": True,
    } | {name: value for name, value in asked.items() if value is not None}


def messages(items: Iterable[Input]) -> list[Json]:
    """Return the conversation: the two sides in turn, each a list of blocks."""
    said: list[Json] = []
    for item in items:
        if isinstance(item, PromptMessage) and _leads(item):
            continue
        role, blocks = _blocks(item)
        if blocks and said and said[-1]["role"] == role:
            said[-1]["content"] += blocks
        elif blocks:
            said.append({"role": role, "content": blocks})
    return said


def _leads(message: PromptMessage) -> bool:
    return message.role == "system"


def _blocks(item: Input) -> tuple[str, list[Json]]:  # noqa: PLR0911  a table of items
    match item:
        case PromptResult():
            content = [_part(each) for each in item.content]
            block = {"type": "tool_result", "tool_use_id": item.call_id, "content": content}
            return "user", [{**block, "is_error": True} if item.is_error else block]
        case PromptOpaque():
            return "assistant", [dict(item.native.value)]
        case PromptMessage() | PromptReasoning() | PromptCall() if item.native is not None:
            return "assistant", [dict(item.native.value)]
        case PromptMessage(role="assistant"):
            return "assistant", [{"type": "text", "text": item.text}] if item.text.strip() else []
        case PromptMessage():
            return "user", [_part(each) for each in item.content]
        case PromptCall():
            call = {"type": "tool_use", "id": item.call_id, "name": item.name}
            return "assistant", [{**call, "input": item.named_arguments}]
        case _:
            return "assistant", []  # reasoning without its signature: refused, so left out


def _part(content: Content) -> Json:
    if isinstance(content, Text):
        return {"type": "text", "text": content.text}
    kind = "image" if isinstance(content, Image) else "document"
    if data := data_in(content.url):
        source = {"type": "base64", "media_type": data[0], "data": data[1]}
        return {"type": kind, "source": source}
    return {"type": kind, "source": {"type": "url", "url": content.url}}


def _tool(tool: Tool) -> Json:
    schema = tool.parameters or {"type": "object", "properties": {}}
    return {"name": tool.name, "description": tool.description, "input_schema": schema}


def _choice(request: Request) -> Json | None:
    wanted = request.wanted
    kinds = {"auto": "auto", "none": "none", "required": "any"}
    if isinstance(wanted.tool_choice, Mapping):
        choice: Json = {"type": "tool", **wanted.tool_choice}
    elif wanted.tool_choice is not None:
        choice = {"type": kinds[wanted.tool_choice]}
    elif wanted.parallel_tool_calls is False:
        choice = {"type": "auto"}
    else:
        return None
    one = wanted.parallel_tool_calls is False and choice["type"] != "none"
    return {**choice, "disable_parallel_tool_use": True} if one else choice
