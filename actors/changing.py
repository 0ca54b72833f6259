"""Commits what somebody changes, with its audit entry, and the answer under their key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from actors.claims import Claim
from actors.spine import Spine
from runtime.caller import Caller
from store import change
from store.database import Database

R = TypeVar("R")


def own(_: Database) -> bool:
    """Let everybody: what is changed is found by its owner, so that it is the caller's own."""
    return True


async def commit(
    spine: Spine,
    caller: Caller,
    action: str,
    object_id: str,
    rows: Callable[[Database], R],
    request_id: str,
    *,
    access: Callable[[Database], bool] = own,
    claim: Claim | None = None,
    view: Any = None,
) -> R:
    """Return what the rows return, once all is durable; see `store.change.change`.

    Args:
        view: the answer that is kept under the key of the claim, where there is one.
    """
    now_ms = spine.clock.now_ms()
    write = change.change(
        caller,
        action=action,
        object_id=object_id,
        at_ms=now_ms,
        request_id=request_id,
        access=access,
        rows=rows,
        idempotency=claim.record(caller, view, now_ms) if claim else None,
    )
    return await spine.writer.write(write)
