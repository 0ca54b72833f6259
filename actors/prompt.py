"""From a conversation's messages to what a model is asked: newest kept, fitted to its window.

The window is the model's context less the room its answer needs. Without the model's tokenizer at
hand, tokens are estimated from above: three bytes of UTF-8 a token and a few for the frame of each
message, so that what fits here fits there.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtime.problems import Invalid
from transports.egress.providers.asked import PromptMessage
from transports.egress.providers.base import Model

BYTES_A_TOKEN = 3  # English is nearer to 4; code and other scripts are denser
FRAME_TOKENS = 8  # role and separators of one message in the usual chat templates
ANSWER_TOKENS = 256  # kept free for the answer where the caller asked for no other number


def estimated_tokens(text: str) -> int:
    """Return an estimate of the tokens in `text`, more rather than fewer."""
    return FRAME_TOKENS + -(-len(text.encode()) // BYTES_A_TOKEN)


def fit(
    newest_first: Iterable[PromptMessage], model: Model, options: object
) -> tuple[PromptMessage, ...]:
    """Return the messages that fit the model's window, oldest first; the newest is always there.

    Args:
        options: as read for the model; `max_output_tokens`, where it has it, is kept free.

    Raises:
        Invalid: the newest message alone is larger than the window.
    """
    answer_tokens = getattr(options, "max_output_tokens", None) or ANSWER_TOKENS
    room = None if model.context is None else model.context - answer_tokens
    kept: list[PromptMessage] = []
    for message in newest_first:
        if room is not None:
            room -= estimated_tokens(message.text)
            if room < 0 and not kept:
                raise Invalid.at("/input", f"The input is larger than the window of {model.id}.")
            if room < 0:
                break
        kept.append(message)
    kept.reverse()
    return tuple(kept)
