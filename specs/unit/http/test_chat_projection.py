"""The chunks of a completion are a function of its log, and add up to the answer given whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from runtime.log import Record
from specs.requirements import requirement
from specs.support import completions as api
from specs.support.responses_oracle import mistakes
from specs.unit.http.test_responses_projection import JOB, log_of, spoken
from transports.egress.providers.asked import Native
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Part,
    Retracted,
    Usage,
)
from transports.ingress.http.chat_completions import messages
from transports.ingress.http.chat_completions.projection import (
    TAKEN_BACK,
    Chunks,
    Shown,
    completion,
    finish_reason,
)
from transports.ingress.http.responses.resource import told_of

SHOWN = Shown(job_id=JOB, created_at_ms=1_700_000_000_000, model="m")
NATIVE = Native(wire="anthropic-messages", model="m", value={"signature": "s1"})


def projected(records: Sequence[Record]) -> tuple[list[dict[str, Any]], bool]:
    chunks = Chunks(SHOWN, tells_usage=True)
    made = [chunk for record in records for chunk in chunks.take(record)]
    return made, chunks.is_whole


@requirement("chat.completions.fold", "chat.completions.valid", "chat.completions.honest")
@given(spoken())
def test_the_chunks_add_up_to_the_answer_or_end_in_an_error(parts: list[Part]) -> None:
    records, state = log_of(parts)
    chunks, is_whole = projected(records)
    told = told_of(state)
    if "error" in chunks[-1]:
        taken_back = chunks[-1]["error"]["message"] == TAKEN_BACK
        assert is_whole is False
        assert None in {finish_reason(told), None if taken_back else ""}
        assert all("error" not in chunk for chunk in chunks[:-1])
        chunks = chunks[:-1]
    else:
        assert is_whole is True
        whole = json.loads(json.dumps(completion(SHOWN, told)))
        assert api.folded(chunks) == whole
        assert list(mistakes(ChatCompletion, whole)) == []
    for chunk in chunks:
        assert list(mistakes(ChatCompletionChunk, chunk)) == []


@requirement("chat.completions.honest")
def test_what_a_retry_took_back_before_it_was_said_is_not_missed() -> None:
    parts: list[Part] = [
        ItemStart(index=0, type="message"),
        Retracted(),
        ItemStart(index=0, type="message"),
        Delta(index=0, text="right"),
        End(),
    ]
    records, state = log_of(parts)
    chunks, is_whole = projected(records)
    assert is_whole is True
    assert api.folded(chunks) == completion(SHOWN, told_of(state))
    parts.insert(1, Delta(index=0, text="wrong"))
    chunks, is_whole = projected(log_of(parts)[0])
    assert is_whole is False
    assert [chunk["error"]["code"] for chunk in chunks if "error" in chunk] == ["begun_again"]


@requirement("chat.completions.reasoning")
def test_the_state_of_thoughts_and_calls_comes_back_from_the_message_it_was_given_in() -> None:
    parts: list[Part] = [
        ItemStart(index=0, type="reasoning"),
        Delta(index=0, text="hm"),
        ItemDone(index=0, native=NATIVE),
        ItemStart(index=1, type="tool_call", call_id="c1", name="f"),
        Delta(index=1, arguments="{}"),
        ItemDone(index=1, native=NATIVE),
        Usage(source="provider", input=1, output=1),
        End(reason="tool_calls"),
    ]
    chunks, _ = projected(log_of(parts)[0])
    message = api.folded(chunks)["choices"][0]["message"]
    numbers = iter(range(9))
    items = messages.read_messages([message], lambda prefix: f"{prefix}_{next(numbers)}")
    native = {"wire": NATIVE.wire, "model": "m", "value": {"signature": "s1"}}
    assert [item["type"] for item in items] == ["reasoning", "function_call"]
    assert [item["native"] for item in items] == [native, native]
    assert items[0]["summary"] == [{"type": "summary_text", "text": "hm"}]
