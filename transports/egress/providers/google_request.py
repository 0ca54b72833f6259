"""A request in the words of Google's Gemini wire. Pure.

What a model of this wire said goes back part by part as it came, each signature on the part that
bore it. Turns of one side that follow each other are one content.
Source: Google's API reference, GenerateContentRequest; its guide to thought signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from transports.egress.providers.asked import (
    Content,
    Input,
    PromptCall,
    PromptMessage,
    PromptOpaque,
    PromptReasoning,
    PromptResult,
    Text,
    Tool,
    Wanted,
    data_in,
)
from transports.egress.providers.base import Request

Json = dict[str, Any]
KINDS = ("models/", "tunedModels/")  # first words of a name that says its own kind
MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def place(model: str) -> str:
    """Return a model's place in a path, which Google's SDK takes as it is."""
    kind = "" if model.startswith(KINDS) else KINDS[0]
    return kind + quote(model).replace("..", "%2E%2E")  # it takes two dots for a way up


def body(request: Request) -> Json:
    """Return the body; foreign natives have been taken out of the input before."""
    options, wanted = request.options, request.wanted
    leads = [each for each in request.input if isinstance(each, PromptMessage)]
    system = [{"text": each.text} for each in leads if each.role == "system"]
    effort = getattr(options, "reasoning_effort", None)
    how = {
        "temperature": options.temperature,
        "maxOutputTokens": options.max_output_tokens,
        "topP": getattr(options, "top_p", None),
        "seed": options.seed,
        "stopSequences": getattr(options, "stop", None),
        "thinkingConfig": _thinking(effort) if effort else None,
        "responseMimeType": "application/json" if wanted.form else None,
        "responseJsonSchema": wanted.form.schema if wanted.form else None,
    }
    how = {name: value for name, value in how.items() if value is not None}
    asked = {
        "systemInstruction": {"parts": system} if system else None,
        "generationConfig": how or None,
        "tools": [{"functionDeclarations": [_tool(each) for each in wanted.tools]}]
        if wanted.tools
        else None,
        "toolConfig": _choice(wanted) if wanted.tools else None,
    }
    said = {"contents": contents(request.input)}
    return said | {name: value for name, value in asked.items() if value is not None}


def contents(items: Iterable[Input]) -> list[Json]:
    """Return the conversation: the two sides in turn, each a list of parts."""
    said: list[Json] = []
    names: dict[str, str] = {}  # of the calls, which their results must name
    for item in items:
        if isinstance(item, PromptCall):
            names[item.call_id] = item.name
        role, parts = _parts(item, names)
        if parts and said and said[-1]["role"] == role:
            said[-1]["parts"] += parts
        elif parts:
            said.append({"role": role, "parts": parts})
    return said


def _parts(  # noqa: PLR0911  a table of items
    item: Input, names: Mapping[str, str]
) -> tuple[str, list[Json]]:
    match item:
        case PromptResult():
            answer = {"error" if item.is_error else "output": item.text}
            named = {"name": names.get(item.call_id, "tool"), "response": answer}
            media = [_part(each) for each in item.content if not isinstance(each, Text)]
            return "user", [{"functionResponse": named}, *media]
        case PromptOpaque():
            return "model", _kept(item.native.value)
        case PromptMessage() | PromptReasoning() | PromptCall() if item.native is not None:
            return "model", _kept(item.native.value)
        case PromptMessage(role="system"):
            return "user", []
        case PromptMessage(role="assistant"):
            return "model", [{"text": item.text}] if item.text else []
        case PromptMessage():
            return "user", [_part(each) for each in item.content]
        case PromptCall():
            return "model", [{"functionCall": {"name": item.name, "args": item.named_arguments}}]
        case _:
            return "model", []


def _kept(value: Mapping[str, Any]) -> list[Json]:
    return [dict(part) for part in value.get("parts", ())]


def _part(content: Content) -> Json:
    if isinstance(content, Text):
        return {"text": content.text}
    if data := data_in(content.url):
        return {"inlineData": {"mimeType": data[0], "data": data[1]}}
    return {"fileData": {"fileUri": content.url}}


def _tool(tool: Tool) -> Json:
    made: Json = {"name": tool.name, "description": tool.description}
    return made if tool.parameters is None else {**made, "parametersJsonSchema": tool.parameters}


def _thinking(effort: str) -> Json:
    if effort == "none":
        return {"thinkingBudget": 0}
    return {"thinkingLevel": effort.upper(), "includeThoughts": True}


def _choice(wanted: Wanted) -> Json | None:
    choice = wanted.tool_choice
    if choice is None:
        return None
    if isinstance(choice, Mapping):
        config: Json = {"mode": "ANY", "allowedFunctionNames": [choice["name"]]}
    else:
        config = {"mode": MODES[choice]}
    return {"functionCallingConfig": config}
