"""LangChain over both APIs. Of Chat Completions it reads no thoughts, only their number.

Source: PyPI `langchain-openai`, whose own page says so.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import checking as c  # type: ignore[import-not-found, unused-ignore]
from langchain_core.messages import (  # type: ignore[import-not-found, unused-ignore]
    HumanMessage,
    ToolMessage,
)
from langchain_openai import ChatOpenAI  # type: ignore[import-not-found, unused-ignore]

TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "", "parameters": c.PARAMETERS},
}


def model(name: str, *, responses: bool) -> Any:
    return ChatOpenAI(
        base_url=os.environ["BASE"] + "/v1",
        api_key="any",
        model=name,
        max_retries=0,
        use_responses_api=responses,
        stream_usage=True,
    )


def thought(message: Any) -> str:
    blocks = message.content_blocks
    return "".join(block.get("reasoning", "") for block in blocks if block["type"] == "reasoning")


def heard(message: Any, *, thinks: bool) -> None:
    usage = message.usage_metadata
    c.equal((message.text, thought(message)), (c.TEXT, c.THOUGHT if thinks else ""))
    c.equal((usage["input_tokens"], usage["output_tokens"]), (c.INPUT, c.OUTPUT))
    c.equal(usage["output_token_details"]["reasoning"], c.REASONING)
    c.equal(usage["input_token_details"]["cache_read"], c.CACHED)


def streamed(*, responses: bool) -> None:
    whole: Any = None
    for chunk in model("up/thinker", responses=responses).stream(c.QUESTION):
        whole = chunk if whole is None else whole + chunk
    heard(whole, thinks=responses)


def called(*, responses: bool) -> None:
    asked = HumanMessage(c.QUESTION)
    made = model("up/caller", responses=responses).bind_tools([TOOL]).invoke([asked])
    [call] = made.tool_calls
    c.equal((call["name"], call["args"]), ("get_weather", c.ARGUMENTS))
    told = ToolMessage("Sunny.", tool_call_id=call["id"])
    after = model("echo", responses=responses).bind_tools([TOOL]).invoke([asked, made, told])
    c.equal(after.text, "Sunny.")


def chat_whole() -> None:
    heard(model("up/thinker", responses=False).invoke(c.QUESTION), thinks=False)


def chat_streamed() -> None:
    streamed(responses=False)


def chat_tools() -> None:
    called(responses=False)


def responses_whole() -> None:
    heard(model("up/thinker", responses=True).invoke(c.QUESTION), thinks=True)


def responses_streamed() -> None:
    streamed(responses=True)


def responses_tools() -> None:
    called(responses=True)


if __name__ == "__main__":
    chat = (chat_whole, chat_streamed, chat_tools)
    responses = (responses_whole, responses_streamed, responses_tools)
    sys.exit(c.run("langchain-openai", *chat, *responses))
