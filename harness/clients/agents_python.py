"""OpenAI's agents over both APIs: a whole loop with a tool. Source: PyPI `openai-agents`."""

from __future__ import annotations

import os
import sys
from typing import Any

import checking as c  # type: ignore[import-not-found, unused-ignore]
from agents import (  # type: ignore[import-not-found, unused-ignore]
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

set_tracing_disabled(True)
KINDS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}
asked: list[str] = []


@function_tool  # type: ignore[untyped-decorator, unused-ignore]
def get_weather(location: str) -> str:
    """Tell the weather."""
    asked.append(location)
    return "Sunny."


def agent(api: str, model: str, **more: Any) -> Any:
    client = AsyncOpenAI(base_url=os.environ["BASE"] + "/v1", api_key="any", max_retries=0)
    settings = ModelSettings(include_usage=True)  # it asks only its own vendor otherwise
    more["model_settings"] = settings
    return Agent(name="one", model=KINDS[api](model=model, openai_client=client), **more)


def thoughts(result: Any) -> list[str]:
    items = [item.raw_item for item in result.new_items if item.type == "reasoning_item"]
    return [part.text for item in items for part in item.summary]


async def said(api: str, *, streams: bool) -> None:
    one = agent(api, "up/thinker")
    if streams:
        result = Runner.run_streamed(one, c.QUESTION)
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(one, c.QUESTION)
    usage = result.context_wrapper.usage
    c.equal((result.final_output, thoughts(result)), (c.TEXT, [c.THOUGHT]))
    c.equal((usage.input_tokens, usage.output_tokens), (c.INPUT, c.OUTPUT))


async def looped(api: str) -> None:
    result = await Runner.run(agent(api, "echo", tools=[get_weather]), c.QUESTION)
    c.equal((asked.pop(), result.final_output), (c.QUESTION, "Sunny."))
    stopped = agent(api, "up/caller", tools=[get_weather], tool_use_behavior="stop_on_first_tool")
    result = await Runner.run(stopped, c.QUESTION)
    c.equal((asked.pop(), result.final_output), ("Berlin", "Sunny."))


if __name__ == "__main__":
    sys.exit(c.run("openai-agents", *c.of_both(said, looped)))
