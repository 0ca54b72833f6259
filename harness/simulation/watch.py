"""The laws of open readers: who may hear hears soon, who may not is sent away, none is held.

Theory: `oracle` sees what is committed and what is read; what is *not* read in time is seen here,
by the clock, after every step.
"""

from __future__ import annotations

from typing import Final

import trio

from harness.simulation.clients import Clients
from harness.simulation.follower import Follower
from runtime import limits

CUT_S: Final = limits.READER_STALL_S + 2.0
RECHECKED_S: Final = 60.5  # contract, section 1; and a little for the looking


def some_must_end(clients: Clients) -> bool:
    """Whether a reader's token counts no more, or the service waits for a reader."""
    for each in clients.followers:
        if each.asked is not None and each.worn is not None:
            full = clients.speaks_http and each.asked.incoming.full_since is not None
            if full or clients.badges.state(each.worn) == "dead":
                return True
    return False


def look_at_readers(clients: Clients, woken_s: float) -> None:
    """Check that whoever may read hears soon, that others do not, and that none is held."""
    now = trio.current_time()
    for each in clients.followers:
        if each.asked is not None and not each.stalled:
            _look_at_reader(clients, each, now, woken_s)
        full_since = each.asked.incoming.full_since if each.asked is not None else None
        if clients.speaks_http and full_since is not None and now - full_since > CUT_S:
            clients.oracle.wrong("a reader that takes nothing is cut", each.name, full_since)


def _look_at_reader(clients: Clients, each: Follower, now: float, woken_s: float) -> None:
    times = clients.oracle.times.get(each.stream, ())
    cursor = len(times) if each.cursor is None else each.cursor
    told = not clients.process().closing  # a store that has failed announces nothing more
    if told and each.reading and cursor < len(times):
        since = max(times[cursor], each.reading_since, each.stalled_until)
        if now - since > woken_s:
            clients.oracle.wrong("a reader that waits is woken", each.name, cursor, since)
    if each.reading and each.worn and clients.badges.watch(each.worn) > RECHECKED_S:
        clients.oracle.wrong("a revoked reader ends within a minute", each.name, each.stream)
