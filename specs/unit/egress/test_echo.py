"""The echo's deltas are the input, whatever it holds."""

from __future__ import annotations

import re

import trio
from hypothesis import example, given
from hypothesis import strategies as st

from transports.egress.providers.asked import PromptMessage, said
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Options,
    Request,
)
from transports.egress.providers.echo import Echo, words


def asking(*messages: PromptMessage) -> Request:
    return Request(job_id="job_1", model=Echo.models[0], input=messages, options=Options())


@given(st.text())
@example("")
@example("   ")
@example(" \u2003leading and trailing\u00a0\r\n")
@example("\x00\x1c\x85\u2028\ufeff")
def test_the_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


@given(st.text(min_size=1))
def test_a_piece_is_a_word_and_the_whitespace_after_it(text: str) -> None:
    first, *rest = words(text)
    assert [piece for piece in rest if not re.fullmatch(r"\S+\s*", piece)] == []
    assert re.fullmatch(r"\S+\s*|\s+", first) is not None


def test_words_are_as_a_reader_sees_them() -> None:
    assert list(words("  one two\n\nthree")) == ["  ", "one ", "two\n\n", "three"]


async def test_it_answers_the_last_message_of_the_user_and_says_that_it_has_finished() -> None:
    request = asking(
        said("user", "first"),
        said("assistant", "first"),
        said("user", "say it"),
    )
    assert [part async for part in Echo().answer(request)] == [
        ItemStart(index=0, type="message", role="assistant"),
        Delta(index=0, text="say "),
        Delta(index=0, text="it"),
        ItemDone(index=0),
        End(end_state="finished", reason="stop"),
    ]


async def test_a_long_echo_lets_others_run() -> None:
    request = asking(said("user", "word " * 10_000))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        parts = [part async for part in Echo().answer(request)]
        nursery.cancel_scope.cancel()
    assert len(parts) == 10_003
    assert turns > 100
