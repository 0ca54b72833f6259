"""What a client of Chat Completions says over and over, and how it adds up what it is sent."""

from __future__ import annotations

import json
from typing import Any

import httpx

Json = dict[str, Any]
URL = "/v1/chat/completions"


def asked(said: Any = "hello", **body: Any) -> Json:
    """Return a body; the model is `echo` unless told otherwise."""
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
    return {"model": "echo", "messages": messages} | body


async def create(client: httpx.AsyncClient, said: Any = "hello", **body: Any) -> Json:
    """Create a completion."""
    made = await client.post(URL, json=asked(said, **body))
    assert made.status_code == 200, made.text
    completion: Json = made.json()
    return completion


async def refused(client: httpx.AsyncClient, said: Any = "hello", **body: Any) -> tuple[int, Json]:
    """Ask for what is refused; return the status and the error."""
    answer = await client.post(URL, json=asked(said, **body))
    error: Json = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error


async def stream(
    client: httpx.AsyncClient, said: Any = "hello", **body: Any
) -> tuple[list[Json], bool]:
    """Create a completion and read its chunks to the end; say whether it said that it was whole."""
    answer = await client.post(URL, json=asked(said, stream=True, **body))
    assert answer.status_code == 200, answer.text
    return chunks_in(answer.text)


def chunks_in(frames: str) -> tuple[list[Json], bool]:
    data = [line[6:] for line in frames.splitlines() if line.startswith("data: ")]
    whole = data[-1:] == ["[DONE]"]
    return [json.loads(each) for each in data[: len(data) - whole]], whole


def folded(chunks: list[Json]) -> Json:
    """Add up chunks as every client does: a completion, its usage where a chunk tells it."""
    message: Json = {}
    calls: list[Json] = []
    usage = reason = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            reason = choice["finish_reason"] or reason
            for name, value in choice["delta"].items():
                match name, value:
                    case "tool_calls", _:
                        for call in value:
                            _add_call(calls, call)
                    case "role", _:
                        message[name] = value
                    case _, list():
                        message[name] = message.get(name, []) + value
                    case _, None:
                        message.setdefault(name, None)
                    case _:
                        message[name] = (message.get(name) or "") + value
    head = {name: chunks[0][name] for name in ("id", "created", "model")}
    message |= {"tool_calls": calls} if calls else {}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


def _add_call(calls: list[Json], more: Json) -> None:
    if more["index"] == len(calls):
        calls.append({"function": {"arguments": ""}})
    call = calls[more["index"]]
    function = more["function"]
    rest = {name: each for name, each in more.items() if name not in {"index", "function"}}
    names = {name: each for name, each in function.items() if name == "name"}
    arguments = call["function"]["arguments"] + function["arguments"]
    call |= rest | {"function": {**call["function"], **names, "arguments": arguments}}
