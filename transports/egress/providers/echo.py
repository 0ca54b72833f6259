"""A model that says back what it was told, a word at a time. It needs no network and no key.

The deltas are a word and the whitespace after it (whitespace in front comes first, alone), so that
joined they are the input exactly, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator

import trio

from runtime import limits
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Model,
    Part,
    Request,
)

WORD = re.compile(r"\s+|\S+\s*")  # every character is in exactly one match


class Echo:
    """The provider `echo` with its one model `echo`."""

    endpoint = "echo"
    models: tuple[Model, ...] = (Model(id="echo", endpoint="echo"),)
    concurrency = limits.UNMETERED_JOBS_MAX
    merges = True

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield the last message of the user, word by word."""
        yield ItemStart(index=0, type="message")
        for count, word in enumerate(words(last_question(request))):
            if count % limits.MADE_PARTS_BURST == 0:
                await trio.lowlevel.checkpoint()
            yield Delta(index=0, text=word)
        yield ItemDone(index=0)
        yield End()

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def words(text: str) -> Iterator[str]:
    """Return the text in pieces, a word and the whitespace after it; joined they are the text."""
    return (match.group() for match in WORD.finditer(text))


def last_question(request: Request) -> str:
    """Return what the user said last; nothing where the user has not spoken."""
    said = (each.text for each in reversed(request.messages) if each.role == "user")
    return next(said, "")
