"""What we read from a stream is what the vendor's own SDK reads from it, typed and all."""

from __future__ import annotations

import base64
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from specs.unit.egress import streams_of_openai as own
from specs.unit.egress import streams_of_others as others
from specs.unit.egress.compatible_kit import CHAT, CLAUDE, GEMINI, RESPONSES
from specs.unit.egress.reading import Reading, read
from specs.unit.egress.small_server import serving, whole
from transports.egress import guard
from transports.egress.guard import Reach

ASKED: Any = [{"role": "user", "content": "Go on."}]


async def ask_chat(url: str, client: Any) -> dict[str, Any]:
    sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", http_client=client, max_retries=0)
    async with sdk.chat.completions.stream(model="m", messages=ASKED) as stream:
        answer = await stream.get_final_completion()
    said, usage = answer.choices[0].message, answer.usage
    calls = [
        (each.id, each.function.name, each.function.arguments) for each in said.tool_calls or ()
    ]
    return {
        "text": said.content or "",
        "refusal": said.refusal or "",
        "calls": calls,
        "usage": usage and usage.model_dump(exclude_unset=True),
    }


def chat(reading: Reading) -> dict[str, Any]:
    return {
        "text": reading.text,
        "refusal": "".join(each.text for each in reading.of("refusal")),
        "calls": reading.calls,
        "usage": reading.usage and reading.usage.raw,
    }


async def ask_responses(url: str, client: Any) -> dict[str, Any]:
    sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", http_client=client, max_retries=0)
    stream: Any = await sdk.responses.create(model="m", input="Go on.", stream=True)
    events = [event async for event in stream]  # its helper fails where an answer is incomplete
    answer = events[-1].response
    return {
        "text": answer.output_text,
        "items": [each.model_dump(exclude_unset=True) for each in answer.output],
        "usage": answer.usage and answer.usage.model_dump(exclude_unset=True),
    }


def items(reading: Reading) -> dict[str, Any]:
    return {
        "text": reading.text,
        "items": reading.natives,
        "usage": reading.usage and reading.usage.raw,
    }


async def ask_claude(url: str, client: Any) -> dict[str, Any]:
    sdk = anthropic.AsyncAnthropic(base_url=url, api_key="k", http_client=client, max_retries=0)
    async with sdk.messages.stream(model="m", max_tokens=9, messages=ASKED) as stream:
        answer = await stream.get_final_message()
    return {
        "blocks": [each.model_dump(exclude_none=True) for each in answer.content],
        "stop": answer.stop_reason,
        "usage": answer.usage.model_dump(exclude_none=True),
    }


def blocks(reading: Reading) -> dict[str, Any]:
    assert reading.end is not None
    return {
        "blocks": reading.natives,
        "stop": reading.end.provider_reason,
        "usage": reading.usage and reading.usage.raw,
    }


async def ask_gemini(url: str, client: Any) -> dict[str, Any]:
    options = genai.types.HttpOptions(base_url=url, httpx_async_client=client)
    sdk = genai.Client(api_key="k", http_options=options)
    parts: list[Any] = []
    last: Any = None
    async for last in await sdk.aio.models.generate_content_stream(model="m", contents="Go on."):
        for each in last.candidates or ():
            parts += (each.content and each.content.parts) or ()
    return {
        "text": "".join(each.text or "" for each in parts if not each.thought),
        "thought": "".join(each.text or "" for each in parts if each.thought),
        "calls": [
            (each.function_call.name, each.function_call.args)
            for each in parts
            if each.function_call
        ],
        "signatures": [
            base64.b64encode(each.thought_signature).decode()
            for each in parts
            if each.thought_signature
        ],
        "pictures": [each.inline_data.data for each in parts if each.inline_data],
        "tokens": last.usage_metadata.total_token_count,
    }


def parts(reading: Reading) -> dict[str, Any]:
    kept = [each for native in reading.natives for each in native["parts"]]
    calls = [each["functionCall"] for each in kept if "functionCall" in each]
    assert reading.usage is not None
    assert reading.usage.raw is not None
    return {
        "text": reading.text,
        "thought": "".join(each.text for each in reading.of("reasoning")),
        "calls": [(each["name"], each["args"]) for each in calls],
        "signatures": [each["thoughtSignature"] for each in kept if "thoughtSignature" in each],
        "pictures": [each.data for each in reading.of("image")],
        "tokens": reading.usage.raw["totalTokenCount"],
    }


ORACLES: dict[str, Any] = {
    CHAT: (ask_chat, chat),
    RESPONSES: (ask_responses, items),
    CLAUDE: (ask_claude, blocks),
    GEMINI: (ask_gemini, parts),
}


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (CHAT, own.CHAT_REFUSAL),
        (CHAT, own.CHAT_TWO_CHOICES),
        (CHAT, own.CHAT_DETAILS),
        (RESPONSES, own.RESPONSES_REFUSAL),
        (RESPONSES, own.RESPONSES_INCOMPLETE),
        (RESPONSES, own.RESPONSES_SEALED),
        (RESPONSES, own.RESPONSES_PICTURE),
        (CLAUDE, others.CLAUDE_THOUGHT),
        (GEMINI, others.GEMINI_THOUGHT),
        (GEMINI, others.GEMINI_SAFETY),
        (GEMINI, others.GEMINI_PICTURE),
    ],
)
async def test_our_reading_is_the_sdks(wire: str, body: str) -> None:
    ask, ours = ORACLES[wire]
    read_to_its_end = body.removesuffix("data: [DONE]\n\n")  # or the SDK drops its generators
    stream = whole(read_to_its_end.encode(), "Content-Type: text/event-stream")
    async with (
        serving(lambda _: stream) as server,
        guard.client(Reach(exempt=frozenset({("127.0.0.1", server.port)}))) as client,
    ):
        theirs = await ask(server.url, client)
    assert ours(read(wire, body)) == theirs


async def test_the_sdk_loses_what_a_second_message_start_says_and_we_do_not() -> None:
    stream = whole(others.CLAUDE_TWICE.encode(), "Content-Type: text/event-stream")
    async with (
        serving(lambda _: stream) as server,
        guard.client(Reach(exempt=frozenset({("127.0.0.1", server.port)}))) as client,
    ):
        theirs = await ask_claude(server.url, client)
    assert [each["text"] for each in theirs["blocks"]] != ["First.", "Second."]
    assert read(CLAUDE, others.CLAUDE_TWICE).text == "First.Second."
