"""What every provider offers: a request in, an iterator of parts out, the same for all of them.

A part says what a job's log will say, before it has a sequence. A generator that stops without an
End has been cut short: nobody but the wire's own terminal mark can say `finished`. Closing the
generator (`aclose`) closes the connection behind it. A provider keeps no state of a job.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Protocol, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from runtime import limits
from runtime.events import EndState, Error, ItemType, UsageSource
from runtime.problems import Invalid
from transports.egress.providers.asked import (
    NOTHING_MORE,
    Input,
    Native,
    PromptMessage,
    Wanted,
)

Whole: TypeAlias = Annotated[int, Field(strict=True)]
Penalty: TypeAlias = Annotated[float, Field(strict=True, ge=-2, le=2, allow_inf_nan=False)]
Seed: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=limits.SEED_MAX)]
INCOMPLETE = ("length", "filter", "tool-limit")  # reasons of an End that is no whole answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStart:
    """The model begins an item. `index` is 0, 1, 2 in the order of the beginnings."""

    index: int
    type: ItemType
    role: str = "assistant"
    call_id: str | None = None  # of a tool call, or of a server tool's work
    name: str | None = None  # of the tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """More of an item that has started and is not done: exactly one field besides the index."""

    index: int
    text: str | None = None
    arguments: str | None = None
    data: bytes | None = None
    annotation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDone:
    """The item is whole.

    Args:
        native: the item in the wire's own form, where the next turn needs more than its words.
    """

    index: int
    native: Native | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """Everything said so far is taken back; the answer begins again with index 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something the caller should know of how it was asked or answered, and no item of it.

    Args:
        code: kebab-case, such as `foreign-state-dropped`.
        count: how many things it is about.
    """

    code: str
    detail: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens used so far; a later one takes the place of an earlier one. None: not said.

    Args:
        source: `provider` said it, `partial` for an answer that was broken off; `counted` by us.
        input: all of the prompt, what was cached or written to a cache included.
        cached: of the input, read from a cache.
        cache_write: of the input, written to a cache.
        output: all that was made, reasoning included.
        tool_use: input that the provider's own tools added, where it is told apart.
        iterations: the provider's own turns within this answer, each as it came.
        raw: as it came.
        cost: `{usd, prices}`; None where no price is known.
    """

    source: UsageSource
    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    tool_use: int | None = None
    iterations: tuple[Mapping[str, Any], ...] | None = None
    raw: Mapping[str, Any] | None = None
    cost: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The answer has ended, and the wire said so. The last part; items still open are done.

    Args:
        reason: our word: `stop length filter refusal tool_calls unknown`.
        provider_reason: the provider's word.
    """

    end_state: EndState = "finished"
    reason: str = "stop"
    provider_reason: str | None = None
    error: Error | None = None


Part: TypeAlias = ItemStart | Delta | ItemDone | Retracted | Noted | Usage | End


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What any model may be asked for; None leaves it to the model. A subclass may add more."""

    temperature: Annotated[float, Field(strict=True, ge=0, le=2, allow_inf_nan=False)] | None = None
    max_output_tokens: Annotated[Whole, Field(ge=1, le=limits.OUTPUT_TOKENS_MAX)] | None = None
    seed: Seed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that can be asked; what is not known is None.

    Args:
        id: what callers say, `endpoint/name`.
        context: tokens of prompt and answer together.
        output_limit: tokens of an answer.
        inputs: kinds of content it takes, such as `image`.
        efforts: levels of reasoning that can be asked for.
        ends_on: the day from which it is no longer served, `YYYY-MM-DD`.
        vendor: whose it is, for its prices.
        rates: the operator's own prices, which win: US dollars for a million tokens, as strings
            under `input`, `output` and `cached`.
        options: the dataclass that this model's options are read into.
    """

    id: str
    endpoint: str
    context: int | None = None
    output_limit: int | None = None
    abilities: tuple[str, ...] = ("text",)
    inputs: tuple[str, ...] | None = None
    efforts: tuple[str, ...] | None = None
    ends_on: str | None = None
    vendor: str | None = None
    rates: Mapping[str, str] | None = None
    options: type[Any] = Options

    @property
    def name(self) -> str:
        """The provider's own name of it."""
        return self.id.removeprefix(f"{self.endpoint}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions(Options):
    """What a model of another vendor may be asked for; what it does not know, it refuses itself."""

    top_p: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=8)] | None = (
        None
    )
    reasoning_effort: Annotated[str, Field(pattern="^[a-z]{1,16}$")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One answer that is wanted.

    Args:
        input: oldest first, already fitted to the model's window.
        options: an instance of `model.options`.
        at_ms: when it was asked, Unix milliseconds: prices change.
        traceparent: W3C trace context of the request that asked, "" for none.
    """

    job_id: str
    model: Model
    input: tuple[Input, ...]
    options: Any
    wanted: Wanted = NOTHING_MORE
    at_ms: int = 0
    traceparent: str = ""

    @property
    def messages(self) -> tuple[PromptMessage, ...]:
        """The messages of the input: all that a model without tools can read."""
        return tuple(each for each in self.input if isinstance(each, PromptMessage))


class Provider(Protocol):
    """A way to models. An endpoint has one."""

    endpoint: str
    models: tuple[Model, ...]
    concurrency: int  # answers it makes at once; more wait for their turn outside
    merges: bool  # whether a job may merge deltas that wait
    patience_s: float  # a call without a part for so long is ended; inf: it sees to that itself

    def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Return the parts as they come; `aclose()` closes the connection at once.

        Raises:
            UpstreamSaid: the provider answered with an error.
            UpstreamLost: the connection broke or fell silent.
        """
        ...

    async def aclose(self) -> None:
        """Let go of everything: connections, children."""
        ...


@cache
def _adapter(options: Any) -> TypeAdapter[Any]:
    return TypeAdapter(options)  # made on first use: building one takes about a millisecond


def read_options(model: Model, raw: Mapping[str, Any] | None) -> Any:
    """Return the options as an instance of `model.options`; absent ones have their defaults.

    Raises:
        Invalid: with a pointer below `/options` for each wrong or unknown one.
    """
    names = model.options.__dataclass_fields__
    raw = raw or {}
    errors: list[dict[str, str]] = []
    try:
        known = {name: value for name, value in raw.items() if name in names}
        options = _adapter(model.options).validate_python(known)  # type: ignore[arg-type]
    except ValidationError as error:
        errors = [
            {"pointer": pointer("options", *each["loc"]), "detail": each["msg"]}
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    errors += [
        {"pointer": pointer("options", name), "detail": f"{model.id} has no such option."}
        for name in raw
        if name not in names
    ]
    if errors:
        raise Invalid("An option is wrong.", errors=errors)
    return options


def pointer(*path: str | int) -> str:
    """Return the RFC 6901 pointer to a place in a JSON document."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
