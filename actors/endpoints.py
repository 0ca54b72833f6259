"""The endpoints desk: where models are asked, added and changed while the service runs.

What an admin adds is kept with its key sealed, and stands in the catalog at once: the jobs that run
go on at the old settings, the next ones take the new. What the settings file says comes first: its
names are not changed here, but by reading the file again. A key goes in and never comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
import structlog
import trio
from pykka import ActorDeadError

from actors.changing import commit
from actors.claims import Claim
from actors.provider import Changed
from actors.spine import Sealing, Spine
from runtime import limits
from runtime.caller import Caller
from runtime.clock import rfc3339
from runtime.endpoint_rules import is_key
from runtime.problems import (
    EndpointExists,
    EndpointFixed,
    Invalid,
    MailboxFull,
    NotFound,
    UpstreamLost,
    UpstreamSaid,
)
from runtime.secret import Secret
from runtime.settings import Endpoint, endpoint_kept, endpoint_name, endpoint_of
from store import endpoints
from store.database import Database
from store.endpoints import EndpointRow
from store.keyring import SealBroken
from transports.egress.providers.asked import said
from transports.egress.providers.base import (
    Delta,
    End,
    Model,
    Provider,
    Request,
    Usage,
    read_options,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """Where models are asked. What only an admin may know is null for others.

    Args:
        source: where it is configured; only a stored one is changed over HTTP.
        state: `key-lost`: its key is sealed with one that is not here, or is none that can be
            sent, and must be given again.
        profile: what the latest probe found; null where none has been made.
    """

    name: str
    source: Literal["built-in", "settings", "stored"]
    state: Literal["ready", "key-lost"]
    models: tuple[str, ...]
    concurrency: int
    wire: str | None = None
    base_url: str | None = None
    has_key: bool | None = None
    profile: Mapping[str, Any] | None = None


class Endpoints:
    """One per service; `stand` puts what is stored in the catalog at the start."""

    def __init__(self, spine: Spine) -> None:
        """Take the parts; without `spine.sealing` nothing is added here."""
        self._spine, self._sealing = spine, spine.sealing
        self._settled: Mapping[str, Endpoint] = spine.sealing.settled if spine.sealing else {}
        self._lost: set[str] = set()  # names whose key does not open

    def stand(self) -> None:
        """Put the stored endpoints into the catalog; one that cannot stand is logged and shown."""
        if self._sealing is None:
            return
        for row in endpoints.list_all(self._spine.reader):
            if row.name in self._settled:
                continue
            try:
                self._put(row.name, self._read(row))
            except (Invalid, ValueError):
                log.exception("endpoint_unusable", endpoint=row.name)

    async def settle(self, settled: Mapping[str, Endpoint]) -> list[str]:
        """Take up the endpoints of the settings file that was read again; return what changed.

        One that cannot stand is logged, and stays as it was.
        """
        before, self._settled = self._settled, settled
        names = sorted({*before, *settled})
        changed = [each for each in names if before.get(each) != settled.get(each)]
        for name in changed:
            try:
                await self._take_up(name)
            except (Invalid, ValueError):
                log.exception("endpoint_unusable", endpoint=name)
        return changed

    def list_all(self, caller: Caller) -> tuple[EndpointView, ...]:
        """Return all endpoints, by name."""
        rows = {row.name: row for row in endpoints.list_all(self._spine.reader)}
        profiles = endpoints.profiles(self._spine.reader)
        names = sorted({*rows, *(each.endpoint for each in self._spine.catalog.providers)})
        return tuple(self._view(name, rows.get(name), profiles.get(name), caller) for name in names)

    def one(self, caller: Caller, name: str) -> EndpointView:
        """Return an endpoint.

        Raises:
            NotFound: there is none of this name.
        """
        found = [view for view in self.list_all(caller) if view.name == name]
        if not found:
            raise NotFound("No such endpoint.")
        return found[0]

    async def add(
        self,
        caller: Caller,
        name: str,
        given: Mapping[str, Any],
        claim: Claim | None,
        request_id: str,
    ) -> EndpointView:
        """Keep a new endpoint and let it stand.

        Raises:
            Invalid: a value cannot be, or a model of the same id stands elsewhere.
            EndpointExists: the name is taken.
        """
        name = endpoint_name(name)
        if self._spine.catalog.at(name) or endpoints.get(self._spine.reader, name):
            raise EndpointExists("The name is taken.")
        now_ms = self._spine.clock.now_ms()
        row = self._row(name, given, made_at_ms=now_ms)
        view = self._view(name, row, None, caller)

        def rows(db: Database) -> None:
            if endpoints.get(db, name):
                raise EndpointExists("The name is taken.")
            endpoints.put(db, row)

        await self._change(caller, "endpoint.create", name, rows, request_id, claim, view)
        await self._take_up(name)
        return view

    async def change(
        self, caller: Caller, name: str, given: Mapping[str, Any], request_id: str
    ) -> EndpointView:
        """Change what `given` says of an endpoint; a new address wants the key again.

        Raises:
            NotFound, EndpointFixed, Invalid.
        """
        row = self._stored(name)
        kept = orjson.loads(row.settings)
        moved = "base_url" in given and given["base_url"] != kept["base_url"]
        if moved and row.sealed_key is not None and "api_key" not in given:
            raise Invalid.at("/api_key", "Another address wants the key to be given again.")
        changed = self._row(name, {**kept, **given}, made_at_ms=row.created_at_ms)
        if "api_key" not in given:
            changed = replace(changed, sealed_key=row.sealed_key)
        await self._change(
            caller, "endpoint.change", name, lambda db: endpoints.put(db, changed), request_id
        )
        await self._take_up(name)
        return self.one(caller, name)

    async def remove(self, caller: Caller, name: str, request_id: str) -> None:
        """Forget an endpoint and its key; its running jobs go on, its waiting ones fail.

        Raises:
            NotFound, EndpointFixed.
        """
        self._stored(name)
        await self._change(
            caller, "endpoint.remove", name, lambda db: endpoints.remove(db, name), request_id
        )
        await self._take_up(name)

    async def test(
        self, caller: Caller, name: str, model: str | None, request_id: str
    ) -> EndpointView:
        """Ask an endpoint for a few words, and keep what it was able to do as its profile.

        Raises:
            NotFound: there is no such endpoint.
            Invalid: it has no such model, or none.
        """
        provider = self._spine.catalog.at(name)
        if provider is None:
            raise NotFound("No such endpoint.")
        wanted = [each for each in provider.models if model in (None, each.id)]
        if not wanted:
            raise Invalid.at("/model", "The endpoint has no such model.")
        now_ms = self._spine.clock.now_ms()
        profile = await probe(provider, wanted[0], rfc3339(now_ms))

        def rows(db: Database) -> None:
            endpoints.set_profile(db, name, orjson.dumps(profile), now_ms)

        await self._change(caller, "endpoint.test", name, rows, request_id)
        return self.one(caller, name)

    @property
    def _kept(self) -> Sealing:
        if self._sealing is None:
            raise EndpointFixed("This service keeps no endpoints of its own.")
        return self._sealing

    def _stored(self, name: str) -> EndpointRow:
        row = endpoints.get(self._spine.reader, name)
        if row is not None:
            return row
        if self._spine.catalog.at(name):
            raise EndpointFixed("It is configured in the settings, or built in.")
        raise NotFound("No such endpoint.")

    def _row(self, name: str, given: Mapping[str, Any], *, made_at_ms: int) -> EndpointRow:
        """Return the row of checked settings, having seen that they can stand."""
        settings = endpoint_of(name, given)
        try:
            candidate = self._kept.make(name, settings)
        except ValueError as error:
            raise Invalid.at("/base_url", str(error)) from error
        self._spine.catalog.check(candidate)
        open_ = {each: value for each, value in given.items() if each != "api_key"}
        secret = settings.api_key
        return EndpointRow(
            name=name,
            settings=orjson.dumps(open_),
            sealed_key=self._kept.keyring.seal(secret, f"endpoint/{name}") if secret else None,
            created_at_ms=made_at_ms,
            changed_at_ms=self._spine.clock.now_ms(),
        )

    def _read(self, row: EndpointRow) -> Endpoint:
        """Return the settings of a row with its key opened; without it where it does not open."""
        settings = endpoint_kept(row.name, orjson.loads(row.settings))
        self._lost.discard(row.name)
        if row.sealed_key is None:
            return settings
        try:
            key = self._kept.keyring.open(row.sealed_key, f"endpoint/{row.name}")
        except SealBroken:
            key = Secret("")
        if not (key and is_key(key.reveal())):
            self._lost.add(row.name)
            key = Secret("")
        return replace(settings, api_key=key)

    async def _take_up(self, name: str) -> None:
        """Let the catalog show what the store says now; the old provider closes when it is idle."""
        row = endpoints.get(self._spine.reader, name)
        settings = self._settled.get(name) or (self._read(row) if row else None)
        old = self._put(name, settings) if settings else self._spine.catalog.remove(name)
        if old is not None:
            door = await self._spine.providers.find(name)
            with suppress(ActorDeadError, MailboxFull):
                door.tell(Changed(old=old))

    def _put(self, name: str, settings: Endpoint) -> Provider | None:
        return self._spine.catalog.put(self._kept.make(name, settings))

    async def _change(
        self,
        caller: Caller,
        action: str,
        name: str,
        rows: Callable[[Database], None],
        request_id: str,
        claim: Claim | None = None,
        view: EndpointView | None = None,
    ) -> None:
        await commit(
            self._spine,
            caller,
            action,
            name,
            rows,
            request_id,
            access=lambda _: caller.admin,
            claim=claim,
            view=view,
        )

    def _view(
        self, name: str, row: EndpointRow | None, profile: bytes | None, caller: Caller
    ) -> EndpointView:
        settled = self._settled.get(name)
        settings = endpoint_kept(name, orjson.loads(row.settings)) if row else settled
        stands = self._spine.catalog.at(name)
        offers = tuple(model.id for model in stands.models) if stands else ()
        shown = EndpointView(
            name=name,
            source="stored" if row else "settings" if settled else "built-in",
            state="key-lost" if name in self._lost else "ready",
            models=tuple(f"{name}/{each}" for each in settings.models) if settings else offers,
            concurrency=settings.concurrency if settings else stands.concurrency if stands else 0,
            wire=settings.wire if settings else None,
        )
        if not caller.admin:
            return shown
        shown = replace(shown, profile=orjson.loads(profile) if profile else None)
        if settings is None:
            return shown
        has_key = row.sealed_key is not None if row else bool(settings.api_key)
        return replace(shown, base_url=settings.base_url, has_key=has_key)


async def probe(provider: Provider, model: Model, at: str) -> dict[str, Any]:
    """Return what an endpoint can do, as JSON: how it ends, whether it counts, or why it fails."""
    found: dict[str, Any] = {"at": at, "model": model.id, "deltas": 0, "says_usage": False}
    asked = (said("user", "Answer with one word: ready"),)
    options = read_options(model, {"max_output_tokens": limits.PROBE_TOKENS})
    request = Request(job_id="probe", model=model, input=asked, options=options)
    end = End(end_state="truncated", reason="truncated")
    try:
        with trio.fail_after(limits.PROBE_S):
            async with aclosing(provider.answer(request)) as parts:
                async for part in parts:
                    found["deltas"] += isinstance(part, Delta)
                    found["says_usage"] |= isinstance(part, Usage)
                    if isinstance(part, End):
                        end = part
                        break
    except (UpstreamSaid, UpstreamLost) as problem:
        error = {"detail": problem.detail, **problem.extensions}
        return {**found, "ok": False, "end_state": None, "error": error}
    except trio.TooSlowError:
        error = {"detail": f"It said no end within {limits.PROBE_S} s."}
        return {**found, "ok": False, "end_state": None, "error": error}
    ok = end.end_state in {"finished", "finished_no_reason"}
    return {**found, "ok": ok, "end_state": end.end_state, "error": None}
