"""The ways from an exchange to its client: by Hypercorn's protocol code, and past it.

On HTTP/1.1 a part of a body without a known length is a chunk, whatever came before it: writing it
needs no state, and costs half of what `send` does. Source: RFC 9112, section 7.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """What an exchange may send by.

    Args:
        send: takes a message of the app's.
        write: takes bytes, and returns once they are the kernel's.
        write_now: returns how many bytes a plain socket took without waiting; None where there is
            something between us and the socket.
    """

    send: Callable[[Any], Awaitable[None]]
    write: Callable[[bytes | memoryview], Awaitable[None]]
    write_now: Callable[[bytes], int] | None
