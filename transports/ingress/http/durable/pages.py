"""Catch-up: what a stream holds, as stored, a page of 64 KiB at a time.

Nothing is parsed or made again: JSON is the stored values between brackets and commas. An answer
that fits in a page is sent whole; a longer one begins with its first page and goes on as the client
takes it. Its end is known before it begins, so that it is the same whatever is appended meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Self

import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from actors.streams import view as stream_view
from actors.streams.body import is_json
from actors.streams.view import View
from runtime.hub import Hub
from runtime.log import EventLog, Segment
from runtime.offsets import offset_of
from runtime.problems import NotFound

NO_CACHE: Final = "private, no-cache"  # may be kept, and asked about before it is used again


def values(segment: Segment) -> bytes:
    """Return JSON values as they stand in an array, without its brackets."""
    return b",".join(segment.bodies)


def plain(segment: Segment) -> bytes:
    """Return the bytes of appends."""
    return b"".join(segment.bodies)


class Pages(ResponseBody, AsyncIterator[bytes]):
    """The records between two sequences as the bytes of a body."""

    def __init__(self, log: EventLog, hub: Hub, view: View, start: int) -> None:
        self._log, self._hub, self._links = log, hub, view.links
        self._after, self._end = start, view.tail
        self._json = is_json(view.content_type)
        self._begun = self._over = False

    def is_over(self) -> bool:
        """Whether all has been handed out."""
        return self._over

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next page."""
        if self._over:
            raise StopAsyncIteration
        if self._begun:
            await trio.lowlevel.checkpoint()
        begins, self._begun = b"," if self._begun else b"[", True
        pieces = await self._page()
        if not self._json:
            return b"".join(pieces)
        return b"%b%b%b" % (begins, b",".join(pieces), b"]" if self.is_over() else b"")

    async def _page(self) -> list[bytes]:
        render = values if self._json else plain
        pieces: list[bytes] = []
        while not pieces and self._after < self._end:
            for link, segment in stream_view.read(self._log, self._links, self._after):
                part = segment.upto(self._end - link.base)
                pieces.append(part.render_whole(render))
                self._after = link.base + part.last
                if self._after >= self._end:
                    break
            if not pieces:
                await self._wait()
        self._over = self._after >= self._end
        return pieces

    async def _wait(self) -> None:
        """Wait for a commit to be announced that the head knows of already."""
        own = self._links[-1].stream
        if self._log.head(own) is None:
            raise NotFound("The stream was deleted.")
        with trio.fail_after(1):
            await self._hub.wait(own)


def etag(view: View, start: int) -> str:
    """Return the entity tag of what lies after `start`; it changes when the stream closes."""
    return f'"{view.id}:{start}:{view.tail}{":c" if view.closed else ""}"'


def matches(if_none_match: str, tag: str) -> bool:
    """Whether a client has this very answer. Source: RFC 9110, section 13.1.2."""
    given = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in given or tag in given


async def body_of(pages: Pages, content_type: str) -> Response:
    """Return the answer of these pages, with a length where they are one."""
    first = await anext(pages)
    if pages.is_over():
        return Response(first, 200, content_type=content_type)
    return Response(_Continued(first, pages), 200, content_type=content_type)


class _Continued(ResponseBody, AsyncIterator[bytes]):
    """Pages whose first was taken already."""

    greets = True  # its first part is there at once

    def __init__(self, first: bytes, rest: Pages) -> None:
        self._first, self._rest = first, rest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await anext(self._rest)


def place(response: Response, view: View, sequence: int) -> Response:
    """Say on an answer where its reader stands, and whether that is the end of the stream."""
    response.headers["Stream-Next-Offset"] = offset_of(sequence)
    if sequence >= view.tail:
        response.headers["Stream-Up-To-Date"] = "true"
        if view.closed:
            response.headers["Stream-Closed"] = "true"
    return response
