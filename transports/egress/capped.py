"""The body of an answer, no longer, no later and no larger than its reach allows.

What is counted is both what comes and what it decodes to. A coding is taken apart here, a bounded
piece at a time, so that a small answer cannot become a large one in memory before it is counted;
one that was not asked for is refused.
Source: RFC 9110 section 8.4; zlib's `decompressobj` with a length.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx2
import trio

from runtime import limits
from runtime.problems import UpstreamSaid
from transports.egress.guard import Reach

DEADLINE: Final = "runchat.deadline"  # of a request and all its redirects, in trio's time
WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's `wbits`


def too_late() -> httpx2.ReadTimeout:
    """Return the error of a request whose answer was not whole in time."""
    return httpx2.ReadTimeout("The whole answer took too long.")


class Capped(httpx2.AsyncByteStream):
    """The body of one response."""

    def __init__(self, response: httpx2.Response, due: float, reach: Reach) -> None:
        """Take over a response's body, and its coding.

        Raises:
            UpstreamSaid: the body is coded in a way that was not asked for.
        """
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._inner, self._due, self._most = response.stream, due, reach.body_bytes
        self._idle_s = reach.idle_s
        self._decoder = _decoder(response, reach)
        self._came = self._made = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        while True:
            chunk = None
            if self._due - trio.current_time() > self._idle_s:  # a read ends before it is too late
                chunk = await anext(chunks, None)
            else:
                with trio.CancelScope(deadline=self._due) as scope:
                    chunk = await anext(chunks, None)
                if scope.cancelled_caught:
                    raise too_late()
            if chunk is None:
                return
            self._came += len(chunk)
            for piece in self._decoded(chunk):
                self._made += len(piece)
                if max(self._came, self._made) > self._most:
                    raise UpstreamSaid(
                        "The answer is too large.", code="too_large", **{"class": "egress"}
                    )
                yield piece

    def _decoded(self, chunk: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            yield chunk
            return
        try:
            while chunk:
                yield self._decoder.decompress(chunk, limits.EGRESS_DECODED_BYTES)
                chunk = self._decoder.unconsumed_tail
        except zlib.error as error:
            raise httpx2.DecodingError("The coding of the answer is broken.") from error

    async def aclose(self) -> None:
        await self._inner.aclose()


def _decoder(response: httpx2.Response, reach: Reach) -> zlib._Decompress | None:
    """Return what takes the coding of a response away, and take it from its headers too."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        return None
    if not reach.decodes or coding not in WINDOWS:
        raise UpstreamSaid(
            "The provider sent a coding that was not asked for.",
            code="protocol",
            **{"class": "protocol"},
        )
    del response.headers["content-encoding"]
    response.headers.pop("content-length", None)
    return zlib.decompressobj(WINDOWS[coding])
