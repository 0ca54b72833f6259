"""What a client says to the service over and over, as functions of an httpx client."""

from __future__ import annotations

import json
from typing import Any

import httpx

SSE = {"Accept": "text/event-stream"}


async def begin(client: httpx.AsyncClient, title: str = "a talk") -> str:
    """Create a conversation; return its id."""
    created = await client.post("/api/conversations", json={"title": title})
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def ask(
    client: httpx.AsyncClient, conversation: str, said: str = "hello", **body: Any
) -> httpx.Response:
    """Ask in a conversation; the model is `scripted` unless told otherwise."""
    body = {"model": "scripted", "input": said} | body
    return await client.post(f"/api/conversations/{conversation}/jobs", json=body)


async def asked(
    client: httpx.AsyncClient, conversation: str, said: str = "hello", **body: Any
) -> str:
    """Ask, and return the id of the job that was accepted."""
    answer = await ask(client, conversation, said, **body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def job(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """Return a job as GET shows it."""
    shown = await client.get(f"/api/jobs/{job_id}")
    assert shown.status_code == 200, shown.text
    view: dict[str, Any] = shown.json()
    return view


async def follow(client: httpx.AsyncClient, job_id: str, after: int = 0) -> list[dict[str, Any]]:
    """Read a job's stream to its end; return the events."""
    url = f"/api/jobs/{job_id}/events"
    async with client.stream("GET", url, params={"after": after}, headers=SSE) as response:
        lines = [line async for line in response.aiter_lines()]
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def until(client: httpx.AsyncClient, stream: str, kind: str) -> list[dict[str, Any]]:
    """Read a stream (`jobs/...`) from its start up to the first event of a kind."""
    events = []
    async with client.stream("GET", f"/api/{stream}/events", headers=SSE) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
                if events[-1]["kind"] == kind:
                    return events
    raise AssertionError(f"{stream} ended without {kind}")


async def log(client: httpx.AsyncClient, stream: str) -> list[dict[str, Any]]:
    """Return the events of a stream (`conversations/...`) as they stand."""
    page = await client.get(f"/api/{stream}/events", params={"limit": 1000})
    assert page.status_code == 200, page.text
    events: list[dict[str, Any]] = page.json()["events"]
    return events


async def messages(client: httpx.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    """Return a conversation's messages."""
    page = await client.get(f"/api/conversations/{conversation}/messages")
    assert page.status_code == 200, page.text
    items: list[dict[str, Any]] = page.json()["items"]
    return items


def text_of(view: dict[str, Any]) -> str:
    """Return what a job's items say."""
    return "".join(item.get("text") or "" for item in view["items"])
