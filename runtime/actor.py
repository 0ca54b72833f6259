"""TrioActor: pykka's actor, run by one trio task instead of one thread.

One object, one ref and one mailbox for all its lives; a life is one run of `started` and `serve` in
a nursery of its own (`life`), begun and ended by the supervisor (`runtime.supervisor`). Messages
overtake parts: of what waits, a burst of messages is handled first, then a burst of parts, then
messages are looked at again, with a checkpoint between.

A Problem raised for an ask is its answer. Any other exception, and every exception for a tell or
for parts, ends the life; where somebody waits for the message that did it, they get the failure.

What differs from a ThreadingActor: a supervisor starts it, so pykka's list of all actors (which is
searched from end to end at every stop) does not know it; a crash restarts it, and `on_failure` is
the supervisor's affair. An actor must not ask itself, nor one that asks it: both would wait for
ever. A cancelled ask is still handled, unheard.
Source: pykka 4.5 `_actor.py`, `_ref.py` (`_create_actor_inbox` and `_create_future` are its seams).
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Coroutine
from typing import Any, NoReturn

import pykka
import trio
from pykka import ActorDeadError
from pykka._envelope import Envelope
from pykka.messages import _ActorStop  # pykka has no public one

from runtime import limits
from runtime.mailbox import Mailbox
from runtime.problems import Problem
from runtime.reply import Reply, refuse_to_block


class TrioRef(pykka.ActorRef[Any]):
    """The address of a TrioActor; stays good over its lives. Safe to use from any thread."""

    actor_inbox: Mailbox

    def is_alive(self) -> bool:
        """Whether a message would be taken; true also between two lives."""
        return not self.actor_inbox.closed

    def tell(self, message: Any) -> None:
        """Send a message without waiting for anything.

        Raises:
            MailboxFull: too many messages wait.
            ActorDeadError: the actor has stopped or left.
        """
        self.actor_inbox.put(Envelope(message))

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Send a message and return its Reply, or with `block`, from a thread, the answer.

        Raises:
            MailboxFull: too many messages wait; the reply carries every other failure.
            RuntimeError: blocking inside trio; nothing has been sent.
        """
        if block:
            refuse_to_block()
        reply = self._send(message)
        return reply.get(timeout=timeout) if block else reply

    async def request(self, message: Any) -> Any:
        """Ask and await the answer."""
        return await self._send(message)

    async def offer(self, part: Any) -> None:
        """Hand over a part once there is room for it in the data lane; from trio tasks.

        Raises:
            ActorDeadError: the actor has stopped; the part was not taken.
        """
        await self.actor_inbox.offer(part)

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """End the actor after the messages sent before; what comes later finds it dead.

        The Reply, or with `block` the answer, is True once its life has ended; False where it was
        dead before.
        """
        if block:
            refuse_to_block()
        reply = Reply()
        try:
            self.actor_inbox.put(Envelope(_ActorStop(), reply))
        except ActorDeadError:
            reply.set(value=False)
        return reply.get(timeout=timeout) if block else reply

    def _send(self, message: Any) -> Reply:
        reply = Reply()
        try:
            self.actor_inbox.put(Envelope(message, reply))
        except ActorDeadError as dead:
            reply.fail(dead)
        return reply


class TrioActor(pykka.Actor):
    """Subclass and write `handle`, where parts are offered `handle_parts`, and `started`."""

    actor_inbox: Mailbox
    life: trio.Nursery  # start tasks here: they end with this life, and a crash in one ends it
    stopping: pykka.Future[Any] | None = None  # the stop's reply; settled when all has ended

    def __init__(self) -> None:
        # what pykka's own does, without a random name and a ref that nobody has
        self.actor_urn = f"urn:runchat:{type(self).__name__}"
        self.actor_inbox, self.actor_stopped = self._create_actor_inbox(), threading.Event()
        self._actor_ref = TrioRef(self)

    def named(self, urn: str) -> None:
        """Take a name that is the same in every run, where pykka's is random."""
        self.actor_urn = self._actor_ref.actor_urn = urn

    @classmethod
    def start(cls, *_: Any, **__: Any) -> NoReturn:
        """Refuse: a TrioActor is built by its constructor and run by a supervisor."""
        raise TypeError(f"{cls.__name__} is started by a Supervisor")

    @property
    def actor_ref(self) -> Any:
        """The address to hand out; always a TrioRef."""
        return self._actor_ref

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @staticmethod
    def _create_future() -> Reply:
        return Reply()

    def _start_actor_loop(self) -> NoReturn:
        self.start()

    async def started(self) -> None:
        """Begin a life: rebuild all state. A Problem in the first one goes to whoever looks."""
        self.on_start()

    async def handle(self, message: Any) -> Any:
        """Act on one message; what it returns answers an ask. Unless written: pykka's own way."""
        answer = self._handle_receive(message)
        return await answer if inspect.iscoroutine(answer) else answer

    def on_receive(self, message: Any) -> Any:
        """Refuse what nobody wrote a handler for; pykka's own would log it, words and all."""
        raise NotImplementedError(f"{self} takes no {type(message).__name__}")

    async def handle_parts(self, parts: list[Any]) -> None:
        """Act on a burst of parts, all that waits up to limits.PARTS_BURST, never none."""
        raise NotImplementedError(f"{self} takes no parts, but was offered {len(parts)}")

    def idle(self) -> bool:
        """Whether the actor may leave when nothing has come for a while."""
        return True

    async def serve(self) -> None:
        """Handle what comes until the mailbox is closed, by a stop or by the supervisor."""
        mailbox = self.actor_inbox
        while not mailbox.closed:
            await mailbox.wait()
            for _ in range(limits.MESSAGES_BURST):
                if (envelope := mailbox.take()) is None:
                    break
                if isinstance(envelope.message, _ActorStop):
                    self.stopping = envelope.reply_to
                    mailbox.close()
                    self.on_stop()
                    return
                if envelope.reply_to is None:
                    await self.handle(envelope.message)
                else:
                    await _answer(envelope.reply_to, self.handle(envelope.message))
            if parts := mailbox.take_parts():
                await self.handle_parts(parts)
            if not mailbox.empty():
                await trio.lowlevel.checkpoint()

    def bury(self, error: BaseException | None = None) -> None:
        """End for good: answer all that waits, and whoever asked for the stop.

        Args:
            error: what those who wait are told; None tells them that the actor has stopped.
        """
        self.actor_stopped.set()
        self.actor_inbox.close(error)
        if self.stopping is not None:
            self.stopping.set(True)


async def _answer(reply: pykka.Future[Any], handling: Coroutine[Any, Any, Any]) -> None:
    """Settle `reply` with what comes of handling its message, whatever that is."""
    try:
        answer = await handling
    except Problem:
        reply.set_exception()
    except Exception:
        reply.set_exception()
        raise
    except BaseException:  # cancelled with its life, or the whole program ends
        dead = ActorDeadError("The actor's life ended while it handled the message")
        reply.set_exception((ActorDeadError, dead, None))
        raise
    else:
        reply.set(answer)
