"""Talking to streams: the headers of the protocol, and the events of a stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:  # a spec of processes need not load what serves in its own
    from specs.support.server import Service

ROOT = "/v1/stream/"
JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
OFFSET = "Stream-Next-Offset"


def named(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the name of a refusal."""
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def producer(epoch: int, seq: int, name: str = "p") -> dict[str, str]:
    return {"Producer-Id": name, "Producer-Epoch": str(epoch), "Producer-Seq": str(seq)}


def events(body: str) -> list[tuple[str, str, Any]]:
    """Return the events of an event stream: id, name, and data read as JSON."""
    found = []
    for block in body.split("\n\n"):
        fields: dict[str, list[str]] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        if "event" in fields:
            data = json.loads("\n".join(fields["data"]))
            found.append((fields["id"][0], fields["event"][0], data))
    return found


def audited(running: Service) -> list[str]:
    """Return what the audit trail tells of streams and subscriptions, in order."""
    rows = running.services.reader.execute("SELECT action FROM audit ORDER BY sequence").fetchall()
    return [row[0] for row in rows if row[0].startswith(("stream.", "subscription."))]
