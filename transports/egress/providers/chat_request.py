"""A request in the words of OpenAI's chat-completions wire. Pure.

What a model of this wire said goes back as it came: reasoning details, and what a vendor put beside
a call. The words, calls and reasoning of one turn are one message of the assistant.
Source: OpenAI's API reference, chat completions; OpenRouter's for reasoning details.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from transports.egress.providers.asked import (
    Content,
    Form,
    Image,
    Input,
    PromptCall,
    PromptMessage,
    PromptReasoning,
    PromptResult,
    Text,
    Tool,
    Wanted,
)
from transports.egress.providers.base import Request

Json = dict[str, Any]
DETAILS = "reasoning_details"
STREAMED: Json = {"stream": True, "stream_options": {"include_usage": True}}
WHOLE: Json = {"stream": False}


def body(request: Request) -> Json:
    """Return the body; foreign natives have been taken out of the input before."""
    options = request.options
    asked = {
        "temperature": options.temperature,
        "max_tokens": options.max_output_tokens,
        "seed": options.seed,
        "top_p": getattr(options, "top_p", None),
        "presence_penalty": getattr(options, "presence_penalty", None),
        "frequency_penalty": getattr(options, "frequency_penalty", None),
        "stop": getattr(options, "stop", None),
        "reasoning_effort": getattr(options, "reasoning_effort", None),
        **wanted(request.wanted),
    }
    return {
        "model": request.model.name,
        "messages": messages(request.input),
        **(WHOLE if request.wanted.whole else STREAMED),
    } | {name: value for name, value in asked.items() if value is not None}


def messages(items: Iterable[Input]) -> list[Json]:
    """Return the conversation."""
    said: list[Json] = []
    for item in items:
        match item:
            case PromptMessage(role="assistant"):
                turn = _turn(said, "content")
                turn["content"] = turn.get("content", "") + item.text
                turn.update(item.native.value if item.native else {})
            case PromptMessage():
                said.append({"role": item.role, "content": _content(item.content)})
            case PromptReasoning(native=native) if native is not None:
                turn = _turn(said, "content")
                turn[DETAILS] = [*turn.get(DETAILS, ()), *native.value.get(DETAILS, ())]
            case PromptCall():
                beside = item.native.value if item.native else {}
                call = {"id": item.call_id, "type": "function", "function": _function(item)}
                _turn(said).setdefault("tool_calls", []).append({**call, **beside})
            case PromptResult():
                said.append({"role": "tool", "tool_call_id": item.call_id, "content": item.text})
            case _:
                pass  # only its own wire knows what it means
    return [_whole(each) for each in said]


def _turn(said: list[Json], fresh: str = "") -> Json:
    """Return the assistant's message under way; a new one where that has what comes now.

    Behind a call nothing begins anew: only its results may follow the message that made it.
    """
    last = said[-1] if said else {}
    if last.get("role") != "assistant" or (fresh in last and "tool_calls" not in last):
        said.append({"role": "assistant"})
    return said[-1]


def _whole(message: Json) -> Json:
    return {**message, "content": message.get("content")}


def _function(call: PromptCall) -> Json:
    return {"name": call.name, "arguments": call.arguments or "{}"}


def _content(content: tuple[Content, ...]) -> str | list[Json]:
    if all(isinstance(each, Text) for each in content):
        return "".join(each.text for each in content if isinstance(each, Text))
    return [_part(each) for each in content]


def _part(content: Content) -> Json:
    if isinstance(content, Text):
        return {"type": "text", "text": content.text}
    if isinstance(content, Image):
        detail = {"detail": content.detail} if content.detail else {}
        return {"type": "image_url", "image_url": {"url": content.url, **detail}}
    return {"type": "file", "file": {"filename": content.name or "file", "file_data": content.url}}


def wanted(wanted: Wanted) -> Mapping[str, Any]:
    """Return tools, the choice among them, and the form of the answer; None: not asked."""
    choice = wanted.tool_choice
    named = {"type": "function", "function": choice} if isinstance(choice, Mapping) else choice
    return {
        "tools": [_tool(each) for each in wanted.tools] or None,
        "tool_choice": named if wanted.tools else None,
        "parallel_tool_calls": wanted.parallel_tool_calls if wanted.tools else None,
        "response_format": _form(wanted.form) if wanted.form else None,
    }


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "description": tool.description}
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _form(form: Form) -> Json:
    if form.schema is None:
        return {"type": "json_object"}
    named: Json = {"name": form.name or "answer", "schema": form.schema}
    if form.strict is not None:
        named["strict"] = form.strict
    return {"type": "json_schema", "json_schema": named}
