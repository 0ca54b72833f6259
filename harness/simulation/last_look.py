"""The look at the end of a run: what is stored, what GET shows and what was told agree.

Theory: the fold here is written anew and small, from the contract's table and not from the
product's code, so that one mistake cannot be on both sides.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from harness.simulation.clients import Clients, Thing
from harness.simulation.oracle import Oracle
from store.database import Database

PAGE = 100


def compare_store(oracle: Oracle, db: Database) -> None:
    """Check that the database holds exactly the events that were committed."""
    kept: dict[str, list[bytes]] = {}
    rows = db.execute(
        "SELECT stream.name, event.sequence, event.body FROM event JOIN stream"
        " ON stream.id = event.stream ORDER BY event.stream, event.sequence"
    )
    for stream, sequence, body in rows.fetchall():
        bodies = kept.setdefault(stream, [])
        bodies.append(body)
        if sequence != len(bodies):
            oracle.wrong("stored sequences have no gap", stream, sequence)
    if kept != {stream: log for stream, log in oracle.logs.items() if log}:
        oracle.wrong("the store holds what was committed, and nothing else", len(kept))


def compare_audit(oracle: Oracle, clients: Clients, db: Database) -> None:
    """Check that each accepted change has its one entry, and that no other entry is there."""
    entries = [
        (action, object_id, request_id)
        for action, object_id, request_id in db.execute(
            "SELECT action, object_id, request_id FROM audit ORDER BY sequence"
        ).fetchall()
    ]
    for each in clients.accepted:
        if entries.count((each.action, each.object_id, each.request_id)) != 1:
            oracle.wrong("an accepted change is audited once", each)
    counted = Counter(action for action, _, _ in entries)
    aborted = sum(1 for job in oracle.jobs.values() if job.end and job.end["status"] == "aborted")
    talks = sum(1 for stream in oracle.logs if stream.startswith("conversations/"))
    expected = {"conversation.create": talks, "job.start": len(oracle.jobs), "job.abort": aborted}
    expected["token.revoke"] = clients.badges.revoked
    if counted != Counter(expected):
        oracle.wrong("as many audit entries as changes", dict(counted), expected)


async def compare_answers(oracle: Oracle, clients: Clients) -> None:
    """Check what GET shows of every job and conversation against their logs."""
    for talk in clients.conversations:
        await _compare_talk(oracle, clients, talk)
    for job in clients.jobs:
        answer = await clients.request(job.owner, "GET", f"/api/jobs/{job.id}", allows=(200,))
        if answer:
            _compare_job(oracle, job, answer.json())


def _compare_job(oracle: Oracle, job: Thing, shown: dict[str, Any]) -> None:
    log = [orjson.loads(body) for body in oracle.logs.get(f"jobs/{job.id}", ())]
    told = fold(log)
    for name, value in told.items():
        if shown.get(name) != value:
            oracle.wrong("fold(log) is what GET shows", job.id, name, shown.get(name), value)
    _compare_script(oracle, job, told)


def _compare_script(oracle: Oracle, job: Thing, told: dict[str, Any]) -> None:
    whole = job.script.text()
    for item in told["items"]:
        text = item.get("text", "")
        if item["type"] == "message" and not whole.startswith(text):
            oracle.wrong("an answer is what the provider said", job.id, text, whole)
        if item["type"] == "message" and told["status"] == "completed" and text != whole:
            oracle.wrong("a completed answer is whole", job.id, text, whole)
    allowed = {"superseded", "aborted", "interrupted", "failed", *job.script.statuses()}
    if told["status"] not in allowed and told["reason"] != "provider-restarted":
        oracle.wrong("the end is the provider's own", job.id, told["status"], job.script.end)
    if told["reason"] == "internal" and job.script.end != "bug":
        oracle.wrong("an adapter fails only by its own bug", job.id, told["error"])


def fold(log: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: C901  a table of kinds
    """Return what a job's whole log says of it, in the words of GET."""
    items: dict[str, dict[str, Any]] = {}
    shown: dict[str, Any] = {"head": len(log), "status": "queued", "reason": None}
    shown |= {"usage": None, "error": None, "superseded_by": None}
    for event in log:
        data = event["data"]
        match event["kind"]:
            case "job.started":
                shown["status"] = "running"
            case "item.started":
                items[data["item_id"]] = {"id": data["item_id"], "type": data["type"], "text": ""}
            case "item.delta":
                items[data["item_id"]]["text"] += data["text"]
            case "item.done":
                said, done = items[data["item_id"]]["text"], data["item"]
                items[data["item_id"]] = done
                if done["text"] != said:
                    done["text"] = (
                        f"{said} is not {done['text']}"  # then it cannot be what GET shows
                    )
            case "item.retracted":
                del items[data["item_id"]]
            case "usage":
                shown["usage"] = data
            case "job.ended":
                for name in ("status", "reason", "superseded_by", "error"):
                    shown[name] = data.get(name)
    return shown | {"items": list(items.values())}


async def _compare_talk(oracle: Oracle, clients: Clients, talk: Thing) -> None:
    """Check a conversation's messages against the jobs that its log and theirs tell of."""
    messages = await _messages(clients, talk)
    jobs = [job for job in oracle.jobs.values() if job.conversation_id == talk.id]
    expected = {(job.id, "user", "completed") for job in jobs}
    expected |= {
        (job.id, "assistant", job.end["status"]) for job in jobs if job.started and job.end
    }
    told = [(each["job_id"], each["role"], each["status"]) for each in messages]
    if Counter(told) != Counter(expected):
        oracle.wrong("messages agree with jobs", talk.id, told, expected)
    for each in messages:
        if each["role"] == "assistant":
            log = [orjson.loads(body) for body in oracle.logs[f"jobs/{each['job_id']}"]]
            said = "".join(i["text"] for i in fold(log)["items"] if i["type"] == "message")
            shown = "".join(part["text"] for part in each["parts"])
            if said != shown:
                oracle.wrong("a message says what its job's log says", each["id"], shown, said)
    answer = await clients.request(
        talk.owner, "GET", f"/api/conversations/{talk.id}", allows=(200,)
    )
    if answer and answer.json()["current_job"] != oracle.current.get(talk.id):
        oracle.wrong("current_job is the running job", talk.id, answer.json()["current_job"])


async def _messages(clients: Clients, talk: Thing) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        path = f"/api/conversations/{talk.id}/messages?limit={PAGE}"
        path += f"&cursor={cursor}" if cursor else ""
        answer = await clients.request(talk.owner, "GET", path, allows=(200,))
        if answer is None:
            return found
        page = answer.json()
        found += page["items"]
        cursor = page["next_cursor"]
    return found
