"""One conversation with one service over HTTP: calls, and a job's events as they come.

What went wrong is told by who can mend it: `Lost` may come back, `Said` is the service's own word.
Source: CONTRACT.md sections 2 and 3; RFC 9457.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeAlias

import structlog
import trio

from runtime import limits
from runtime.problems import UpstreamLost
from transports.egress import connection, guard
from transports.ingress.cli.endings import Lost, Said
from transports.ingress.cli.finding import Address
from transports.ingress.cli.sse import Frame, Frames

OK, CREATED, ACCEPTED, NO_CONTENT, UNAVAILABLE = 200, 201, 202, 204, 503
END = "job.ended"
Take: TypeAlias = Callable[[Frame], None]


class Client:
    """Talks to the service at one address."""

    def __init__(self, address: Address) -> None:
        quiet = structlog.make_filtering_bound_logger("critical")
        structlog.configure(wrapper_class=quiet)  # stdout belongs to the answer
        self._address = address
        reach = guard.control_reach(address.url)
        self._http = connection.client(reach, base_url=address.url, headers={})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with trio.CancelScope(shield=True):
            await self._http.aclose()

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str = "", query: Any = None
    ) -> Any:
        """Return the JSON of an answer.

        Args:
            key: an idempotency key, so that asking again is safe.

        Raises:
            Lost: there was no answer, or the service is stopping.
            Said: the service refused.
        """
        headers = self._headers("application/json") | ({"Idempotency-Key": key} if key else {})
        with self._lost():
            response = await self._http.request(
                method,
                self._address.url.rstrip("/") + path,
                json=body,
                params=query,
                headers=headers,
                timeout=limits.CLI_ANSWER_S,
            )
        if response.status_code == NO_CONTENT:
            return None
        if response.status_code not in (OK, CREATED, ACCEPTED):
            raise refusal(response.status_code, response.content)
        return json.loads(response.content)

    async def copy(self, path: str, take: Callable[[bytes], object]) -> None:
        """Give the bytes of an answer to `take`, as they come.

        Raises:
            Lost, Said; what `take` raises.
        """
        with self._lost():
            async with self._http.stream(
                "GET",
                self._address.url.rstrip("/") + path,
                headers=self._headers("*/*"),
                timeout=limits.CLI_ANSWER_S,
            ) as response:
                if response.status_code != OK:
                    raise refusal(response.status_code, await response.aread())
                async for piece in response.aiter_bytes():
                    take(piece)

    async def follow(self, job_id: str, after: int, take: Take) -> int | None:
        """Give every event of a job that follows `after` to `take`, as they come.

        Returns None after the job's end; where the stream ended before, the cursor to go on from.

        Raises:
            Lost, Said; what `take` raises.
        """
        headers = self._headers("text/event-stream") | {"Last-Event-ID": str(after)}
        url = f"{self._address.url.rstrip('/')}/api/jobs/{job_id}/events"
        frames = Frames()
        try:
            with connection.lost():
                async with self._http.stream(
                    "GET", url, headers=headers, timeout=limits.CLI_SILENCE_S
                ) as response:
                    if response.status_code == NO_CONTENT:
                        return None
                    if response.status_code != OK:
                        raise refusal(response.status_code, await response.aread())
                    async for piece in response.aiter_bytes():
                        for frame in frames.feed(piece):
                            take(frame)
                            after = int(frame.id)
                            if frame.event == END:
                                return None
        except UpstreamLost:
            if not frames.last_id:
                raise Lost(self._unreachable()) from None
        return after

    def _headers(self, accept: str) -> dict[str, str]:
        return {"Accept": accept, "Authorization": f"Bearer {self._address.token}"}

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            with connection.lost():
                yield
        except UpstreamLost:
            raise Lost(self._unreachable()) from None

    def _unreachable(self) -> str:
        return f"no service answers at {self._address.url}"


def refusal(status: int, content: bytes) -> Lost | Said:
    """Return a problem document as an error: its detail, or whatever else there is to say."""
    try:
        document: Mapping[str, Any] = json.loads(content)
        sentence = str(document.get("detail") or document.get("title") or f"status {status}")
        name = str(document.get("type", "")).rpartition(":")[2]
    except (ValueError, AttributeError):
        sentence, name = f"the service answered with status {status}", ""
    if status == UNAVAILABLE:
        return Lost(sentence)
    return Said(sentence, name)
