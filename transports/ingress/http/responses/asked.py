"""The body of a request for a response: what it may hold, and what of it a model is asked.

Nothing is taken and then ignored: what cannot be done is refused with its name. What the API says
when nothing is given is shown as it would show it. Hosted tools, files, prompts kept elsewhere and
log probabilities are not offered. Source: Open Responses 2026-04-24, `CreateResponseBody`; OpenAI's
API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from actors.items_in import Item
from actors.turns import Asked
from runtime.problems import Invalid
from transports.egress.providers.asked import Form, Tool, Wanted
from transports.ingress.http.dto import STRICT
from transports.ingress.http.responses.resource import SEALED

Metadata = Annotated[
    Mapping[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
SEAL: Final = "reasoning.encrypted_content"
OF_HOSTED: Final = (  # asks for more of what is never there without hosted tools
    "web_search_call.results",
    "web_search_call.action.sources",
    "file_search_call.results",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "message.input_image.image_url",  # always there
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """How much the model is to think, and what it tells of it."""

    __pydantic_config__ = STRICT
    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """The form of the answer."""

    __pydantic_config__ = STRICT
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextWanted:
    """How the answer is written."""

    __pydantic_config__ = STRICT
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadNamed:
    """A conversation by its id."""

    __pydantic_config__ = STRICT
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How the stream is sent; nothing here is padded."""

    __pydantic_config__ = STRICT
    include_obfuscation: Literal[False] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateResponse:
    """What to answer, and how."""

    __pydantic_config__ = STRICT
    model: str | None = None
    input: str | tuple[Mapping[str, Any], ...] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | ThreadNamed | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    background: bool | None = None
    store: bool | None = None
    metadata: Metadata | None = None
    tools: tuple[Mapping[str, Any], ...] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Field(ge=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    top_logprobs: Literal[0] | None = None
    reasoning: Reasoning | None = None
    text: TextWanted | None = None
    truncation: Literal["auto", "disabled"] | None = None
    include: tuple[str, ...] | None = None
    service_tier: Literal["auto", "default"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    user: str | None = None

    @property
    def is_stored(self) -> bool:
        """Whether the response is kept; it is unless the caller says no."""
        return self.store is not False

    @property
    def thread(self) -> str | None:
        """The id of the conversation it belongs to."""
        named = self.conversation
        return named.id if isinstance(named, ThreadNamed) else named


def check(body: CreateResponse) -> None:
    """Check what no single field tells.

    Raises:
        Invalid: with the place of what is wrong.
    """
    if body.background and not body.is_stored:
        raise Invalid.at("/background", "A response in the background needs `store`.")
    if body.conversation is not None and body.previous_response_id is not None:
        raise Invalid.at("/conversation", "It is this or `previous_response_id`, not both.")
    if body.conversation is not None and not body.is_stored:
        raise Invalid.at("/store", "A conversation keeps what is said in it.")
    if body.input is None and body.previous_response_id is None and body.conversation is None:
        raise Invalid(
            "Missing required parameter: 'input'.",
            errors=[{"pointer": "/input", "detail": "This field is needed."}],
            code="missing_required_parameter",
        )
    for place, each in enumerate(body.include or ()):
        if each != SEAL and each not in OF_HOSTED:
            raise Invalid.at(f"/include/{place}", f"{each!r} cannot be included here.")


def asked_of(body: CreateResponse) -> Asked:
    """Return how the answer is to be made.

    Raises:
        Invalid: a tool or a choice that is not offered.
    """
    tools, choice = _tools(body), body.tool_choice
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(tools, choice)
    form = body.text.format if body.text else None
    return Asked(
        instructions=body.instructions,
        drops=body.truncation == "auto",
        wanted=Wanted(
            tools=tools,
            tool_choice=_choice(tools, choice),
            parallel_tool_calls=body.parallel_tool_calls if tools else None,
            form=_form(form) if form and form.type != "text" else None,
        ),
    )


def _tools(body: CreateResponse) -> tuple[Tool, ...]:
    tools = []
    for place, each in enumerate(body.tools or ()):
        if each.get("type") != "function":
            detail = f"Tools of type {each.get('type')!r} are not offered here; functions are."
            raise Invalid.at(f"/tools/{place}/type", detail)
        name, parameters = each.get("name"), each.get("parameters")
        if not isinstance(name, str) or not name:
            raise Invalid.at(f"/tools/{place}/name", "A function has a name.")
        if parameters is not None and not isinstance(parameters, Mapping):
            raise Invalid.at(f"/tools/{place}/parameters", "This is a JSON Schema object.")
        description, strict = each.get("description") or "", each.get("strict")
        if not isinstance(description, str):
            raise Invalid.at(f"/tools/{place}/description", "This is a string.")
        if strict is not None and not isinstance(strict, bool):
            raise Invalid.at(f"/tools/{place}/strict", "This is true or false.")
        tools.append(Tool(name=name, description=description, parameters=parameters, strict=strict))
    return tuple(tools)


def _allowed(tools: tuple[Tool, ...], choice: Mapping[str, Any]) -> tuple[tuple[Tool, ...], Any]:
    """Return those of the tools that may be used, and whether one must be."""
    named = {each.get("name") for each in choice.get("tools") or () if isinstance(each, Mapping)}
    if unknown := sorted(map(str, named - {tool.name for tool in tools})):
        raise Invalid.at("/tool_choice/tools", f"There is no tool {unknown[0]!r}.")
    return tuple(tool for tool in tools if tool.name in named), choice.get("mode") or "auto"


def _choice(tools: tuple[Tool, ...], choice: Any) -> Any:
    match choice:
        case None | "auto" | "none":
            return choice
        case "required" if tools:
            return choice
        case {"type": "function", "name": str(name)} if name in {tool.name for tool in tools}:
            return {"name": name}
        case _:
            raise Invalid.at("/tool_choice", "This chooses no tool that was given.")


def _form(form: TextFormat) -> Form:
    if form.type == "json_schema" and (not form.name or form.schema is None):
        missing = "name" if not form.name else "schema"
        raise Invalid.at(f"/text/format/{missing}", "A JSON schema has a name and a schema.")
    return Form(name=form.name or "", schema=form.schema, strict=form.strict)


def options_of(body: CreateResponse) -> dict[str, Any]:
    """Return the options that a model must have; what asks for nothing is left out."""
    text, reasoning = body.text, body.reasoning
    given = {
        "temperature": (body.temperature, None),
        "top_p": (body.top_p, 1),
        "max_output_tokens": (body.max_output_tokens, None),
        "presence_penalty": (body.presence_penalty, 0),
        "frequency_penalty": (body.frequency_penalty, 0),
        "reasoning_effort": (reasoning.effort if reasoning else None, "none"),
        "verbosity": (text.verbosity if text else None, "medium"),
    }
    return {name: value for name, (value, usual) in given.items() if value not in (None, usual)}


def shown_of(body: CreateResponse, model: str) -> Item:
    """Return what a response shows of its request, as the API shows what was left out."""
    return {
        "model": model,
        "instructions": body.instructions,
        "previous_response_id": body.previous_response_id,
        "conversation": {"id": body.thread} if body.thread else None,
        "tools": [_shown_tool(each) for each in body.tools or ()],
        "tool_choice": body.tool_choice or "auto",
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "truncation": body.truncation or "disabled",
        "text": _shown_text(body.text),
        "reasoning": _shown_reasoning(body.reasoning),
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "presence_penalty": body.presence_penalty or 0.0,
        "frequency_penalty": body.frequency_penalty or 0.0,
        "top_logprobs": 0,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "store": body.is_stored,
        "background": bool(body.background),
        "service_tier": "default",
        "metadata": dict(body.metadata or {}),
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
        "user": body.user,
        SEALED: SEAL in (body.include or ()),
    }


def _shown_tool(tool: Mapping[str, Any]) -> Item:
    names = ("description", "parameters", "strict")
    return {"type": "function", "name": tool["name"]} | {name: tool.get(name) for name in names}


def _shown_text(text: TextWanted | None) -> Item:
    form = text.format if text else None
    shown: Item = {"type": form.type if form else "text"}
    if form is not None and form.type == "json_schema":
        shown |= {"name": form.name, "description": form.description}
        shown |= {"schema": form.schema, "strict": bool(form.strict)}
    more = {"verbosity": text.verbosity} if text and text.verbosity else {}
    return {"format": shown} | more


def _shown_reasoning(reasoning: Reasoning | None) -> Item:
    if reasoning is None:
        return {"effort": None, "summary": None}
    return {
        "effort": reasoning.effort,
        "summary": reasoning.summary or reasoning.generate_summary,
    }
