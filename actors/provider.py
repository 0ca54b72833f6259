"""The provider actor: one per endpoint; decides whose call runs, and streams its parts to the job.

Owns no stream. Messages: Generate, Cancel, Hush, CallEnded, Changed. A call is a task of the
actor's life, so a crash of it ends its calls and each job is told. Calls beyond the endpoint's
concurrency wait in a queue that takes users in turn, so that nobody's hundred jobs stand before
another's one. New settings of the endpoint count for the calls that begin after them.
After several failures in a row the circuit opens: calls are refused at once for a while.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import TypeAlias

import structlog
import trio
from pykka import ActorDeadError

from actors.spine import Spine
from runtime import limits
from runtime.actor import TrioActor, TrioRef
from runtime.caller import Caller
from runtime.events import Error
from runtime.problems import Invalid, MailboxFull, UpstreamLost, UpstreamSaid
from transports.egress.providers.base import End, Provider, Request

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Answer `request`; parts go to `job` as `(call, part)`, the last of them an `End`."""

    job: TrioRef
    call: str
    owner: Caller
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Stop a call. Answered with an event that is set once its connection is closed."""

    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hush:
    """Close the call of a job at once; the job, which may be busy, is asked for its end besides."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """A call of this actor has ended, well or badly."""

    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The endpoint has new settings, or is gone; `old` is closed once its last call has ended."""

    old: Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLost:
    """Told to the job: its call died with the provider's actor."""

    call: str


Message: TypeAlias = Generate | Cancel | Hush | CallEnded | Changed


@dataclass(slots=True)
class Call:
    """A call under way, at the provider that stood for the endpoint when it began."""

    provider: Provider
    job_id: str
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    closed: trio.Event = field(default_factory=trio.Event)
    silent_since: float = inf  # trio time of its latest part; inf while the job is the slow one
    was_silent: bool = False  # it was ended for that


class FairQueue:
    """Calls that wait: users take turns, each user's calls in order."""

    def __init__(self) -> None:
        self._users: OrderedDict[str, deque[Generate]] = OrderedDict()
        self._waiting = 0

    def put(self, order: Generate) -> None:
        """Add a call behind its user's others."""
        self._users.setdefault(order.owner.name, deque()).append(order)
        self._waiting += 1

    def take(self) -> Generate | None:
        """Return the next call, or None; its user goes to the back."""
        if not self._users:
            return None
        user, orders = self._users.popitem(last=False)
        order = orders.popleft()
        self._waiting -= 1
        if orders:
            self._users[user] = orders
        return order

    def remove(self, call: str) -> bool:
        """Take a call out; say whether it was there."""
        for user, orders in self._users.items():
            for order in orders:
                if order.call == call:
                    orders.remove(order)
                    self._waiting -= 1
                    if not orders:
                        del self._users[user]
                    return True
        return False

    def __len__(self) -> int:
        return self._waiting


class Circuit:
    """Counts failures in a row; open means that the endpoint is left alone for a while."""

    def __init__(self) -> None:
        self._failures = 0
        self._closed_at = -inf  # trio time from which a call may be tried again

    def is_open(self) -> bool:
        """Say whether calls are to be refused now."""
        return trio.current_time() < self._closed_at

    def note(self, *, failed: bool) -> None:
        """Take the outcome of a call into account."""
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= limits.CIRCUIT_FAILURES_MAX:
            self._closed_at = trio.current_time() + limits.CIRCUIT_OPEN_S


REFUSED = End(
    end_state="provider_error",
    reason="circuit-open",
    error=Error(
        class_="unavailable",
        code="circuit-open",
        message="The endpoint failed several times in a row and is left alone for a moment.",
    ),
)
FULL = End(
    end_state="provider_error",
    reason="queue-full",
    error=Error(class_="unavailable", code="queue-full", message="Too many jobs wait for it."),
)
BROKEN_OFF = End(end_state="transport_error", reason="connection-lost")
TRUNCATED = End(end_state="truncated", reason="truncated")
GONE = End(
    end_state="provider_error",
    reason="endpoint-removed",
    error=Error(class_="unavailable", code="endpoint-removed", message="It was taken away."),
)
IDLE = End(end_state="transport_error", reason="idle-timeout")
LOST = End(end_state="transport_error", reason="provider-restarted")
BROKEN = End(
    end_state="provider_error",
    reason="internal",
    error=Error(class_="internal", code="internal", message="The provider's adapter failed."),
)


def refused(problem: Invalid) -> End:
    """Return the end of a job whose request could not be made, though it was fine when it came."""
    error = Error(class_="invalid_request", code=problem.name(), message=problem.detail)
    return End(end_state="provider_error", reason="request-refused", error=error)


class ProviderActor(TrioActor):
    """One endpoint's door: a bound, a fair queue, a circuit."""

    def __init__(self, spine: Spine, endpoint: str) -> None:
        super().__init__()
        self.spine, self.endpoint = spine, endpoint
        self.retired: list[Provider] = []  # replaced; each waits for its last call to end
        self.queue, self.circuit = FairQueue(), Circuit()
        self.calls: dict[str, Call] = {}

    async def started(self) -> None:
        """Begin with no call; those that waited when the last life ended still wait."""
        self.calls = {}
        self.life.start_soon(self._watch)
        self._admit()

    def idle(self) -> bool:
        """Stay while there is a call, and for the circuit's sake while it is open."""
        return not (self.calls or len(self.queue) or self.retired or self.circuit.is_open())

    async def handle(self, message: Message) -> trio.Event | None:
        """Act on one message; see the module's head."""
        match message:
            case Generate() if len(self.queue) >= limits.CALLS_WAITING_MAX:
                self.life.start_soon(self._turn_away, message, FULL)
            case Generate():
                self.queue.put(message)
                self._admit()
            case Cancel():
                return self._cancel(message.call)
            case Hush():
                for call in self.calls.values():
                    if call.job_id == message.job_id:
                        call.scope.cancel()
            case CallEnded():
                self.circuit.note(failed=message.failed)
                await self._close_retired()
                self._admit()
            case Changed():
                self.retired.append(message.old)
                self.circuit = Circuit()  # its failures were the old settings'
                await self._close_retired()
                self._admit()
        return None

    async def _close_retired(self) -> None:
        """Close the providers of earlier settings that no call uses any more."""
        used = {id(call.provider) for call in self.calls.values()}
        idle = [each for each in self.retired if id(each) not in used]
        self.retired = [each for each in self.retired if id(each) in used]
        for provider in idle:
            await provider.aclose()

    async def _turn_away(self, order: Generate, end: End) -> None:
        with suppress(ActorDeadError):
            await order.job.offer((order.call, end))

    def _admit(self) -> None:
        provider = self.spine.catalog.at(self.endpoint)
        if provider is None:
            while order := self.queue.take():
                self.life.start_soon(self._turn_away, order, GONE)
            return
        while len(self.calls) < provider.concurrency and (order := self.queue.take()):
            call = self.calls[order.call] = Call(provider=provider, job_id=order.request.job_id)
            self.life.start_soon(self._call, order, call, name=f"call {order.request.job_id}")

    def _cancel(self, call_id: str) -> trio.Event:
        if call := self.calls.get(call_id):
            call.scope.cancel()
            return call.closed
        self.queue.remove(call_id)
        closed = trio.Event()
        closed.set()
        return closed

    async def _call(self, order: Generate, call: Call) -> None:
        end: End | None = None
        try:
            with call.scope:
                end = REFUSED if self.circuit.is_open() else await self._stream(order, call)
            call.closed.set()
            if call.was_silent:
                end = IDLE
            if end:
                await order.job.offer((order.call, end))
        except ActorDeadError:
            log.info("call_without_job", job_id=order.request.job_id)
        except trio.Cancelled:  # this life ends, not the call alone
            with suppress(ActorDeadError, MailboxFull):
                order.job.tell(CallLost(call=order.call))
            raise
        finally:
            call.closed.set()
            self.calls.pop(order.call, None)
        failed = end is not None and end.end_state in {"transport_error", "provider_error"}
        self.actor_ref.tell(CallEnded(failed=failed and end is not REFUSED))

    async def _stream(self, order: Generate, call: Call) -> End:
        """Pass the parts on as the job has room for them; return how it ended."""
        began = call.silent_since = trio.current_time()
        first = True
        try:
            async with aclosing(call.provider.answer(order.request)) as parts:
                async for part in parts:
                    if first:
                        self.spine.metrics.first_part(trio.current_time() - began)
                        first = False
                    if isinstance(part, End):
                        return part
                    call.silent_since = inf  # while the job is the one that is slow
                    await order.job.offer((order.call, part))
                    call.silent_since = trio.current_time()
        except UpstreamSaid as said:
            return End(end_state="provider_error", reason="provider-error", error=_error(said))
        except UpstreamLost as lost:
            reason = lost.extensions.get("code", BROKEN_OFF.reason)
            return replace(BROKEN_OFF, reason=reason, provider_reason=lost.detail)
        except ActorDeadError:
            raise
        except Exception:
            log.exception("provider_failed", endpoint=self.endpoint)
            return BROKEN
        return TRUNCATED

    async def _watch(self) -> None:
        """End the calls that have fallen silent. One task for all: a deadline a part costs more."""
        while True:
            await trio.sleep(limits.PROVIDER_IDLE_S / limits.IDLE_LOOKS)
            now = trio.current_time()
            for call in self.calls.values():
                if now - call.silent_since > call.provider.patience_s:
                    call.was_silent = True
                    call.scope.cancel()


def _error(said: UpstreamSaid) -> Error:
    return Error(
        class_=str(said.extensions.get("class", "provider")),
        code=str(said.extensions.get("code", "unknown")),
        message=said.detail,
        provider_request_id=said.extensions.get("provider_request_id"),
    )
