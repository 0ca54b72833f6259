"""A model that makes as much text as it is told, as fast as it is told, and fails as it is told.

Delta `index` is 60 mixed bits of seed and index as 15 hexadecimal digits and a space, repeated and
cut to `size`, so that a reader can check each delta alone. Source: contract section 7; the mixing
is splitmix64's last step (Steele, Lea and Flood, 2014), over seed * A + (index + 1) * B mod 2**64.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Literal

import trio
from pydantic import Field

from runtime import limits
from runtime.problems import UpstreamSaid
from transports.egress.providers.base import (
    Delta,
    End,
    ItemDone,
    ItemStart,
    Model,
    Part,
    Request,
    Whole,
)

MASK = (1 << 64) - 1
WORD_CHARS = 16  # 15 digits and a space
INTEGER_MAX = 2**63 - 1  # what JSON readers of most languages can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOptions:
    """What is to be made.

    Args:
        count: deltas.
        interval_ms: from one delta to the next; 0 is as fast as it goes.
        size: characters of a delta.
        fail_after: deltas before `end` is taken; None is after all. `finish` ignores it.
        end: how it ends: as it should, cut short, with an error, or never.
    """

    count: Annotated[Whole, Field(ge=0, le=limits.SYNTHETIC_DELTAS_MAX)] = 100
    interval_ms: Annotated[Whole, Field(ge=0, le=limits.SYNTHETIC_INTERVAL_MS_MAX)] = 0
    size: Annotated[Whole, Field(ge=1, le=limits.SYNTHETIC_CHARS_MAX)] = 16
    seed: Annotated[Whole, Field(ge=-INTEGER_MAX, le=INTEGER_MAX)] = 0
    fail_after: Annotated[Whole, Field(ge=0, le=INTEGER_MAX)] | None = None
    end: Literal["finish", "truncate", "error", "stall"] = "finish"


class Synthetic:
    """The provider `synthetic` with its one model `synthetic/tokens`. Never on unless allowed."""

    endpoint = "synthetic"
    models: tuple[Model, ...] = (
        Model(id="synthetic/tokens", endpoint="synthetic", options=SyntheticOptions),
    )
    concurrency = limits.UNMETERED_JOBS_MAX
    merges = False
    patience_s = limits.PROVIDER_IDLE_S

    async def answer(self, request: Request) -> AsyncGenerator[Part, None]:
        """Yield the deltas that the options ask for, then end as they ask."""
        options: SyntheticOptions = request.options
        yield ItemStart(index=0, type="message")
        begun = trio.current_time()
        burst = max(1, min(limits.MADE_PARTS_BURST, limits.MADE_CHARS_BURST // options.size))
        for index in range(deltas(options)):
            if options.interval_ms:
                await trio.sleep_until(begun + index * options.interval_ms / 1000)
            elif index % burst == 0:
                await trio.lowlevel.checkpoint()
            yield Delta(index=0, text=delta_text(options.seed, index, options.size))
        match options.end:
            case "finish":
                yield ItemDone(index=0)
                yield End()
            case "error":
                raise UpstreamSaid("The model failed, as it was told to.", code="synthetic")
            case "stall":
                await trio.sleep_forever()
            case "truncate":
                return

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def deltas(options: SyntheticOptions) -> int:
    """Return how many deltas come before the end."""
    if options.end == "finish" or options.fail_after is None:
        return options.count
    return min(options.count, options.fail_after)


def delta_text(seed: int, index: int, size: int) -> str:
    """Return the text of one delta: `size` ASCII characters that depend on seed and index."""
    mixed = (seed * 0x9E3779B97F4A7C15 + (index + 1) * 0xD1342543DE82EF95) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    word = f"{(mixed ^ (mixed >> 31)) >> 4:015x} "
    return word if size == WORD_CHARS else (word * (size // WORD_CHARS + 1))[:size]
