"""What a model is asked, fitted to its window: instructions kept, the newest kept. Pure.

The window is the model's context less the room its answer needs. What does not fit is left out from
the old end, at a place where no tool's answer is parted from its call and no thought from what it
led to; what the system says always stays. Without the model's tokenizer at hand, tokens are
estimated from above: three bytes of UTF-8 a token and a few for the frame of each item, so that
what fits here fits there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, assert_never

from runtime.problems import Invalid
from transports.egress.providers.asked import (
    Content,
    File,
    Image,
    Input,
    PromptCall,
    PromptMessage,
    PromptOpaque,
    PromptReasoning,
    PromptResult,
    Text,
)
from transports.egress.providers.base import Model

BYTES_A_TOKEN = 3  # English is nearer to 4; code and other scripts are denser
FRAME_TOKENS = 8  # role and separators of one item in the usual chat templates
ANSWER_TOKENS = 256  # kept free for the answer where the caller asked for no other number
IMAGE_TOKENS = 1600  # the most that the large vendors count for one picture
FILE_BYTES_A_TOKEN = 8  # of base64: a document is mostly layout
TOO_LONG: Final = "context_length_exceeded"


def estimated_tokens(text: str) -> int:
    """Return an estimate of the tokens in `text`, more rather than fewer."""
    return FRAME_TOKENS + _tokens(text)


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // BYTES_A_TOKEN)


def tokens_of(item: Input) -> int:
    """Return an estimate of the tokens of an item, more rather than fewer."""
    match item:
        case PromptMessage() | PromptResult():
            return FRAME_TOKENS + sum(map(_content_tokens, item.content))
        case PromptReasoning():
            return estimated_tokens(item.text)
        case PromptCall():
            return estimated_tokens(item.name + item.arguments)
        case PromptOpaque():
            return estimated_tokens(str(item.native.value))
        case _:
            assert_never(item)


def _content_tokens(content: Content) -> int:
    match content:
        case Text():
            return _tokens(content.text)
        case Image():
            return IMAGE_TOKENS
        case File():
            return len(content.url) // FILE_BYTES_A_TOKEN
        case _:
            assert_never(content)


def fit(
    items: Sequence[Input], model: Model, options: object, *, drops: bool = True
) -> tuple[Input, ...]:
    """Return the items that fit the model's window, in order; the newest is always there.

    Args:
        items: oldest first.
        options: as read for the model; `max_output_tokens`, where it has it, is kept free.
        drops: whether old items may be left out; else all must fit.

    Raises:
        Invalid: what must stay is larger than the window.
    """
    if model.context is None:
        return tuple(items)
    answer_tokens = getattr(options, "max_output_tokens", None) or ANSWER_TOKENS
    room = model.context - answer_tokens
    sizes = list(map(tokens_of, items))
    room -= sum(sizes)
    left_out = [0, *accumulate(0 if is_pinned(i) else n for i, n in zip(items, sizes, strict=True))]
    for start in cuts(items) if drops else (0,):
        if left_out[start] + room >= 0:
            return tuple(
                item for place, item in enumerate(items) if place >= start or is_pinned(item)
            )
    detail = f"The input is larger than the window of {model.id}."
    raise Invalid(detail, errors=[{"pointer": "/input", "detail": detail}], code=TOO_LONG)


def is_pinned(item: Input) -> bool:
    """Whether an item is never left out."""
    return isinstance(item, PromptMessage) and item.role == "system"


def cuts(items: Sequence[Input]) -> list[int]:
    """Return where the input may begin, oldest first: nothing is parted from what it belongs to."""
    last_result = {
        item.call_id: place for place, item in enumerate(items) if isinstance(item, PromptResult)
    }
    places: list[int] = []
    open_until = -1  # the place of the latest answer to a call seen so far
    for place, item in enumerate(items):
        torn = isinstance(item, PromptResult) or _is_thought_about(items, place)
        if place > open_until and not torn:
            places.append(place)
        if isinstance(item, PromptCall):
            open_until = max(open_until, last_result.get(item.call_id, -1))
    return places or [0]


def _is_thought_about(items: Sequence[Input], place: int) -> bool:
    """Whether the reasoning before an item is the model's own way to it."""
    item = items[place]
    by_model = not isinstance(item, PromptMessage) or item.role == "assistant"
    return by_model and place > 0 and isinstance(items[place - 1], PromptReasoning)


def check_pairs(items: Sequence[Input]) -> None:
    """Check that each tool's answer follows its call, and each call has its answer.

    Raises:
        Invalid: a provider would refuse it.
    """
    calls: set[str] = set()
    answered: set[str] = set()
    for item in items:
        if isinstance(item, PromptCall):
            calls.add(item.call_id)
        elif isinstance(item, PromptResult):
            if item.call_id not in calls:
                detail = f"No tool call was found for the function call output {item.call_id}."
                raise Invalid.at("/input", detail)
            answered.add(item.call_id)
    if missing := sorted(calls - answered):
        raise Invalid.at("/input", f"No tool output was found for function call {missing[0]}.")
