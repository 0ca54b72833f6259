"""Runs an async program so that a seed decides all of it: who runs next, and what time it is.

Theory: trio shuffles the tasks that are ready by one private random generator, and has a private
switch that first sorts them by birth. With the switch on, the generator seeded, and the clock
jumping to the next deadline whenever nothing can run, a program without threads is a function of
its seed. Both names are private, so `specs/unit/harness/test_sim_scheduler.py` says that they are
there. Source: trio 0.35 `_core/_run.py` (`unrolled_run`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
from trio.testing import MockClock

T = TypeVar("T")
EPOCH_MS = 1_800_000_000_000  # when every simulated world begins


class VirtualClock:
    """The `runtime.clock.Clock` that moves with trio's."""

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return EPOCH_MS + int(trio.current_time() * 1000)


def run(program: Callable[[], Awaitable[T]], seed: int, *, seeds_trio: bool = True) -> T:
    """Run `program` in a trio loop of its own and return what it returns.

    Args:
        seeds_trio: False leaves the order of ready tasks to chance, for the control.
    """
    inner: Any = trio._core._run  # noqa: SLF001  trio offers no other way
    switch, state = inner._ALLOW_DETERMINISTIC_SCHEDULING, inner._r.getstate()  # noqa: SLF001
    try:
        inner._ALLOW_DETERMINISTIC_SCHEDULING = seeds_trio  # noqa: SLF001
        inner._r.seed(seed if seeds_trio else None)  # noqa: SLF001  None: the machine's randomness
        return trio.run(program, clock=MockClock(autojump_threshold=0))
    finally:
        inner._ALLOW_DETERMINISTIC_SCHEDULING = switch  # noqa: SLF001
        inner._r.setstate(state)  # noqa: SLF001
