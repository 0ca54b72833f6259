"""Sends the request of a call to the origin that was agreed upon, and reads what comes back.

The client of a call can reach that origin and nothing else, and follows no redirect: it tells of
one. Of an answer as much is read as a model could be told; what is no text is described.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from runtime import limits
from runtime.problems import UpstreamSaid
from transports.egress import guard
from transports.egress.actions.requests import Made
from transports.egress.denial import Told
from transports.egress.opening import client_of
from transports.egress.places import Place

if TYPE_CHECKING:
    import httpx2

ERROR: Final = 400
REDIRECTS: Final = range(300, 400)
TEXTS: Final = ("text/", "application/xml", "application/javascript", "application/yaml")
SUFFIXES: Final = ("json", "xml", "yaml", "x-www-form-urlencoded", "graphql", "csv", "x-ndjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a request: words for a model, and the same as JSON where it was that."""

    status: int
    text: str
    structured: Any = None

    @property
    def is_error(self) -> bool:
        """Whether the other side did not do it."""
        return self.status >= ERROR or self.status in REDIRECTS


def reach_of(
    server: str, exempt: frozenset[Place], timeout_s: float, on_decision: Told | None
) -> guard.Reach:
    """Return the reach of calls to a server: its origin and no other.

    Raises:
        ValueError: the URL is none that a client may be made for.
    """
    place = guard.origin(server)
    return guard.Reach(
        purpose="action",
        exempt=exempt & {place},
        domains=guard.only(server),
        idle_s=timeout_s,
        total_s=timeout_s,
        decodes=True,
        body_bytes=limits.ACTION_ANSWER_BYTES * 2,
        on_decision=on_decision,
    )


async def send(reach: guard.Reach, made: Made) -> Answered:
    """Send a request, and return what came back.

    Raises:
        Upstream: it could not be sent, or nothing came back that can be read.
    """
    async with client_of(reach) as client:
        asked = client.build_request(
            made.method, made.url, headers=list(made.headers), content=made.content or None
        )
        asked.headers.setdefault("Accept", "application/json, text/*;q=0.9, */*;q=0.1")
        answer = await client.send(asked, stream=True)
        try:
            return await _read(answer)
        finally:
            await answer.aclose()


async def fetch(reach: guard.Reach, url: str) -> AsyncGenerator[bytes, None]:
    """Yield a document from a URL, a piece at a time.

    Raises:
        Upstream: it cannot be had.
    """
    async with (
        client_of(reach, follow_redirects=True) as client,
        client.stream("GET", url) as answer,
    ):
        if answer.status_code >= ERROR:
            raise UpstreamSaid(f"The URL answered {answer.status_code}.", code="document")
        async for chunk in answer.aiter_bytes():
            yield chunk


async def _read(answer: httpx2.Response) -> Answered:
    status, kind = answer.status_code, answer.headers.get("Content-Type", "")
    media = kind.partition(";")[0].strip().lower()
    if status in REDIRECTS:
        leads_to = answer.headers.get("Location", "")[: limits.TOOL_URL_CHARS]
        return Answered(
            status=status, text=f"It answered {status} and leads to {leads_to}: not followed."
        )
    said = f"{status}" if status >= ERROR else ""
    if media and not _is_text(media):
        size = answer.headers.get("Content-Length", "an unknown number of")
        text = f"[{media[:80]}, {size[:20]} bytes, which cannot be shown]"
        return Answered(status=status, text=f"{said} {text}".strip())
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > limits.ACTION_ANSWER_BYTES:
            break
    text = bytes(body[: limits.ACTION_ANSWER_BYTES]).decode(
        answer.charset_encoding or "utf-8", errors="replace"
    )
    if len(body) > limits.ACTION_ANSWER_BYTES:
        text += f"\n[the rest, past {limits.ACTION_ANSWER_BYTES} bytes, is left out]"
        return Answered(status=status, text=f"{said}\n{text}".strip())
    structured = None
    if media.endswith("json"):
        try:
            structured = orjson.loads(bytes(body))
        except orjson.JSONDecodeError:
            structured = None
    return Answered(
        status=status, text=f"{said}\n{text}".strip() or "[an empty answer]", structured=structured
    )


def _is_text(media: str) -> bool:
    return media.startswith(TEXTS) or media.endswith(SUFFIXES)
