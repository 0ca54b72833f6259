"""The `llm` library, with models that its own file of models names. Source: PyPI `llm`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import checking as c  # type: ignore[import-not-found, unused-ignore]

folder = tempfile.mkdtemp()
os.environ["LLM_USER_PATH"] = folder
MODELS = "".join(
    f"- model_id: {name}\n  model_name: {name}\n  api_base: {os.environ['BASE']}/v1\n"
    "  supports_tools: true\n  can_stream: true\n"
    for name in ("up/thinker", "up/caller", "echo")
)
Path(folder, "extra-openai-models.yaml").write_text(MODELS, encoding="utf-8")
import llm  # type: ignore[import-not-found, unused-ignore]  # noqa: E402 - it reads the folder

asked: list[str] = []


def get_weather(location: str) -> str:
    """Tell the weather."""
    asked.append(location)
    return "Sunny."


def said(*, stream: bool) -> None:
    answer: Any = llm.get_model("up/thinker").prompt(c.QUESTION, key="any", stream=stream)
    c.equal(answer.text(), c.TEXT)
    usage = answer.usage()
    c.equal((usage.input, usage.output), (c.INPUT, c.OUTPUT))
    c.equal(usage.details["completion_tokens_details"]["reasoning_tokens"], c.REASONING)


def whole() -> None:
    said(stream=False)


def streamed() -> None:
    said(stream=True)


def tools() -> None:
    chain = llm.get_model("echo").chain(c.QUESTION, tools=[get_weather], key="any")
    c.equal((chain.text(), asked.pop()), ("Sunny.", c.QUESTION))
    answer = llm.get_model("up/caller").prompt(c.QUESTION, tools=[get_weather], key="any")
    [call] = answer.tool_calls()
    c.equal((call.name, call.arguments), ("get_weather", c.ARGUMENTS))


if __name__ == "__main__":
    sys.exit(c.run("llm", whole, streamed, tools))
