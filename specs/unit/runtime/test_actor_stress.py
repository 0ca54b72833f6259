"""Under a storm of tells, asks, crashes and stops no accepted ask goes without an answer.

Threads and tasks send at random to a few supervised actors; what each actor has handled is then
compared with what each sender was told. The seed decides what is sent, the machine in which order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
import trio
from pykka import ActorDeadError

from runtime.problems import MailboxFull, NotFound
from runtime.supervisor import Supervisor
from specs.unit.runtime.stage import Diary, supervised

ACTORS = ("a", "b", "c")
MESSAGES = 150  # of each sender
PATIENCE_S = 20.0

Sent = tuple[str, int]  # who, and which of theirs


@dataclass(slots=True)
class Told:
    """What one sender knows of what it sent."""

    answered: list[Sent] = field(default_factory=list)
    tells: list[Sent] = field(default_factory=list)
    outcomes: int = 0  # of asks: answers and failures


class Book(Diary):
    """Notes each message in a book that outlives it, then answers, refuses or crashes."""

    def __init__(self, book: list[Sent]) -> None:
        super().__init__()
        self.book = book

    async def handle(self, message: Any) -> Any:
        kind, sent = message
        self.book.append(sent)
        if sent[1] % 7 == 0:
            await trio.lowlevel.checkpoint()
        match kind:
            case "crash":
                raise ValueError("as asked")
            case "refuse":
                raise NotFound("as asked")
        return sent


def choose(chance: Random) -> str:
    return chance.choices(("tell", "ask", "refuse", "crash", "stop"), (60, 60, 10, 1, 1))[0]


def told_of(outcome: BaseException | Sent, sent: Sent, told: Told) -> None:
    """Take an outcome of an ask; anything that is no answer and no known failure is an error."""
    told.outcomes += 1
    match outcome:
        case ValueError() | NotFound() | ActorDeadError():
            pass
        case tuple():
            assert outcome == sent
            told.answered.append(sent)
        case error:
            raise error


async def send_as_task(supervisor: Supervisor, who: str, seed: int) -> tuple[Told, int]:
    chance, told, asks = Random(f"{seed} {who}"), Told(), 0  # noqa: S311  a storm, no secret
    for number in range(MESSAGES):
        sent, kind = (who, number), choose(chance)
        try:
            ref = await supervisor.find(chance.choice(ACTORS))
            if kind == "stop":
                ref.stop(block=False)
            elif kind == "tell":
                ref.tell((kind, sent))
                told.tells.append(sent)
            else:
                asks += 1
                told_of(await ref.request((kind, sent)), sent, told)
        except MailboxFull:
            await trio.lowlevel.checkpoint()
        except (ValueError, NotFound, ActorDeadError) as failure:
            told_of(failure, sent, told)
    return told, asks


def send_as_thread(supervisor: Supervisor, who: str, seed: int) -> tuple[Told, int]:
    chance, told, asks = Random(f"{seed} {who}"), Told(), 0  # noqa: S311  a storm, no secret
    for number in range(MESSAGES):
        sent, kind = (who, number), choose(chance)
        ref = trio.from_thread.run(supervisor.find, chance.choice(ACTORS))
        try:
            if kind == "stop":
                ref.stop(block=False)
            elif kind == "tell":
                ref.tell((kind, sent))
                told.tells.append(sent)
            else:
                reply = ref.ask((kind, sent), block=False)
                asks += 1
                told_of(reply.get(timeout=PATIENCE_S), sent, told)
        except MailboxFull:
            continue
        except (ValueError, NotFound, ActorDeadError) as failure:
            if kind != "tell":
                told_of(failure, sent, told)
    return told, asks


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_that_was_answered_is_lost_and_each_senders_order_is_kept(seed: int) -> None:
    books: dict[str, list[Sent]] = {key: [] for key in ACTORS}
    told: dict[str, tuple[Told, int]] = {}

    async with supervised(lambda key: Book(books[key])) as supervisor:

        async def as_task(who: str) -> None:
            told[who] = await send_as_task(supervisor, who, seed)

        async def as_thread(who: str) -> None:
            told[who] = await trio.to_thread.run_sync(send_as_thread, supervisor, who, seed)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(as_task, f"task {number}")
                nursery.start_soon(as_thread, f"thread {number}")

    handled = [sent for book in books.values() for sent in book]
    assert len(handled) == len(set(handled))  # nothing is handled twice
    for who, (known, asks) in told.items():
        assert known.outcomes == asks, who
        assert set(known.answered) <= set(handled)
        for book in books.values():
            numbers = [number for by, number in book if by == who]
            assert numbers == sorted(numbers)
