"""The subscription actor: owns the wakes of one subscription, and how far each stream is done.

It has no stream of its own. Messages: actors.subscriptions.words. Idle, it has no wake in flight;
as soon as a linked stream goes further than what was acknowledged, it makes a wake, of the next
generation, and tells it: to the webhook, or as a value appended to the wake stream. Whoever handles
it acknowledges, and gives the lease back or loses it in time; then the next wake may come. Nothing
but the present wake, of the present generation, moves anything.

The wake is committed before it is told (law 6), so that none is told twice under one name; a crash
in between costs the time of the lease. Source: Durable Streams protocol 1.0, sections 6 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, assert_never

import trio
from pykka import ActorDeadError

from actors.changing import commit
from actors.spine import Spine
from actors.subscriptions import wake_telling, wake_tokens
from actors.subscriptions.links import Links
from actors.subscriptions.rows import (
    described,
    digest,
    new_row,
    without_wake,
    without_what_is_over,
)
from actors.subscriptions.wake_tokens import WakeToken
from actors.subscriptions.watches import Watch
from actors.subscriptions.words import (
    Ack,
    AddStreams,
    Claim,
    Claimed,
    Delivered,
    Describe,
    Due,
    Grown,
    Message,
    Place,
    Release,
    Removed,
    RemoveStream,
    Subscribe,
    Unsubscribe,
    Who,
    key_of,
)
from runtime import limits
from runtime.actor import TrioActor
from runtime.caller import Caller
from runtime.problems import (
    BadRequest,
    LeaseFenced,
    LeaseHeld,
    NotFound,
    StreamConflict,
    TooManyRequests,
)
from store import subscriptions
from store.database import Database
from store.subscriptions import LinkRow, SubscriptionRow
from store.writer import Write


class Subscription(TrioActor):
    """The one who wakes for one subscription."""

    def __init__(self, spine: Spine, key: str) -> None:
        super().__init__()
        self.spine, self.key = spine, key_of(key)

    async def started(self) -> None:
        """Rebuild from the store, find what began to match, and wake if something waits."""
        self.alarm: trio.CancelScope | None = None
        self.row: SubscriptionRow | None = subscriptions.find(self.spine.reader, self.key)
        self.links = Links(self.spine, self.key)
        if self.row is not None:
            self.links.find_matching(self._watch(self.row))
            self._tell(Due())

    def idle(self) -> bool:
        """It may leave while it waits for nothing but what comes."""
        return self.alarm is None

    async def handle(self, message: Message) -> Any:  # noqa: PLR0911  a table of messages
        match message:
            case Grown() | Removed() | Delivered() | Due():
                return await self._hear(message)
            case Claim() | Ack() | Release():
                return await self._lease(message)
            case Subscribe():
                return await self._subscribe(message)
            case Describe():
                row = self._known()
                return described(row, self.links.explicit(), self.links.places())
            case Unsubscribe():
                return await self._unsubscribe(message)
            case AddStreams():
                row, rows = self._known(), self.links.with_explicit(message.paths)
                return await self._relink(row, rows, message.who, "subscription.add")
            case RemoveStream():
                return await self._remove(message)
        assert_never(message)

    def _known(self) -> SubscriptionRow:
        if self.row is None:
            raise NotFound("There is no such subscription.")
        return self.row

    # --- what it is ---

    async def _subscribe(self, asked: Subscribe) -> bool:
        if self.row is not None:
            if self.row.digest != digest(asked.wanted):
                raise StreamConflict("The subscription is there with another configuration.")
            return False
        now_ms, incarnation = self.spine.clock.now_ms(), self.spine.ids.new("sub_")
        row = new_row(self.key, asked, incarnation=incarnation, now_ms=now_ms)
        found = self.links.of_new(self._watch(row, asked.wanted.streams))

        def rows(db: Database) -> None:
            if subscriptions.count(db, row.tenant, row.user) >= limits.SUBSCRIPTIONS_MAX:
                raise TooManyRequests(f"At most {limits.SUBSCRIPTIONS_MAX} subscriptions.")
            subscriptions.insert(db, row)
            self.links.keep(db, found)

        await self._change(asked.who, "subscription.create", rows)
        self.row, self.links.rows = row, found
        self.spine.watches.set(self._watch(row))
        return True

    def _watch(self, row: SubscriptionRow, explicit: tuple[str, ...] | None = None) -> Watch:
        paths = self.links.explicit() if explicit is None else explicit
        return Watch(
            key=self.key,
            pattern=row.pattern,
            wake_stream=row.wake_stream,
            explicit=frozenset(paths),
        )

    async def _unsubscribe(self, asked: Unsubscribe) -> None:
        self._known()
        await self._change(
            asked.who, "subscription.delete", lambda db: subscriptions.remove(db, self.key)
        )
        self.row, self.links.rows = None, {}
        self.spine.watches.drop(self.key)
        self._arm()

    async def _remove(self, asked: RemoveStream) -> None:
        row, link = self._known(), self.links.rows.get(asked.path)
        if link is not None and link.explicit:
            rows = self.links.without_explicit(asked.path)
            await self._relink(row, rows, asked.who, "subscription.remove")

    async def _relink(
        self, row: SubscriptionRow, links: dict[str, LinkRow], who: Who, action: str
    ) -> None:
        gone = set(self.links.rows) - set(links)

        def rows(db: Database) -> None:
            for path in gone:
                subscriptions.remove_link(db, self.key, path)
            self.links.keep(db, links)

        await self._change(who, action, rows)
        self.links.rows = links
        self.spine.watches.set(self._watch(row))

    # --- wakes ---

    async def _hear(self, message: Grown | Removed | Delivered | Due) -> None:
        """Take in what happened, and wake if something waits now."""
        row = self.row
        if row is None:
            return
        match message:
            case Grown():
                self.links.match(self._watch(row), message.path)
                await self._consider(message.path)
                return
            case Removed():
                self.links.forget(message.path)
                path = message.path
                await self._keep(lambda db: subscriptions.remove_link(db, self.key, path))
            case Delivered():
                if row.wake_id != message.wake_id:
                    return
                self._take(row, message)
            case Due():
                self.row = without_what_is_over(row, self.spine.clock.now_ms())
        if not await self._consider(None):
            await self._keep()
        self._arm()

    def _take(self, row: SubscriptionRow, told: Delivered) -> None:
        if told.outcome == "failed":
            failures = row.failures + 1
            pause_ms = wake_telling.pause_ms(failures, self.spine.ids.random)
            due_ms = self.spine.clock.now_ms() + pause_ms
            self.row = replace(without_wake(row), failures=failures, next_attempt_at_ms=due_ms)
        elif told.outcome == "done":
            self.links.rows = self.links.move(told.tails)
            self.row = replace(without_wake(row), failures=0)
        else:
            self.row = replace(row, failures=0)

    async def _consider(self, about: str | None) -> bool:
        """Make a wake and tell it, where something waits and none is in flight; say whether."""
        row = self.row
        if row is None or row.wake_id is not None or row.next_attempt_at_ms is not None:
            return False
        places = self.links.places()
        pending = [each.path for each in places if each.is_pending]
        if not pending:
            return False
        until_ms = self.spine.clock.now_ms() + row.lease_ttl_ms
        self.row = woken = replace(
            row,
            generation=row.generation + 1,
            wake_id=self.spine.ids.new("wake_"),
            holder=None,
            lease_until_ms=until_ms if row.type == "webhook" else None,
        )
        await self._keep()  # where it fails, this life ends, and the next one reads what is kept
        self._arm()
        if row.type == "webhook":
            self.life.start_soon(self._deliver, woken, places)
        else:
            path = about if about in pending else pending[0]
            self.life.start_soon(wake_telling.say, self.spine, woken, path)
        return True

    async def _deliver(self, row: SubscriptionRow, places: tuple[Place, ...]) -> None:
        """Post a wake to the webhook, and tell ourselves how that went."""
        assert row.wake_id is not None
        outcome = await wake_telling.tell_webhook(self.spine, row, places)
        tails = {each.path: each.tail for each in places}
        self._tell(Delivered(wake_id=row.wake_id, outcome=outcome, tails=tails))

    # --- leases ---

    async def _lease(self, message: Claim | Ack | Release) -> Any:
        match message:
            case Claim():
                return await self._claim(message)
            case Ack():
                return await self._ack(message)
            case Release():
                row = self._fenced(message)
                who = self._who(message.request_id)
                await self._become(without_wake(row), {}, who, "subscription.release")
                return await self._consider(None)

    async def _claim(self, asked: Claim) -> Claimed:
        row, places = self._known(), self.links.places()
        if row.type != "pull-wake":
            raise BadRequest("Only a pull-wake subscription is claimed.")
        if row.holder is not None:
            held = {"current_holder": row.holder, "generation": row.generation}
            error = {"code": "ALREADY_CLAIMED", **held}
            raise LeaseHeld("Another worker holds the lease.", error=error)
        if not any(each.is_pending for each in places):
            raise LeaseHeld("There is nothing to do.", error={"code": "NO_PENDING_WORK"})
        generation, wake_id = row.generation, row.wake_id
        if wake_id is None:
            generation, wake_id = generation + 1, self.spine.ids.new("wake_")
        held_row = replace(
            row,
            generation=generation,
            wake_id=wake_id,
            holder=asked.worker,
            lease_until_ms=self.spine.clock.now_ms() + row.lease_ttl_ms,
        )
        await self._become(held_row, {}, asked.who, "subscription.claim")
        token = WakeToken(key=self.key, incarnation=row.incarnation, generation=generation)
        return Claimed(
            wake_id=wake_id,
            generation=generation,
            token=await wake_tokens.issue(self.spine, token),
            places=places,
            lease_ttl_ms=row.lease_ttl_ms,
        )

    async def _ack(self, asked: Ack) -> bool:
        row = self._fenced(asked)
        if row.type != asked.type:
            raise BadRequest(f"This subscription is {row.type}.")
        tails = {each.path: each.tail for each in self.links.places()}
        if any(sequence > tails.get(path, -1) for path, sequence in asked.acks.items()):
            raise BadRequest("An acknowledged offset is of no linked stream, or past its end.")
        until_ms = self.spine.clock.now_ms() + row.lease_ttl_ms
        now = without_wake(row) if asked.done else replace(row, lease_until_ms=until_ms)
        who = self._who(asked.request_id)
        await self._become(now, asked.acks, who, "subscription.ack")
        return asked.done and await self._consider(None)

    def _fenced(self, asked: Ack | Release) -> SubscriptionRow:
        """Return the subscription, if the token and the words are of its present wake."""
        row, token = self._known(), asked.token
        named = (asked.wake_id, asked.generation, token.generation, token.incarnation)
        if named != (row.wake_id, row.generation, row.generation, row.incarnation):
            detail = "This wake is no longer the present one."
            raise LeaseFenced(detail, error={"code": "FENCED", "message": detail})
        return row

    def _who(self, request_id: str) -> Who:
        """Return who shows a token: whoever its subscription belongs to."""
        owner = Caller(tenant=self.key.tenant, user=self.key.user)
        return Who(caller=owner, request_id=request_id)

    # --- keeping ---

    async def _become(
        self, row: SubscriptionRow, acks: Mapping[str, int], who: Who, action: str
    ) -> None:
        """Commit a state that somebody asked for."""
        links = self.links.move(acks)

        def rows(db: Database) -> None:
            subscriptions.keep_state(db, row)
            self.links.keep(db, links)

        await self._change(who, action, rows)
        self.row, self.links.rows = row, links
        self._arm()

    async def _change(self, who: Who, action: str, rows: Callable[[Database], None]) -> None:
        # The key is the caller's own, or a token's.
        await commit(self.spine, who.caller, action, self.key.id, rows, who.request_id)

    async def _keep(self, also: Callable[[Database], None] | None = None) -> None:
        """Commit where the subscription stands; what changed by itself needs no audit."""
        row, links = self.row, self.links.rows
        assert row is not None

        def rows(db: Database) -> None:
            if also is not None:
                also(db)
            subscriptions.keep_state(db, row)
            self.links.keep(db, links)

        await self.spine.writer.write(Write(rows=rows))

    def _arm(self) -> None:
        """Set the alarm to the next moment at which something may be over."""
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None
        row = self.row
        moments = [row.lease_until_ms, row.next_attempt_at_ms] if row else []
        due_ms = min((each for each in moments if each is not None), default=None)
        if due_ms is not None:
            self.alarm = trio.CancelScope()
            pause_s = max(0, due_ms - self.spine.clock.now_ms()) / 1000
            self.life.start_soon(self._ring, self.alarm, pause_s)

    async def _ring(self, alarm: trio.CancelScope, pause_s: float) -> None:
        with alarm:
            await trio.sleep(pause_s)
            self._tell(Due())

    def _tell(self, message: Message) -> None:
        try:
            self.actor_ref.tell(message)
        except ActorDeadError:
            return  # the next life looks for itself
