"""pydantic-ai over both APIs: a whole loop with a tool. Source: PyPI `pydantic-ai-slim`."""

from __future__ import annotations

import os
import sys
from typing import Any

import checking as c  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai import Agent  # type: ignore[import-not-found, unused-ignore]
from pydantic_ai.messages import (  # type: ignore[import-not-found, unused-ignore]
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models.openai import (  # type: ignore[import-not-found, unused-ignore]
    OpenAIChatModel,
    OpenAIResponsesModel,
)
from pydantic_ai.providers.openai import (  # type: ignore[import-not-found, unused-ignore]
    OpenAIProvider,
)
from pydantic_ai.usage import UsageLimits  # type: ignore[import-not-found, unused-ignore]

KINDS = {"chat": OpenAIChatModel, "responses": OpenAIResponsesModel}
asked: list[str] = []


def get_weather(location: str) -> str:
    """Tell the weather."""
    asked.append(location)
    return "Sunny."


def agent(api: str, model: str, **more: Any) -> Any:
    provider = OpenAIProvider(base_url=os.environ["BASE"] + "/v1", api_key="any")
    return Agent(KINDS[api](model, provider=provider), **more)


def parts(result: Any, kind: Any) -> list[Any]:
    messages = result.all_messages()
    return [part for each in messages for part in each.parts if isinstance(part, kind)]


async def said(api: str, *, streams: bool) -> None:
    one = agent(api, "up/thinker")
    if streams:
        async with one.run_stream(c.QUESTION) as result:
            text = await result.get_output()
    else:
        result = await one.run(c.QUESTION)
        text = result.output
    usage: Any = result.usage
    usage = usage() if callable(usage) else usage
    c.equal((text, [p.content for p in parts(result, ThinkingPart)]), (c.TEXT, [c.THOUGHT]))
    c.equal((usage.input_tokens, usage.output_tokens), (c.INPUT, c.OUTPUT))


async def looped(api: str) -> None:
    result = await agent(api, "echo", tools=[get_weather]).run(c.QUESTION)
    c.equal((asked.pop(), result.output), (c.QUESTION, "Sunny."))
    one, calls = agent(api, "up/caller", tools=[get_weather]), []
    async with one.iter(c.QUESTION, usage_limits=UsageLimits(request_limit=1)) as steps:
        async for node in steps:
            if Agent.is_call_tools_node(node):
                calls = [p for p in node.model_response.parts if isinstance(p, ToolCallPart)]
                break
    c.equal([(p.tool_name, p.args_as_dict()) for p in calls], [("get_weather", c.ARGUMENTS)])


if __name__ == "__main__":
    sys.exit(c.run("pydantic-ai", *c.of_both(said, looped)))
