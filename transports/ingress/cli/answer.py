"""A job's events as the answer a person reads, and what is to be said of its end.

Only messages and refusals are the answer; what the model thinks and which tools it calls is not.
Law 10: what has not ended as it should is never shown as if it had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from transports.ingress.cli.endings import Exit
from transports.ingress.cli.sse import Frame
from transports.ingress.cli.terminal import Terminal

SPOKEN = ("message", "refusal")
REMARKS = {
    "aborted": "the answer was stopped",
    "superseded": "another question took the place of this one",
    "interrupted": "the service stopped in the middle of the answer",
}


class Answer:
    """Prints one job. `exit` and `remark` say how it ended, once it has."""

    def __init__(self, terminal: Terminal, *, as_json: bool = False) -> None:
        """Begin with nothing said.

        Args:
            as_json: print the events as they came, one a line, in place of the text.
        """
        self.exit = int(Exit.FAILED)
        self.remark = ""
        self._terminal, self._as_json = terminal, as_json
        self._spoken: dict[str, bool] = {}  # items of the answer; whether they have said something

    def take(self, frame: Frame) -> None:
        """Print one event."""
        if self._as_json:
            self._terminal.say_json(frame.data)
        event = json.loads(frame.data)
        data = event["data"]
        match event["kind"]:
            case "item.started" if data["type"] in SPOKEN:
                if any(self._spoken.values()):
                    self._say("\n\n")
                self._spoken[data["item_id"]] = False
            case "item.delta" if data["item_id"] in self._spoken and data.get("text"):
                self._spoken[data["item_id"]] = True
                self._say(data["text"])
            case "item.retracted" if self._spoken.pop(data["item_id"], False):
                self._retract()
            case "job.ended":
                self._end(data)

    def _say(self, text: str) -> None:
        if not self._as_json:
            self._terminal.say_answer(text)

    def _retract(self) -> None:
        if not self._as_json:
            self._terminal.end_line()
        self._terminal.say("runchat: the model began again; what it had said is void")

    def _end(self, data: Mapping[str, Any]) -> None:
        status = data["status"]
        if status == "completed":
            self.exit = Exit.DONE
            return
        self.exit = Exit.ABORTED if status == "aborted" else Exit.FAILED
        self.remark = REMARKS.get(status) or told(data)


def told(data: Mapping[str, Any]) -> str:
    """Return why a job failed or is incomplete, in the provider's words where it said any."""
    why = (data.get("error") or {}).get("message") or data.get("provider_reason") or data["reason"]
    if data["status"] == "incomplete":
        return f"the answer is incomplete: {why}"
    return f"the job failed: {why}"
