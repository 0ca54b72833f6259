"""The official Python client, both APIs, plain and streamed. Source: PyPI `openai`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import checking as c  # type: ignore[import-not-found, unused-ignore]
from openai import OpenAI

client = OpenAI(base_url=os.environ["BASE"] + "/v1", api_key="any", max_retries=0)
FUNCTION: Any = {"name": "get_weather", "parameters": c.PARAMETERS}
TOOL: Any = {"type": "function", "function": FUNCTION}
FLAT: Any = {"type": "function", **FUNCTION, "strict": False}
USER: Any = [{"role": "user", "content": c.QUESTION}]


def chat_whole() -> None:
    made = client.chat.completions.create(model="up/thinker", messages=USER)
    message, usage = made.choices[0].message, made.usage
    assert usage is not None
    c.equal((message.content, message.to_dict()["reasoning_content"]), (c.TEXT, c.THOUGHT))
    c.equal((usage.prompt_tokens, usage.completion_tokens), (c.INPUT, c.OUTPUT))
    c.equal(made.choices[0].finish_reason, "stop")


def chat_streamed() -> None:
    text = thought = ""
    usage: Any = None
    options: Any = {"include_usage": True}
    with client.chat.completions.create(
        model="up/thinker", messages=USER, stream=True, stream_options=options
    ) as chunks:
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                thought += choice.delta.to_dict().get("reasoning_content") or ""  # type: ignore[operator]
    c.equal((text, thought), (c.TEXT, c.THOUGHT))
    c.equal((usage.prompt_tokens_details.cached_tokens, usage.total_tokens), (c.CACHED, 18))
    c.equal(usage.completion_tokens_details.reasoning_tokens, c.REASONING)


def chat_calls_a_tool_and_tells_its_answer() -> None:
    made = client.chat.completions.create(model="up/caller", messages=USER, tools=[TOOL])
    message = made.choices[0].message
    [call] = message.tool_calls or []
    assert call.type == "function"
    c.equal((call.function.name, json.loads(call.function.arguments)), ("get_weather", c.ARGUMENTS))
    told: Any = {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
    said: Any = [*USER, message.to_dict(), told]
    after = client.chat.completions.create(model="echo", messages=said, tools=[TOOL])
    c.equal(after.choices[0].message.content, "Sunny.")
    with client.chat.completions.stream(model="up/caller", messages=USER, tools=[TOOL]) as events:
        [call] = events.get_final_completion().choices[0].message.tool_calls or []
    c.equal(json.loads(call.function.arguments), c.ARGUMENTS)


def responses_whole() -> None:
    made = client.responses.create(model="up/thinker", input=c.QUESTION)
    thoughts = [
        part.text for item in made.output if item.type == "reasoning" for part in item.summary
    ]
    assert made.usage is not None
    c.equal((made.output_text, thoughts), (c.TEXT, [c.THOUGHT]))
    c.equal((made.usage.input_tokens, made.usage.output_tokens), (c.INPUT, c.OUTPUT))
    again = client.responses.retrieve(made.id)
    c.equal(again.to_dict(), made.to_dict())


def responses_streamed() -> None:
    with client.responses.stream(model="up/thinker", input=c.QUESTION) as events:
        kinds = {event.type for event in events}
        whole = events.get_final_response()
    assert whole.usage is not None
    c.equal(whole.output_text, c.TEXT)
    c.equal("response.reasoning_summary_text.delta" in kinds, True)
    c.equal(whole.usage.output_tokens_details.reasoning_tokens, c.REASONING)


def responses_call_a_tool_and_go_on_from_it() -> None:
    made = client.responses.create(model="up/caller", input=c.QUESTION, tools=[FLAT])
    [call] = [item for item in made.output if item.type == "function_call"]
    c.equal((call.name, json.loads(call.arguments)), ("get_weather", c.ARGUMENTS))
    told: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}
    after = client.responses.create(
        model="echo", input=[told], tools=[FLAT], previous_response_id=made.id
    )
    c.equal(after.output_text, "Sunny.")


def models_are_listed() -> None:
    known = {model.id for model in client.models.list()}
    c.equal({"echo", "up/thinker", "up/caller"} <= known, True)
    c.equal(client.models.retrieve("up/thinker").owned_by, "up")


if __name__ == "__main__":
    sys.exit(
        c.run(
            "openai (PyPI)",
            chat_whole,
            chat_streamed,
            chat_calls_a_tool_and_tells_its_answer,
            responses_whole,
            responses_streamed,
            responses_call_a_tool_and_go_on_from_it,
            models_are_listed,
        )
    )
