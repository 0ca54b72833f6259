"""What a model is asked, fitted to its window: instructions kept, the newest kept. Pure.

The window is the model's context less the room its answer needs. What does not fit is left out from
the old end, at a place where no tool's answer is parted from its call and no thought from what it
led to; what the system says always stays. Without the model's tokenizer, which is handed in where
it is here, tokens are estimated from above: three bytes of UTF-8 a token. The frame of each item
counts a few in either case, so that what fits here fits there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final, TypeAlias, assert_never

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
Count: TypeAlias = Callable[[str], int]
TOO_LONG: Final = "context_length_exceeded"


def estimate(text: str) -> int:
    """Return an estimate of the tokens in `text`, more rather than fewer."""
    return -(-len(text.encode()) // BYTES_A_TOKEN)


def framed_tokens(text: str, count: Count = estimate) -> int:
    """Return the tokens of `text` as one item, more rather than fewer."""
    return FRAME_TOKENS + count(text)


def tokens_of(item: Input, count: Count = estimate) -> int:
    """Return the tokens of an item, more rather than fewer."""
    match item:
        case PromptMessage() | PromptResult():
            return FRAME_TOKENS + sum(_content_tokens(each, count) for each in item.content)
        case PromptReasoning():
            return framed_tokens(item.text, count)
        case PromptCall():
            return framed_tokens(item.name + item.arguments, count)
        case PromptOpaque():
            return framed_tokens(str(item.native.value), count)
        case _:
            assert_never(item)


def tokens_in(items: Iterable[Input], more: Iterable[str] = (), count: Count = estimate) -> int:
    """Return the tokens of items and of further texts, such as tools, more rather than fewer."""
    texts = sum(framed_tokens(text, count) for text in more)
    return texts + sum(tokens_of(item, count) for item in items)


def _content_tokens(content: Content, count: Count) -> int:
    match content:
        case Text():
            return count(content.text)
        case Image():
            return IMAGE_TOKENS
        case File():
            return len(content.url) // FILE_BYTES_A_TOKEN
        case _:
            assert_never(content)


def fit(
    items: Sequence[Input],
    model: Model,
    options: object,
    *,
    drops: bool = True,
    count: Count = estimate,
) -> tuple[Input, ...]:
    """Return the items that fit the model's window, in order; the newest is always there.

    Args:
        items: oldest first.
        options: as read for the model; `max_output_tokens`, where it has it, is kept free.
        drops: whether old items may be left out; else all must fit.
        count: says how many tokens a text has.

    Raises:
        Invalid: what must stay is larger than the window.
    """
    if model.context is None:
        return tuple(items)
    answer_tokens = getattr(options, "max_output_tokens", None) or ANSWER_TOKENS
    room = model.context - answer_tokens
    sizes = [tokens_of(item, count) for item in items]
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


def in_turn(items: Sequence[Input]) -> list[Input]:
    """Return the items with each tool's answer moved up to before anybody speaks behind its call.

    OpenAI's Responses takes an answer anywhere behind its call; every other wire wants those of
    one round together, and nobody's words between.
    """
    answers: dict[str, deque[int]] = {}  # where those still to come stand, by call
    for place, item in enumerate(items):
        if isinstance(item, PromptResult):
            answers.setdefault(item.call_id, deque()).append(place)
    told: list[Input] = []
    waiting: dict[str, None] = {}
    moved: set[int] = set()
    for place, item in enumerate(items):
        if place in moved:
            continue
        if isinstance(item, PromptResult):
            answers[item.call_id].popleft()
            waiting.pop(item.call_id, None)
        elif waiting and (_is_told(item) or isinstance(told[-1], PromptResult)):
            early = [answers[each].popleft() for each in waiting if answers.get(each)]
            moved.update(early)
            told += (items[each] for each in early)
            waiting = {}
        if isinstance(item, PromptCall):
            waiting[item.call_id] = None
        told.append(item)
    return told


def _is_told(item: Input) -> bool:
    return isinstance(item, PromptMessage) and item.role != "assistant"


def check_pairs(items: Sequence[Input]) -> None:
    """Check that each tool's answer follows its call, and each call has its one answer.

    Raises:
        Invalid: a provider would refuse it.
    """
    called: set[str] = set()
    waiting: Counter[str] = Counter()
    for item in items:
        if isinstance(item, PromptCall):
            called.add(item.call_id)
            waiting[item.call_id] += 1
        elif isinstance(item, PromptResult):
            if item.call_id not in called:
                detail = f"No tool call was found for the function call output {item.call_id}."
                raise Invalid.at("/input", detail)
            if not waiting[item.call_id]:
                raise Invalid.at(
                    "/input", f"Function call {item.call_id} has more than one output."
                )
            waiting[item.call_id] -= 1
    if missing := sorted(waiting.elements()):
        raise Invalid.at("/input", f"No tool output was found for function call {missing[0]}.")
