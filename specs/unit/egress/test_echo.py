"""The echo's deltas are the input, whatever it holds."""

from __future__ import annotations

import re
from typing import Any

import trio
from hypothesis import example, given
from hypothesis import strategies as st

from specs.requirements import requirement
from transports.egress.providers.asked import (
    Image,
    Input,
    PromptCall,
    PromptMessage,
    PromptResult,
    Text,
    Tool,
    Wanted,
    said,
)
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Options,
    Part,
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


LOOK = Tool(
    name="look",
    parameters={
        "properties": {"at": {"type": "string"}, "n": {"type": "number"}},
        "required": ["at"],
    },
)
COUNT = Tool(name="count", parameters={"properties": {"n": {"type": "number"}}, "required": ["n"]})


async def answered(*items: Input, tools: tuple[Tool, ...], choice: Any = None) -> list[Part]:
    wanted = Wanted(tools=tools, tool_choice=choice)
    request = Request(
        job_id="job_1", model=Echo.models[0], input=items, options=Options(), wanted=wanted
    )
    return [part async for part in Echo().answer(request)]


@requirement("echo.tools")
async def test_it_calls_the_first_tool_whose_arguments_are_plain_strings() -> None:
    assert await answered(said("user", "at it"), tools=(COUNT, LOOK)) == [
        ItemStart(index=0, type="tool_call", call_id="call_1", name="look"),
        Delta(index=0, arguments='{"at":"at it"}'),
        ItemDone(index=0),
        End(reason="tool_calls"),
    ]


@requirement("echo.tools")
async def test_it_calls_the_tool_that_is_named_and_none_where_none_is_wanted() -> None:
    both = (LOOK, Tool(name="other"))
    named = await answered(said("user", "x"), tools=both, choice={"name": "other"})
    none = await answered(said("user", "x"), tools=both, choice="none")
    unable = await answered(said("user", "x"), tools=(COUNT,))
    assert named[:2] == [
        ItemStart(index=0, type="tool_call", call_id="call_1", name="other"),
        Delta(index=0, arguments="{}"),
    ]
    assert [part for part in (*none, *unable) if isinstance(part, Delta)] == [
        Delta(index=0, text="x")
    ] * 2


@requirement("echo.tools")
async def test_it_says_back_what_a_tool_answered_and_the_words_beside_a_picture() -> None:
    result = PromptResult(call_id="call_1", content=(Text(text="a lamp"),))
    call = PromptCall(call_id="call_1", name="look", arguments="{}")
    told = await answered(said("user", "x"), call, result, tools=(LOOK,))
    seen = PromptMessage(role="user", content=(Text(text="see"), Image(url="data:,")))
    beside = await answered(seen, tools=())
    assert [part.text for part in told if isinstance(part, Delta)] == ["a ", "lamp"]
    assert [part.text for part in beside if isinstance(part, Delta)] == ["see"]
