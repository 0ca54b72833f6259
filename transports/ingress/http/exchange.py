"""One request and its answer: Quart's ASGI connection with one task less.

quart-trio runs an answer in a task beside the one that listens for the client to leave; here the
answer runs in the task that Hypercorn made, which an idle stream is charged for. An exception that
Quart has not answered is logged; Hypercorn then sends an empty 500.
Source: quart-trio 0.12 `asgi.py`, quart 0.22 `asgi.py`.
"""

from __future__ import annotations

from typing import Any

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request

from runtime import limits


class Exchange(ASGIHTTPConnection):
    """Feeds the body to the request, sends the answer, and stops when the client leaves."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = self._create_request_from_scope(send)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, request, receive, nursery.cancel_scope)
            await self._answer(request, send)
            nursery.cancel_scope.cancel()

    async def _listen(
        self, request: Request, receive: ASGIReceiveCallable, scope: trio.CancelScope
    ) -> None:
        await self.handle_messages(request, receive)
        scope.cancel()  # the client has left

    async def _answer(self, request: Request, send: ASGISendCallable) -> None:
        response: Any = await self.app.handle_request(request)
        if not request.body._complete.is_set():  # noqa: SLF001 - Quart offers no other way
            await self._late_body(request)
        await self._send_response(send, response)

    async def _late_body(self, request: Request) -> None:
        """Wait a moment for the rest of the body: answering before it costs the connection."""
        with trio.move_on_after(limits.LATE_BODY_S):
            await request.body._complete.wait()  # noqa: SLF001
