"""The body of a chat completion that is wanted: what it may hold, and what of it a model is asked.

It is read as a request for a response, whose checks hold here too; a refusal names the parameter as
it is called here. Nothing is taken and then ignored, but what has no effect by its own definition
(`user`, `metadata`, `prompt_cache_key` and the like). Source: OpenAI's API reference, "Chat".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from actors.turns import Asked
from runtime.problems import Invalid
from transports.ingress.http.dto import STRICT
from transports.ingress.http.responses import asked
from transports.ingress.http.responses.asked import (
    CreateResponse,
    Effort,
    Metadata,
    Reasoning,
    StreamOptions,
    TextFormat,
    TextWanted,
)

Object = Mapping[str, Any]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
STOPS_MAX: Final = 4  # OpenAI's own bound
NOT_OFFERED: Final = (
    "audio",
    "function_call",
    "functions",
    "logit_bias",
    "prediction",
    "web_search_options",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatStreamOptions(StreamOptions):
    """How the stream is sent, and whether its last chunk tells the usage."""

    __pydantic_config__ = STRICT
    include_usage: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaWanted:
    """A JSON schema with its name."""

    __pydantic_config__ = STRICT
    name: str
    description: str | None = None
    schema: Object | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat:
    """The form of the answer."""

    __pydantic_config__ = STRICT
    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaWanted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCompletion:
    """What to answer, and how."""

    __pydantic_config__ = STRICT
    messages: Annotated[tuple[Object, ...], Field(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: ChatStreamOptions | None = None
    store: bool | None = None
    n: Literal[1] | None = None
    tools: tuple[Object, ...] | None = None
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    response_format: AnswerFormat | None = None
    reasoning_effort: Effort | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    modalities: tuple[Literal["text"], ...] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    service_tier: Literal["auto", "default"] | None = None
    metadata: Metadata | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    audio: Any = None
    function_call: Any = None
    functions: Any = None
    logit_bias: Any = None
    prediction: Any = None
    web_search_options: Any = None

    @property
    def tells_usage(self) -> bool:
        """Whether the last chunk of the stream tells the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


def check(body: CreateCompletion) -> None:
    """Check what no single field tells.

    Raises:
        Invalid: with the place of what is wrong.
    """
    for name in NOT_OFFERED:
        if getattr(body, name):
            refuse(f"/{name}", "This is not offered here.")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise Invalid.at("/max_tokens", "It is this or `max_completion_tokens`, not both.")
    if body.stream_options is not None and not body.stream:
        raise Invalid.at("/stream_options", "This needs `stream`.")


def refuse(where: str, detail: str) -> None:
    """Refuse what is well known and not offered.

    Raises:
        Invalid: always.
    """
    errors = [{"pointer": where, "detail": detail}]
    raise Invalid(detail, errors=errors, code="unsupported_parameter")


def wish_of(body: CreateCompletion) -> tuple[Asked, dict[str, Any]]:
    """Return how the answer is to be made, and the options that its model must have.

    Raises:
        Invalid: a tool, a choice, a form or an option that is not offered.
    """
    with called_as_here(body):
        alike = _as_response(body)
        return asked.asked_of(alike), _options_of(body, alike)


def _options_of(body: CreateCompletion, alike: CreateResponse) -> dict[str, Any]:
    given = asked.options_of(alike)
    if body.seed is not None:
        given["seed"] = body.seed
    if stop := (body.stop,) if isinstance(body.stop, str) else body.stop:
        if len(stop) > STOPS_MAX:
            raise Invalid.at("/stop", f"At most {STOPS_MAX} sequences may be given.")
        given["stop"] = stop
    return given


def _as_response(body: CreateCompletion) -> CreateResponse:
    """Return the same wish as one for a response, but for its input."""
    form, effort = body.response_format, body.reasoning_effort
    return CreateResponse(
        tools=None if body.tools is None else tuple(map(_tool, range(len(body.tools)), body.tools)),
        tool_choice=_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        reasoning=Reasoning(effort=effort) if effort else None,
        text=TextWanted(format=_form(form) if form else None, verbosity=body.verbosity),
        truncation="disabled",
    )


def _tool(place: int, tool: Object) -> Object:
    """Return a tool as a response takes it: flat."""
    function = tool.get("function")
    if tool.get("type") != "function":
        return tool
    if not isinstance(function, Mapping):
        raise Invalid.at(f"/tools/{place}/function", "This field is needed.")
    return {**function, "type": "function"}


def _choice(choice: str | Object | None) -> Any:
    match choice:
        case {"type": "function", "function": {"name": name}}:
            return {"type": "function", "name": name}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [*named]}}:
            tools = [each.get("function") for each in named if isinstance(each, Mapping)]
            return {"type": "allowed_tools", "mode": mode, "tools": tools}
        case _:
            return choice


def _form(form: AnswerFormat) -> TextFormat:
    named = form.json_schema
    if named is None:
        return TextFormat(type=form.type)
    return TextFormat(
        type=form.type,
        name=named.name,
        description=named.description,
        schema=named.schema,
        strict=named.strict,
    )


@contextmanager
def called_as_here(body: CreateCompletion) -> Iterator[None]:
    """Let a refusal that names a parameter of a response name the one it came from."""
    try:
        yield
    except Invalid as problem:
        most = "max_tokens" if body.max_tokens else "max_completion_tokens"
        names = {
            "/options/max_output_tokens": f"/{most}",
            "/options": "",
            "/text/format": "/response_format/json_schema",
            "/input": "/messages",
        }
        told = dict(problem.extensions)
        errors = [
            {**each, "pointer": _renamed(each["pointer"], names)} for each in told.pop("errors", ())
        ]
        raise Invalid(problem.detail, errors=errors, **told) from None


def _renamed(pointer: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if pointer.startswith(old):
            return new + pointer.removeprefix(old)
    if pointer.startswith("/tools/") and not pointer.endswith(("/type", "/function")):
        place, _, rest = pointer.removeprefix("/tools/").partition("/")
        return f"/tools/{place}/function/{rest}"
    return pointer
