"""Tools in a turn: calls, results, and what a model that is wrong about them is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.tools.tooling import Calling, Outcome
from runtime import limits
from runtime.problems import UpstreamLost, UpstreamSaid
from specs.requirements import requirement
from specs.support import talk
from specs.support.calling import Bench, bench, calls, results
from specs.support.faults import break_the_audit
from specs.support.shelf import WORDS, never, said
from transports.egress.providers.asked import Image, PromptCall, PromptMessage, PromptResult, Text
from transports.egress.providers.base import Delta, ItemStart, Usage

__all__ = ["bench"]


@requirement("tools.loop")
async def test_a_model_calls_a_tool_and_says_what_it_answered(bench: Bench) -> None:
    tool, client = bench.shelf.put("hear"), bench.client
    job = await talk.asked(
        client, await talk.begin(client), "Hello there", model="echo", tools=[tool.id]
    )
    events = await talk.follow(client, job)
    view = await talk.job(client, job)

    assert bench.shelf.calls == [(tool.id, {"words": "Hello there"})]
    assert [(item["type"], item["role"], item.get("text")) for item in view["items"]] == [
        ("tool_call", "assistant", None),
        ("tool_result", "tool", "heard: Hello there"),
        ("message", "assistant", "heard: Hello there"),
    ]
    assert [item["index"] for item in view["items"]] == [0, 1, 2]
    assert (view["status"], events[-1]["data"]["reason"]) == ("completed", "stop")
    called = next(event["data"]["calls"] for event in events if event["kind"] == "tools.called")
    assert [(call["item_id"], call["tool"], call["version"]) for call in called] == [
        (view["items"][0]["id"], tool.id, "1")
    ]
    assert view["items"][1]["answers"] == view["items"][0]["id"]


@requirement("tools.loop")
async def test_calls_of_a_round_run_together_and_the_model_hears_of_all(bench: Bench) -> None:
    both = trio.Event()

    async def one(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        del arguments, calling
        await both.wait()
        picture = Image(url="data:image/png;base64,AAAA")
        content = (Text(text="one"), picture)
        return Outcome(content=content, structured={"n": 1}, dialled="shelf.example:443")

    async def second(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        del arguments, calling
        both.set()
        await trio.lowlevel.checkpoint()
        return said("two")

    bench.shelf.put("one", one)
    bench.shelf.put("two", second)
    job, call = await bench.begin()
    assert [tool.name for tool in call.request.wanted.tools] == ["one", "two"]
    await call.say.send(Usage(source="provider", input=10, output=1))
    await calls(call, ("one", '{"words":"a"}'), ("two", '{"words":"b"}'))

    again = await bench.model.next_call()
    told = again.request.input
    await again.text("so")
    await again.say.send(Usage(source="provider", input=30, output=2))
    await again.end()
    await talk.follow(bench.client, job)
    view = await talk.job(bench.client, job)

    assert isinstance(told[0], PromptMessage)
    assert sorted(each.call_id for each in told if isinstance(each, PromptCall)) == ["c0", "c1"]
    answers = {each.call_id: each.content for each in told if isinstance(each, PromptResult)}
    assert answers == {
        "c0": (Text(text="one"), Image(url="data:image/png;base64,AAAA")),
        "c1": (Text(text="two"),),
    }
    first_result = next(
        item for item in view["items"] if item.get("call_id") == "c0" and "answers" in item
    )
    assert first_result["structured"] == {"n": 1}
    assert (view["usage"]["input"], view["usage"]["output"]) == (40, 3)


@requirement("tools.loop")
async def test_the_next_turn_of_the_talk_knows_the_calls(bench: Bench) -> None:
    bench.shelf.put("hear")
    conversation = await talk.begin(bench.client)
    job = await talk.asked(bench.client, conversation, "Hi", model="echo", tools="all")
    await talk.follow(bench.client, job)
    await talk.ask(bench.client, conversation, "And now?")
    call = await bench.model.next_call()

    assert [type(each) for each in call.request.input] == [
        PromptMessage,
        PromptCall,
        PromptResult,
        PromptMessage,
        PromptMessage,
    ]
    assert call.request.wanted.tools == ()


@requirement("tools.bad-calls")
@pytest.mark.parametrize(
    ("name", "arguments", "reason", "words"),
    [
        ("hear", '{"words": ', "bad-arguments", "The arguments are not JSON"),
        ("hear", "[1]", "bad-arguments", "The arguments are no JSON object."),
        ("hear", "{}", "bad-arguments", "the arguments: 'words' is a re"),
        ("hear", '{"words": 1}', "bad-arguments", "/words: 1 is not of type 'string'"),
        ("loops", "{}", "bad-arguments", "The tool's schema goes too deep"),
        ("doubles", "{}", "bad-arguments", "The tool's schema takes too long"),
        ("odd", '{"a": 1}', "bad-arguments", "The tool's schema is none"),
        ("missing", "{}", "no-such-tool", "There is no tool named 'missing'."),
    ],
)
async def test_a_bad_call_is_told_the_model_and_not_made(
    bench: Bench, name: str, arguments: str, reason: str, words: str
) -> None:
    doubles: dict[str, Any] = {"a0": {}}
    for n in range(1, 21):
        doubles[f"a{n}"] = {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2}
    bench.shelf.put("hear")
    bench.shelf.put("loops", schema={"type": "object", "$ref": "#"})
    bench.shelf.put("doubles", schema={"$ref": "#/$defs/a20", "$defs": doubles})
    bench.shelf.put("odd", schema={"properties": {"a": {"type": "nonsense"}}})
    job, call = await bench.begin()
    await calls(call, (name, arguments))
    view = await bench.answered(job)

    [(called, failed, told)] = results(view)
    assert (called, failed, told[: len(words)]) == (name, True, words)
    assert bench.shelf.calls == []
    assert [(outcome, why) for _, outcome, why in bench.evidence()] == [("refused", reason)]
    assert view["status"] == "completed"


@requirement("tools.failures")
@pytest.mark.parametrize(
    ("failure", "outcome", "words"),
    [
        (UpstreamSaid("No such file."), ("failed", "upstream-said"), "No such file."),
        (UpstreamLost("It hung up."), ("unknown", "lost"), "It hung up. It is not known whether"),
        (ZeroDivisionError(), ("unknown", "crashed"), "The tool broke. It is not known whether"),
    ],
)
async def test_a_tool_that_fails_is_a_result_and_the_service_goes_on(
    bench: Bench, failure: Exception, outcome: tuple[str, str], words: str
) -> None:
    async def fail(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        del arguments, calling
        await trio.lowlevel.checkpoint()
        raise failure

    bench.shelf.put("fail", fail)
    bench.shelf.put("hear")
    job, call = await bench.begin()
    await calls(call, ("fail", '{"words":"a"}'), ("hear", '{"words":"b"}'))
    view = await bench.answered(job)

    told = {name: (failed, text) for name, failed, text in results(view)}
    assert told["hear"] == (False, "heard: b")
    assert (told["fail"][0], told["fail"][1][: len(words)]) == (True, words)
    assert ("shelf/desk/fail", *outcome) in bench.evidence()


@requirement("tools.failures")
async def test_a_tool_that_says_it_failed_is_told_so(bench: Bench) -> None:
    async def refuse(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        del arguments, calling
        await trio.lowlevel.checkpoint()
        return said("out of paper", is_error=True)

    bench.shelf.put("print", refuse)
    job, call = await bench.begin()
    await calls(call, ("print", '{"words":"a"}'))

    assert results(await bench.answered(job)) == [("print", True, "out of paper")]
    assert bench.evidence() == [("shelf/desk/print", "failed", None)]


@requirement("tools.timeout")
async def test_a_tool_that_never_answers_is_given_up_in_its_time(
    autojump_clock: MockClock, bench: Bench
) -> None:
    bench.shelf.put("wait", never, timeout_s=7)
    job, call = await bench.begin()
    began = trio.current_time()
    await calls(call, ("wait", '{"words":"a"}'))
    again = await bench.model.next_call()
    took_s = trio.current_time() - began
    await again.end()
    await talk.follow(bench.client, job)

    assert 7 <= took_s < 8
    words = "The tool did not answer within 7 s. It is not known whether it did what was asked."
    assert results(await talk.job(bench.client, job)) == [("wait", True, words)]
    assert bench.evidence() == [("shelf/desk/wait", "unknown", "timeout")]


@requirement("tools.cut")
async def test_a_result_of_100_mb_is_cut_and_says_so(bench: Bench) -> None:
    size = 100_000_000

    async def flood(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        del arguments, calling
        await trio.lowlevel.checkpoint()
        return said("é" * (size // 2))

    bench.shelf.put("flood", flood)
    job, call = await bench.begin()
    await calls(call, ("flood", '{"words":"a"}'))
    [(_, failed, text)] = results(await bench.answered(job))

    mark = f"\n[cut here: these are the first {limits.TOOL_RESULT_BYTES} of {size} bytes]"
    assert (failed, text[-len(mark) :], len(text)) == (
        False,
        mark,
        limits.TOOL_RESULT_BYTES // 2 + len(mark),
    )


@requirement("tools.rounds")
async def test_a_model_that_never_stops_calling_is_stopped_and_the_end_says_so(
    bench: Bench,
) -> None:
    bench.shelf.put("hear")
    job, call = await bench.begin()
    for _ in range(limits.TOOL_ROUNDS_MAX):
        await calls(call, ("hear", '{"words":"again"}'))
        call = await bench.model.next_call()
    await calls(call, ("hear", '{"words":"again"}'))
    events = await talk.follow(bench.client, job)

    end = events[-1]["data"]
    assert (end["status"], end["reason"], end["end_state"]) == (
        "incomplete",
        "tool-limit",
        "finished",
    )
    assert len(bench.shelf.calls) == limits.TOOL_ROUNDS_MAX


@requirement("tools.bounded")
async def test_the_calls_of_a_round_are_bounded(bench: Bench) -> None:
    now, most, gate = 0, 0, trio.Event()

    async def count(arguments: Mapping[str, Any], calling: Calling) -> Outcome:
        nonlocal now, most
        del arguments, calling
        now, most = now + 1, max(most, now + 1)
        if now == limits.TOOL_CALLS_MAX:
            gate.set()
        await gate.wait()
        await trio.lowlevel.checkpoint()
        now -= 1
        return said("counted")

    bench.shelf.put("count", count)
    job, call = await bench.begin()
    wanted = limits.TOOL_ROUND_CALLS_MAX + 2
    await calls(call, *[("count", '{"words":"a"}')] * wanted)
    told = results(await bench.answered(job))

    assert most == limits.TOOL_CALLS_MAX
    assert [failed for _, failed, _ in told].count(False) == limits.TOOL_ROUND_CALLS_MAX
    assert [text for _, failed, text in told if failed] == [
        "These are too many calls at once; it was not made."
    ] * 2


@requirement("tools.cancelled")
@pytest.mark.parametrize("how", ["abort", "replace"])
async def test_an_abort_cancels_the_calls_that_run(bench: Bench, how: str) -> None:
    bench.shelf.put("wait", never, timeout_s=3600)
    conversation = await talk.begin(bench.client)
    job = await talk.asked(bench.client, conversation, tools="all")
    call = await bench.model.next_call()
    await calls(call, ("wait", '{"words":"a"}'))
    await bench.shelf.called.wait()
    if how == "abort":
        await bench.client.post(f"/api/jobs/{job}/abort")
    else:
        await talk.asked(bench.client, conversation, on_active="replace")

    assert bench.shelf.cancelled == ["shelf/desk/wait"]
    events = await talk.follow(bench.client, job)
    ended = {"abort": "aborted", "replace": "superseded"}[how]
    assert (events[-1]["data"]["status"], results(await talk.job(bench.client, job))) == (ended, [])
    while bench.evidence()[0][1] == "intended":
        await trio.lowlevel.checkpoint()
    assert bench.evidence() == [("shelf/desk/wait", "unknown", "cancelled")]


@requirement("tools.evidence")
async def test_what_cannot_be_recorded_is_not_called(bench: Bench) -> None:
    bench.shelf.put("hear")
    job, call = await bench.begin()
    await break_the_audit(bench.running)
    await calls(call, ("hear", '{"words":"a"}'))
    view = await bench.answered(job)

    words = "The call could not be recorded, and so it was not made. Try again later."
    assert results(view) == [("hear", True, words)]
    assert bench.shelf.calls == []


@requirement("tools.chosen")
async def test_a_job_that_names_no_tools_has_none_and_what_is_missing_is_noted(
    bench: Bench,
) -> None:
    tool = bench.shelf.put("hear")
    bench.shelf.put("speak")
    conversation = await talk.begin(bench.client)
    job = await talk.asked(bench.client, conversation)
    without = await bench.model.next_call()
    await without.end()
    await talk.follow(bench.client, job)
    job = await talk.asked(bench.client, conversation, tools=[tool.id, "shelf/desk/gone"])
    chosen = await bench.model.next_call()
    await chosen.end()
    events = await talk.follow(bench.client, job)

    assert without.request.wanted.tools == ()
    assert [each.name for each in chosen.request.wanted.tools] == ["hear"]
    assert chosen.request.wanted.tools[0].parameters == WORDS
    noted = [event["data"] for event in events if event["kind"] == "job.noted"]
    assert noted == [
        {"code": "tools-missing", "detail": "Not to be had now: shelf/desk/gone", "count": 1}
    ]


@requirement("tools.kept")
async def test_a_crash_of_the_jobs_actor_repeats_no_call(
    autojump_clock: MockClock, bench: Bench
) -> None:
    bench.shelf.put("hear")
    job, call = await bench.begin()
    await calls(call, ("hear", '{"words":"once"}'))
    again = await bench.model.next_call()
    await again.say.send(ItemStart(index=0, type="message"))
    await again.say.send(Delta(index=0, text="lost"))
    await bench.until(job, "item.done")
    actor = bench.running.services.tree.spine.jobs.alive(job)
    assert actor is not None
    actor.tell(object())  # no job knows it: its actor crashes
    view = await bench.answered(job, "found")

    assert bench.shelf.calls == [("shelf/desk/hear", {"words": "once"})]
    assert [(item["type"], item.get("text")) for item in view["items"]] == [
        ("tool_call", None),
        ("tool_result", "heard: once"),
        ("message", "found"),
    ]
