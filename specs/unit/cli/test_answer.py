"""What a person sees of a job, and how the command says it ended."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from transports.ingress.cli.answer import Answer
from transports.ingress.cli.sse import Frame
from transports.ingress.cli.terminal import Terminal


class Tty(io.BytesIO):
    def isatty(self) -> bool:
        return True


class Outputs:
    """Both outputs of a command, in memory."""

    def __init__(self, *, to_a_person: bool = False) -> None:
        self.out = Tty() if to_a_person else io.BytesIO()
        self.err = io.StringIO()
        self.terminal = Terminal(self.out, self.err, {})

    def shown(self, *events: tuple[str, dict[str, Any]], as_json: bool = False) -> Answer:
        answer = Answer(self.terminal, as_json=as_json)
        for sequence, (kind, data) in enumerate(events, 1):
            event = {"sequence": sequence, "kind": kind, "data": data}
            body = json.dumps(event).encode()
            answer.take(Frame(id=str(sequence), event=kind, data=body))
        self.terminal.end_line()
        return answer

    @property
    def text(self) -> str:
        return self.out.getvalue().decode()


def begun(item: str, type: str = "message") -> tuple[str, dict[str, Any]]:
    return "item.started", {"item_id": item, "type": type, "role": "assistant", "index": 0}


def delta(item: str, text: str) -> tuple[str, dict[str, Any]]:
    return "item.delta", {"item_id": item, "text": text}


def ended(status: str, reason: str = "stop", **more: Any) -> tuple[str, dict[str, Any]]:
    data = {"status": status, "reason": reason, "provider_reason": None, "end_state": None}
    return "job.ended", data | more


def test_the_answer_is_what_was_said_and_one_newline() -> None:
    outputs = Outputs()
    answer = outputs.shown(begun("a"), delta("a", "Hel"), delta("a", "lo"), ended("completed"))
    assert (outputs.text, answer.exit, answer.remark) == ("Hello\n", 0, "")


def test_an_answer_that_ends_its_line_gets_no_second_newline() -> None:
    outputs = Outputs()
    outputs.shown(begun("a"), delta("a", "Hello\n"), ended("completed"))
    assert outputs.text == "Hello\n"


def test_thoughts_and_calls_are_no_answer_and_two_messages_are_two_paragraphs() -> None:
    outputs = Outputs()
    outputs.shown(
        *(begun("r", "reasoning"), delta("r", "hm")),
        *(begun("a"), delta("a", "one")),
        ("item.started", {"item_id": "t", "type": "tool_call", "role": "assistant", "index": 2}),
        ("item.delta", {"item_id": "t", "arguments": "{}"}),
        *(begun("b", "refusal"), delta("b", "two")),
        ended("completed"),
    )
    assert outputs.text == "one\n\ntwo\n"


def test_what_a_retry_takes_back_is_said_and_the_answer_comes_anew() -> None:
    outputs = Outputs()
    outputs.shown(
        *(begun("a"), delta("a", "Once upon")),
        ("item.retracted", {"item_id": "a"}),
        *(begun("b"), delta("b", "There was")),
        ended("completed"),
    )
    assert outputs.text == "Once upon\nThere was\n"
    expected = "runchat: the model began again; what it had said is void\n"
    assert outputs.err.getvalue() == expected


@pytest.mark.parametrize(
    ("end", "exit", "remark"),
    [
        (ended("aborted"), 130, "the answer was stopped"),
        (ended("superseded"), 1, "another question took the place of this one"),
        (ended("interrupted"), 1, "the service stopped in the middle of the answer"),
        (ended("incomplete", "truncated"), 1, "the answer is incomplete: truncated"),
        (
            ended("incomplete", "length", provider_reason="max_tokens"),
            1,
            "the answer is incomplete: max_tokens",
        ),
        (ended("failed", "crashed"), 1, "the job failed: crashed"),
        (
            ended("failed", "error", error={"class": "x", "code": "y", "message": "No more."}),
            1,
            "the job failed: No more.",
        ),
    ],
)
def test_each_end_has_its_status_and_its_words(
    end: tuple[str, dict[str, Any]], exit: int, remark: str
) -> None:
    answer = Outputs().shown(begun("a"), delta("a", "Half"), end)
    assert (answer.exit, answer.remark) == (exit, remark)


def test_as_json_the_bytes_are_those_that_came() -> None:
    outputs = Outputs()
    frame = Frame(id="1", event="job.started", data=b'{"kind":"job.started",  "data":{}}')
    Answer(outputs.terminal, as_json=True).take(frame)
    assert outputs.out.getvalue() == frame.data + b"\n"


def test_a_terminal_gets_no_control_characters_and_a_file_gets_all() -> None:
    words = "a\x1b[31mred\x1b]0;title\x07\r\x9b2J\tb\n"
    person, file = Outputs(to_a_person=True), Outputs()
    for outputs in (person, file):
        outputs.shown(begun("a"), delta("a", words), ended("completed"))
    assert person.text == "a[31mred]0;title2J\tb\n"
    assert file.text == words
