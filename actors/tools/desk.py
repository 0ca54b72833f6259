"""The desk of tools: what a caller may call, a call made by the caller, and the evidence of all.

A call that the caller makes is a job like any other, with a log of its own. The caller takes the
model's place: the log begins with the call, as if a model had made it, so that it goes through the
same actor, the same approval and the same evidence; its result ends the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import trio

from actors.allowance import Allowance
from actors.claims import Claim
from actors.ending import stream_of
from actors.founding import Founding
from actors.job_rows import Birth
from actors.job_view import view_of_ended
from actors.spine import Spine
from actors.tools import checking
from actors.tools.loop import DIRECT
from actors.tools.toolbox import Offer, ToolCatalog
from actors.tools.tooling import Policy
from actors.views import JobView, Page
from runtime import limits
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.events import JOB_END, Data, Item, ItemDelta, ItemDone, ItemStarted
from runtime.log import Subscription
from runtime.problems import Invalid, NotFound, ShuttingDown
from runtime.tool_events import ToolsCalled
from store import change, jobs, tool_calls
from store.database import Database
from store.jobs import JobRow
from store.tool_calls import Outcome, ToolCallRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolView:
    """A tool that the caller may call; `name` is what a model knows it by."""

    id: str
    name: str
    description: str
    schema: Mapping[str, Any]
    version: str
    policy: Policy
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolList:
    """What the caller may call now; `left_out` says why a tool is not offered, by its id."""

    items: tuple[ToolView, ...]
    left_out: Mapping[str, str]
    next_cursor: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallView:
    """The evidence of a call.

    Args:
        made_by: who chose to call: a model, or the caller.
        user: for whom.
        outcome: `intended` while it is made; `unknown`: it may have happened.
    """

    id: str
    job_id: str
    made_by: str
    user: str
    tool: str
    version: str
    arguments_sha256: str
    approval: str
    approval_id: str | None
    outcome: Outcome
    reason: str | None
    dialled: str | None
    result_sha256: str | None
    result_bytes: int | None
    intended_at: str
    settled_at: str | None


class ToolDesk:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self._allowance = Allowance(
            burst=limits.TOOL_CALLS_BURST, per_s=limits.TOOL_CALLS_PER_SECOND
        )

    async def list_all(self, caller: Caller) -> ToolList:
        """Return what the caller may call."""
        catalog = await self._spine.toolbox.catalog(caller)
        shown = tuple(_shown(offer) for offer in catalog.offers.values())
        return ToolList(items=shown, left_out=catalog.left_out)

    async def call(
        self,
        caller: Caller,
        tool_id: str,
        arguments: Mapping[str, Any],
        claim: Claim | None,
        request_id: str,
    ) -> JobView:
        """Begin a job that is this one call; it is durable when this returns.

        Raises:
            NotFound: the caller may call no such tool.
            Invalid: it does not take these arguments.
            TooManyRequests, ShuttingDown, AuditUnavailable.
        """
        if not self._spine.starts_jobs:
            raise ShuttingDown("The service is stopping.")
        self._allowance.spend(caller)
        catalog = await self._spine.toolbox.catalog(caller, (tool_id,))
        offer = catalog.find(tool_id)
        text = orjson.dumps(arguments).decode()
        problem, _ = await checking.read(offer.tool.schema, text)
        if problem:
            raise Invalid.at("/arguments", problem)
        return await self._begin(caller, catalog, offer, text, claim, request_id)

    async def ended(self, caller: Caller, job_id: str) -> JobView:
        """Wait for the end of a call's job; return it with its result.

        Raises:
            NotFound: the caller has no such job.
        """
        spine, stream = self._spine, stream_of(job_id)
        if not jobs.has(spine.reader, caller, job_id):
            raise NotFound("No such job.")
        reading = Subscription(spine.log, spine.hub, stream, after=0, terminal=JOB_END)
        while not reading.ended:
            if not reading.read():
                await reading.wait()
        row, head = jobs.get(spine.reader, caller, job_id), spine.log.head(stream)
        assert row is not None, "an ended job stays"
        return view_of_ended(row, head.sequence if head else 0)

    def evidence(
        self, caller: Caller, *, outcome: Outcome | None, limit: int, before: str | None
    ) -> Page[ToolCallView]:
        """Return the evidence of the calls of the caller's tenant, newest first."""
        rows = tool_calls.list_page(
            self._spine.reader, caller, outcome=outcome, limit=limit + 1, before_id=before
        )
        shown = tuple(map(_evidence, rows[:limit]))
        return Page(items=shown, next_cursor=shown[-1].id if len(rows) > limit else None)

    async def _begin(
        self,
        caller: Caller,
        catalog: ToolCatalog,
        offer: Offer,
        text: str,
        claim: Claim | None,
        request_id: str,
    ) -> JobView:
        spine = self._spine
        founding = Founding.of(spine, caller, kind="tool")
        now_ms = founding.row.created_at_ms
        row = JobRow(
            id=spine.ids.new("job_"),
            conversation_id=founding.row.id,
            tenant=caller.tenant,
            user=caller.user,
            ordinal=1,
            message_id=spine.ids.new("msg_"),
            status="running",
            reason=None,
            model=offer.tool.id,
            endpoint=DIRECT,
            options=b"{}",
            superseded_by=None,
            created_at_ms=now_ms,
            started_at_ms=now_ms,
            ended_at_ms=None,
            result=None,
            tools=orjson.dumps([offer.tool.id]),
        )
        birth = Birth.of(row, (), now_ms, more=self._call(offer, text))

        def rows(db: Database) -> None:
            founding.write(db)
            birth.write(db)

        write = change.change(
            caller,
            action="tool.start",
            object_id=row.id,
            at_ms=now_ms,
            request_id=request_id,
            access=lambda _: True,
            rows=rows,
            appends=(founding.append(birth.events), *birth.appends),
            idempotency=claim.record(caller, birth.view, now_ms) if claim else None,
        )
        with trio.CancelScope(shield=True):  # else a job could be kept that nobody works at
            await spine.writer.write(write)
            spine.metrics.job_started()
            spine.offered[row.id] = catalog
            await spine.conversations.find(founding.row.id)
        return birth.view

    def _call(self, offer: Offer, text: str) -> tuple[Data, ...]:
        """Return the call as a model would have made it."""
        ids, tool = self._spine.ids, offer.tool
        item_id, call_id = ids.new("item_"), ids.new("tcall_")
        about: dict[str, Any] = {
            "type": "tool_call",
            "role": "assistant",
            "index": 0,
            "call_id": call_id,
            "name": offer.name,
        }
        call = {"item_id": item_id, "tool_call_id": call_id}
        return (
            ItemStarted(item_id=item_id, **about),
            ItemDelta(item_id=item_id, arguments=text),
            ItemDone(
                item_id=item_id,
                item=Item(id=item_id, status="completed", arguments=text, **about),
            ),
            ToolsCalled(calls=({**call, "tool": tool.id, "version": tool.version},)),
        )


def _shown(offer: Offer) -> ToolView:
    tool = offer.tool
    return ToolView(
        id=tool.id,
        name=offer.name,
        description=tool.description,
        schema=tool.schema,
        version=tool.version,
        policy=tool.policy,
        timeout_s=tool.timeout_s,
    )


def _evidence(row: ToolCallRow) -> ToolCallView:
    kept = asdict(row)
    for name in ("tenant", "item_id", "intended_at_ms", "settled_at_ms"):
        del kept[name]
    settled_ms = row.settled_at_ms
    return ToolCallView(
        **kept,
        intended_at=rfc3339(row.intended_at_ms),
        settled_at=None if settled_ms is None else rfc3339(settled_ms),
    )
