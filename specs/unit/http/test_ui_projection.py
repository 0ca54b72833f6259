"""The parts of a UI message stream are a function of the log, and add up to its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given

from actors import items_out
from runtime.log import Record
from specs.requirements import requirement
from specs.support.responses_oracle import ui_problems
from specs.unit.http.test_responses_projection import JOB, log_of, spoken
from transports.egress.providers.asked import Native
from transports.egress.providers.base import Delta, End, ItemDone, ItemStart, Part, Retracted
from transports.ingress.http.chat_completions.projection import TAKEN_BACK, finish_reason
from transports.ingress.http.responses.resource import told_of
from transports.ingress.http.ui_chat import asked
from transports.ingress.http.ui_chat.projection import Parts

NATIVE = Native(wire="google-generate", model="m", value={"thoughtSignature": "s1"})


def projected(records: Sequence[Record]) -> list[dict[str, Any]]:
    parts = Parts(JOB, "msg_1")
    return [part for record in records for part in parts.take(record)]


def folded(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up parts as the AI SDK does: the parts of the message."""
    message: list[dict[str, Any]] = []
    by_id: dict[str, dict[str, Any]] = {}
    for part in parts:
        kind, _, step = part["type"].rpartition("-")
        beside = {"providerMetadata": part.get("providerMetadata")}
        match kind, step:
            case (("text" | "reasoning"), "start"):
                by_id[part["id"]] = {"type": kind, "text": ""}
                message.append(by_id[part["id"]])
            case (("text" | "reasoning"), "delta"):
                by_id[part["id"]]["text"] += part["delta"]
            case (("text" | "reasoning"), "end"):
                by_id[part["id"]] |= beside
            case "tool-input", "start":
                name, call = part["toolName"], {"toolCallId": part["toolCallId"], "written": ""}
                by_id[part["toolCallId"]] = {"type": f"tool-{name}", **call}
                by_id[part["toolCallId"]]["state"] = "input-streaming"
                message.append(by_id[part["toolCallId"]])
            case "tool-input", "delta":
                by_id[part["toolCallId"]]["written"] += part["inputTextDelta"]
            case "tool-input", "available":
                called = {"state": "input-available", "input": part["input"]}
                called["callProviderMetadata"] = beside["providerMetadata"]
                by_id[part["toolCallId"]] |= called
            case _:
                pass
    return message


@requirement("ui.fold", "ui.honest")
@given(spoken())
def test_the_parts_add_up_to_the_items_or_end_in_an_error(parts: list[Part]) -> None:
    records, state = log_of(parts)
    made, told = projected(records), told_of(state)
    assert [problem for part in made for problem in ui_problems(part)] == []
    assert (
        projected(records[: len(records) // 2])
        == made[: len(projected(records[: len(records) // 2]))]
    )
    last = made[-1]
    if last == {"type": "error", "errorText": TAKEN_BACK}:
        assert any(isinstance(part, Retracted) for part in parts)
        return
    assert last["type"] == (
        "finish" if finish_reason(told) else "abort" if told.status == "aborted" else "error"
    )
    words = {"message": "text", "refusal": "text", "reasoning": "reasoning"}
    expected = [
        (words[item["type"]], item["text"])
        if item["type"] in words
        else (items_out.call_id(JOB, item), item.get("arguments") or "")
        for item in told.items
        if item["type"] in {*words, "tool_call"}
    ]
    added = [
        (each["type"], each["text"]) if "text" in each else (each["toolCallId"], each["written"])
        for each in folded(made)
    ]
    if any(isinstance(part, Retracted) for part in parts):
        added = [each for each in added if each[1]]
    assert added == expected


@requirement("ui.tools")
def test_state_and_calls_come_back_from_the_message_they_were_given_in() -> None:
    said: list[Part] = [
        ItemStart(index=0, type="reasoning"),
        Delta(index=0, text="hm"),
        ItemDone(index=0, native=NATIVE),
        ItemStart(index=1, type="message"),
        Delta(index=1, text="so"),
        ItemDone(index=1, native=NATIVE),
        ItemStart(index=2, type="tool_call", call_id="c1", name="f"),
        Delta(index=2, arguments='{"a":1}'),
        ItemDone(index=2, native=NATIVE),
        End(reason="tool_calls"),
    ]
    parts = folded(projected(log_of(said)[0]))
    parts[2] |= {"state": "output-available", "output": {"b": 2}}
    numbers = iter(range(9))
    message = {"role": "assistant", "parts": [{"type": "step-start"}, *parts]}
    items = asked.read_messages([message], lambda prefix: f"{prefix}_{next(numbers)}")
    native = {"wire": NATIVE.wire, "model": "m", "value": {"thoughtSignature": "s1"}}
    assert [item.get("native") for item in items] == [native, native, native, None]
    assert [item["type"] for item in items] == [
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
    ]
    assert orjson.loads(items[3]["output"]) == {"b": 2}
