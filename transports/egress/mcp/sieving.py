"""Takes out of a list of tools those that are none, before the SDK reads it.

The SDK refuses a list for one tool that is not as the protocol has it, such as one with a schema
that is none: all tools of a server would be gone. So a list is judged as the SDK will judge it, and
loses the tools that it is refused for. It tells all names that came, so that what is missing later
can be told: the SDK itself leaves out what it does not want.
Source: the SDK's `ClientSession.send_request`; MCP 2026-07-28 and 2025-11-25, `tools/list`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import mcp_types as types
from mcp.shared.message import SessionMessage
from mcp_types import methods
from mcp_types.version import LATEST_PROTOCOL_VERSION
from pydantic import ValidationError

from runtime import limits

if TYPE_CHECKING:
    from mcp.client._transport import Transport, TransportStreams
    from mcp.shared._stream_protocols import ReadStream

CAME: Final = "runchat/came"  # in `_meta`: the names of all tools of a page


class Sieve:
    """Goes round a session's transport. `revision` is the one agreed upon, once it is."""

    def __init__(self, transport: Transport) -> None:
        self.revision, self._transport = LATEST_PROTOCOL_VERSION, transport

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[TransportStreams]:
        """Open the transport; lists come through the sieve."""
        async with self._transport as (reading, writing):
            yield Sieved(reading, self), writing

    def take(self, message: SessionMessage | Exception) -> None:
        """Take what is no tool out of a message, where it brings a list of them."""
        if not isinstance(message, SessionMessage):
            return
        if not isinstance(message.message, types.JSONRPCResponse):
            return
        result = message.message.result
        if not isinstance(tools := result.get("tools"), list):
            return
        tools = tools[: limits.MCP_TOOLS_MAX + 1]  # one more is too many in any case
        result["tools"] = tools
        if not _fits(result, self.revision):
            result["tools"] = [
                each for each in tools if _fits({**result, "tools": [each]}, self.revision)
            ]
        meta = result.get("_meta")
        came = [_name(each) for each in tools]
        result["_meta"] = {**(meta if isinstance(meta, dict) else {}), CAME: came}


class Sieved:
    """The stream of what comes; see the SDK's `ReadStream`."""

    def __init__(self, reading: ReadStream[SessionMessage | Exception], sieve: Sieve) -> None:
        self._reading, self._sieve = reading, sieve

    @property
    def last_context(self) -> Any:
        """Whose message came last, as the stream within says."""
        return getattr(self._reading, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message."""
        message = await self._reading.receive()
        self._sieve.take(message)
        return message

    async def aclose(self) -> None:
        """Close the stream within."""
        await self._reading.aclose()

    def __aiter__(self) -> Sieved:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        message = await self._reading.__anext__()
        self._sieve.take(message)
        return message

    async def __aenter__(self) -> Self:
        await self._reading.__aenter__()
        return self

    async def __aexit__(self, *how: Any) -> bool | None:  # noqa: PYI036 -- passed on
        return await self._reading.__aexit__(*how)


def missing(found: types.ListToolsResult) -> tuple[str, ...]:
    """Return the names of the tools that came and are not in a list any more."""
    came: Sequence[str] = (found.meta or {}).get(CAME, ())
    return tuple((Counter(came) - Counter(tool.name for tool in found.tools)).elements())


def _fits(result: Mapping[str, Any], revision: str) -> bool:
    """Whether the SDK would take a list."""
    try:
        methods.validate_server_result("tools/list", revision, result)
        types.ListToolsResult.model_validate(result, by_name=False)
    except ValidationError:
        return False
    return True


def _name(tool: Any) -> str:
    name = tool.get("name") if isinstance(tool, dict) else None
    return str(name)[: limits.TOOL_ID_CHARS] if name is not None else "(nameless)"
