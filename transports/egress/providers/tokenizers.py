"""The vendor's own tokenizer, where it is at hand: tiktoken's, for the models of OpenAI.

It is at hand where `tiktoken` is installed (the extra `tokens`) and its folder of vocabularies
(`TIKTOKEN_CACHE_DIR`) holds that of the model. What is not there tiktoken would fetch by a client
of its own: that door is shut. A text is counted piece by piece, since its expressions run out of
stack on a long one; a piece's border costs a token at most. Source: tiktoken 0.14 `load.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

import structlog
import trio

from runtime import limits
from transports.egress.providers.base import Model

Count: TypeAlias = Callable[[str], int]
VENDOR: Final = "openai"
log = structlog.get_logger(__name__)


class NotAtHand(OSError):
    """The vocabulary would have to be fetched."""


async def at_hand(model: Model) -> Count | None:
    """Return what counts the tokens of a text as the model does; None where nothing here does.

    What it returns takes a second for some megabytes: it is for a thread.
    """
    if model.vendor != VENDOR:
        return None
    return await trio.to_thread.run_sync(counter, model.name)


@lru_cache(maxsize=limits.TOKENIZERS_KEPT_MAX)
def counter(name: str) -> Count | None:
    """Return what counts as the model of a name does; for a thread."""
    try:
        import tiktoken  # noqa: PLC0415  not everybody has it, and it takes a while
        from tiktoken import load  # noqa: PLC0415
    except ImportError:
        return None
    load.read_file = _shut
    try:
        encoding = tiktoken.encoding_for_model(name)
    except (KeyError, ValueError, OSError) as error:
        log.info("tokenizer_not_at_hand", model=name, why=type(error).__name__)
        return None

    def count(text: str) -> int:
        size = limits.TOKENIZED_CHARS
        pieces = (text[start : start + size] for start in range(0, len(text), size))
        return sum(len(encoding.encode_ordinary(piece)) for piece in pieces)

    return count


def _shut(blobpath: str) -> bytes:
    raise NotAtHand(blobpath)
