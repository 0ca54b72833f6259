"""Where actors are tried: a supervisor that ends with its block, and a few small actors."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio

from runtime.actor import TrioActor, TrioRef
from runtime.problems import NotFound
from runtime.supervisor import GaveUp, Supervisor

GATE_TIMEOUT_S = 20  # real seconds; a gate nobody opens fails the spec that waits behind it


@asynccontextmanager
async def supervised(
    start: Callable[[str], TrioActor],
    *,
    idle_s: float | None = None,
    gave_up: GaveUp | None = None,
) -> AsyncIterator[Supervisor]:
    async with trio.open_nursery() as nursery:
        chance = Random(1)  # noqa: S311  jitter, the same in every run
        yield Supervisor(
            nursery, start, name="stage", random=chance, idle_s=idle_s, gave_up=gave_up
        )
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def alone(actor: TrioActor) -> AsyncIterator[TrioRef]:
    """Run one actor."""
    async with supervised(lambda _: actor) as supervisor:
        yield await supervisor.find("alone")


class Gate:
    """Holds an actor of either kind inside a message until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def enter(self) -> None:
        self.entered.set()
        assert self.opened.wait(timeout=GATE_TIMEOUT_S) is True


class Diary(TrioActor):
    """Writes down what happens to it, messages and parts alike, over all its lives."""

    def __init__(self) -> None:
        super().__init__()
        self.lives = 0
        self.seen: list[Any] = []

    async def started(self) -> None:
        self.lives += 1

    async def handle(self, message: Any) -> Any:
        match message:
            case Exception():
                raise message
            case trio.Event():
                await message.wait()
            case "refuse":
                raise NotFound("There is no such thing")
            case _:
                self.seen.append(message)
        return len(self.seen)

    async def handle_parts(self, parts: list[Any]) -> None:
        self.seen.append(parts)


class NeverStarts(Diary):
    async def started(self) -> None:
        await super().started()
        raise ValueError("in started")
