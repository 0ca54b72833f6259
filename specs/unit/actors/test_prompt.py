"""What is asked of a model fits its window: the system and the newest stay, pairs stay together."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.prompt import TOO_LONG, check_pairs, cuts, fit, in_turn, tokens_of
from runtime.problems import Invalid
from specs.requirements import requirement
from transports.egress.providers.asked import (
    Image,
    Input,
    PromptCall,
    PromptMessage,
    PromptReasoning,
    PromptResult,
    Text,
    said,
)
from transports.egress.providers.base import Model, Options

LONG = "x" * 300  # 108 tokens by the estimate


def window(tokens: int) -> Model:
    return Model(id="m", endpoint="e", context=tokens)


def call(call_id: str) -> PromptCall:
    return PromptCall(call_id=call_id, name="f", arguments="{}")


def result(call_id: str) -> PromptResult:
    return PromptResult(call_id=call_id, content=(Text(text="done"),))


def test_the_system_and_the_newest_are_kept_and_the_oldest_left_out() -> None:
    items = [said("system", "be brief"), *(said("user", f"{n} {LONG}") for n in range(5))]
    kept = fit(items, window(256 + 11 + 2 * 110), Options())
    assert kept == (items[0], *items[4:])


def test_where_nothing_may_be_left_out_too_much_is_refused() -> None:
    items = [said("user", LONG), said("user", LONG)]
    with pytest.raises(Invalid) as refused:
        fit(items, window(256 + 150), Options(), drops=False)
    assert refused.value.extensions["code"] == TOO_LONG
    assert fit(items, window(256 + 150), Options()) == (items[1],)


def test_the_newest_alone_too_large_is_refused() -> None:
    with pytest.raises(Invalid):
        fit([said("user", "hi"), said("user", LONG * 9)], window(512), Options())


def test_an_answer_of_a_tool_is_never_parted_from_its_call() -> None:
    items: list[Input] = [
        said("user", "go"),
        PromptReasoning(text="hm"),
        call("a"),
        call("b"),
        result("b"),
        result("a"),
        said("assistant", "so"),
    ]
    assert cuts(items) == [0, 1, 6]


def test_reasoning_that_led_to_nothing_does_not_hold_what_the_user_said_next() -> None:
    thought = PromptReasoning(text=LONG)
    items: list[Input] = [thought, thought, said("assistant", "so"), thought, said("user", "go")]
    assert cuts(items) == [0, 3, 4]
    assert fit(items, window(256 + 20), Options()) == (said("user", "go"),)


def test_a_picture_counts_though_it_has_no_words() -> None:
    picture = PromptMessage(role="user", content=(Image(url="data:image/png;base64,AAAA"),))
    assert tokens_of(picture) == 1608


@requirement("turns.fit")
@given(st.lists(st.sampled_from(["user", "call", "result", "thought", "system"]), max_size=30))
def test_what_is_kept_is_an_end_of_the_input_with_whole_pairs(kinds: list[str]) -> None:
    items: list[Input] = []
    waiting: list[str] = []
    for place, kind in enumerate(kinds):
        match kind:
            case "call":
                waiting.append(f"c{place}")
                items.append(call(waiting[-1]))
            case "result" if waiting:
                items.append(result(waiting.pop(0)))
            case "thought":
                items.append(PromptReasoning(text=LONG))
            case "system":
                items.append(said("system", "be kind"))
            case _:
                items.append(said("user", LONG))
    items += [result(each) for each in waiting]
    items.append(said("user", "and now?"))

    kept = fit(items, window(256 + 500 + 12 * len(items)), Options())

    check_pairs(kept)
    spoken = [each for each in kept if each != said("system", "be kind")]
    rest = [each for each in items if each != said("system", "be kind")]
    assert spoken == rest[len(rest) - len(spoken) :]
    assert kept.count(said("system", "be kind")) == items.count(said("system", "be kind"))


def test_a_tool_answer_without_its_call_and_a_call_without_its_answer_are_refused() -> None:
    check_pairs([call("a"), result("a")])
    with pytest.raises(Invalid, match="No tool call was found"):
        check_pairs([result("a"), call("a")])
    with pytest.raises(Invalid, match="No tool output was found for function call b"):
        check_pairs([call("a"), call("b"), result("a")])


def test_a_call_answered_twice_is_refused_and_an_id_used_again_is_not() -> None:
    check_pairs([call("a"), result("a"), call("a"), result("a")])
    with pytest.raises(Invalid, match="Function call a has more than one output"):
        check_pairs([call("a"), result("a"), result("a")])


def test_answers_stand_behind_their_calls_before_anybody_speaks_again() -> None:
    user, model = said("user", "by the way"), said("assistant", "so")
    assert in_turn([call("a"), user, result("a")]) == [call("a"), result("a"), user]
    assert in_turn([call("a"), call("b"), result("a"), model, user, result("b")]) == [
        call("a"),
        call("b"),
        result("a"),
        result("b"),
        model,
        user,
    ]
    as_they_are: list[list[Input]] = [
        [call("a"), model, result("a"), user],
        [call("a"), result("a"), call("a"), result("a"), user],
        [result("a"), call("a"), user],
        [call("a"), user],
    ]
    assert [in_turn(each) for each in as_they_are] == as_they_are


@requirement("providers.accepted")
@given(
    st.lists(st.sampled_from(("call", "answer", "user", "assistant")), max_size=12), st.randoms()
)
def test_in_turn_no_word_of_the_user_stands_between_a_call_and_its_answer(
    kinds: list[str], chance: Random
) -> None:
    items: list[Input] = []
    waiting: list[str] = []
    for number, kind in enumerate(kinds):
        if kind == "call":
            waiting.append(f"c{number}")
            items.append(call(waiting[-1]))
        elif kind != "answer":
            items.append(said("user" if kind == "user" else "assistant", f"w{number}"))
        elif waiting:
            items.append(result(waiting.pop(chance.randrange(len(waiting)))))
    items += map(result, waiting)
    told = in_turn(items)
    open_calls: set[str] = set()
    for item in told:
        if isinstance(item, PromptCall):
            open_calls.add(item.call_id)
        elif isinstance(item, PromptResult):
            open_calls.remove(item.call_id)
        elif isinstance(item, PromptMessage) and item.role == "user":
            assert open_calls == set()
    assert sorted(map(repr, told)) == sorted(map(repr, items))
