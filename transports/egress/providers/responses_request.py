"""A request in the words of OpenAI's Responses wire. Pure.

Nothing is stored at the provider: what its model said goes back as the items that came, sealed
reasoning included, which is asked for wherever the model can reason.
Source: OpenAI's API reference, create a response.
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
    PromptOpaque,
    PromptReasoning,
    PromptResult,
    Text,
    Tool,
)
from transports.egress.providers.base import Request

Json = dict[str, Any]
SEALED = "reasoning.encrypted_content"


def body(request: Request) -> Json:
    """Return the body; foreign natives have been taken out of the input before."""
    options, wanted = request.options, request.wanted
    effort = getattr(options, "reasoning_effort", None)
    choice = wanted.tool_choice
    asked = {
        "temperature": options.temperature,
        "max_output_tokens": options.max_output_tokens,
        "top_p": getattr(options, "top_p", None),
        "reasoning": {"effort": effort, "summary": "auto"} if effort else None,
        "include": [SEALED] if "reasoning" in request.model.abilities or effort else None,
        "tools": [_tool(each) for each in wanted.tools] or None,
        "tool_choice": ({"type": "function", **choice} if isinstance(choice, Mapping) else choice)
        if wanted.tools
        else None,
        "parallel_tool_calls": wanted.parallel_tool_calls if wanted.tools else None,
        "text": {"format": _form(wanted.form)} if wanted.form else None,
    }
    return {
        "model": request.model.name,
        "input": list(items(request.input)),
        "stream": True,
        "store": False,
    } | {name: value for name, value in asked.items() if value is not None}


def items(said: Iterable[Input]) -> Iterable[Json]:
    """Yield the input, item by item."""
    for item in said:
        match item:
            case PromptMessage() | PromptReasoning() | PromptCall() if item.native is not None:
                yield dict(item.native.value)
            case PromptMessage(role="assistant"):
                yield {"type": "message", "role": "assistant", "content": item.text}
            case PromptMessage():
                content = [_part(each) for each in item.content]
                yield {"type": "message", "role": item.role, "content": content}
            case PromptCall():
                call = {"call_id": item.call_id, "name": item.name}
                yield {"type": "function_call", **call, "arguments": item.arguments or "{}"}
            case PromptResult():
                yield {
                    "type": "function_call_output",
                    "call_id": item.call_id,
                    "output": _output(item),
                }
            case PromptOpaque():
                yield dict(item.native.value)
            case _:
                pass  # reasoning in words only: nobody takes it back


def _output(result: PromptResult) -> str | list[Json]:
    if all(isinstance(each, Text) for each in result.content):
        return result.text
    return [_part(each) for each in result.content]


def _part(content: Content) -> Json:
    if isinstance(content, Text):
        return {"type": "input_text", "text": content.text}
    if isinstance(content, Image):
        return {"type": "input_image", "image_url": content.url, "detail": content.detail or "auto"}
    if content.url.startswith("data:"):
        name = content.name or "file"
        return {"type": "input_file", "filename": name, "file_data": content.url}
    return {"type": "input_file", "file_url": content.url}


def _tool(tool: Tool) -> Json:
    made = {"type": "function", "name": tool.name, "description": tool.description}
    return {**made, "parameters": tool.parameters, "strict": bool(tool.strict)}


def _form(form: Form) -> Json:
    if form.schema is None:
        return {"type": "json_object"}
    named: Json = {"type": "json_schema", "name": form.name or "answer", "schema": form.schema}
    return named if form.strict is None else {**named, "strict": form.strict}
