"""The registry of actions: what a person has made of documents of APIs, and what they change.

A document is read in a child process and never kept: what is kept stands by itself. Secrets go in,
are sealed and never come out; another server or another way to sign in wants them to be given
again, and forgets the tokens. Each change is audited, and counts for the next call.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from actors.actions.kept import (
    NAME,
    RESERVED,
    ActionSetView,
    Kept,
    State,
    changed,
    kept_in,
    parts_of,
    state_of,
    view_of,
)
from actors.actions.sign_ins import ActionSignIns
from actors.actions.tokens import ActionTokens
from actors.changing import commit
from actors.claims import Claim
from runtime import limits
from runtime.caller import Caller
from runtime.problems import ActionsExist, Invalid, NotFound
from store import action_sets
from store.action_sets import ActionSetRow
from store.database import Database
from store.keyring import Keyring, SealBroken
from transports.egress import guard
from transports.egress.actions.calling import fetch, reach_of
from transports.egress.actions.importing import Importer, Importing, pieces
from transports.egress.actions.making import Choice
from transports.egress.actions.reading import Unusable

if TYPE_CHECKING:
    from actors.spine import Spine

log = structlog.get_logger(__name__)


class ActionSets:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self.importer: Importing = Importer()
        self.tokens = ActionTokens(spine)
        self.sign_ins = ActionSignIns(spine, self.tokens)

    def all_kept(self, caller: Caller, names: frozenset[str] | None = None) -> list[Kept]:
        """Return a person's sets, or those of some names; others are not read."""
        rows = action_sets.list_all(self._spine.reader, caller, names)
        return [self._opened(caller, row) for row in rows]

    def find(self, caller: Caller, name: str) -> Kept:
        """Return one of a person's sets.

        Raises:
            NotFound: they have none of this name.
        """
        row = action_sets.get(self._spine.reader, caller, name)
        if row is None:
            raise NotFound("No such actions.")
        return self._opened(caller, row)

    def list_all(self, caller: Caller) -> tuple[ActionSetView, ...]:
        """Return a person's sets as they are shown."""
        return tuple(self.view(caller, each) for each in self.all_kept(caller))

    def one(self, caller: Caller, name: str) -> ActionSetView:
        """Return one of them; raises NotFound."""
        return self.view(caller, self.find(caller, name))

    def reach_of(self, kept: Kept) -> guard.Reach:
        """Return the reach of the calls of a set; raises ValueError where it can have none."""
        told = self._spine.settled.on_decision
        return reach_of(kept.server, self._spine.settled.action_places, kept.timeout_s, told)

    def state(self, caller: Caller, kept: Kept) -> State:
        """Return whether a set can be called; its tokens are looked for where it wants any."""
        signed_in = kept.auth.type != "oauth_code" or self.tokens.signed_in(caller, kept.name)
        return state_of(kept, signed_in=signed_in)

    def view(self, caller: Caller, kept: Kept) -> ActionSetView:
        """Return a set as it is shown."""
        return view_of(kept, self.state(caller, kept))

    async def preview(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a document comes to: what is taken, what is left out and why.

        Raises:
            Invalid: it comes to nothing.
            Upstream: the document cannot be had.
        """
        shown: Mapping[str, Any] = (await self._read(given, makes=False))["preview"]
        return shown

    async def add(
        self, caller: Caller, given: Mapping[str, Any], claim: Claim | None, request_id: str
    ) -> ActionSetView:
        """Keep the actions of a document.

        Raises:
            Invalid: the document or a value cannot be.
            ActionsExist: the name is taken.
            Upstream: the document cannot be had.
        """
        self._keyring()
        name = str(given.get("name", ""))
        if not NAME.fullmatch(name) or name in RESERVED:
            raise Invalid.at("/name", "Small letters, digits, - and _.")
        taken = action_sets.names(self._spine.reader, caller)
        if name in taken:
            raise ActionsExist("The name is taken.")
        if len(taken) >= limits.ACTION_SETS_MAX:
            raise Invalid.at("/name", f"There are {limits.ACTION_SETS_MAX} sets already.")
        now_ms = self._spine.clock.now_ms()
        made = await self._read(given, makes=True)
        kept = changed(Kept(name=name, created_at_ms=now_ms), given, made)
        row, view = self._row(caller, kept), self.view(caller, kept)

        def rows(db: Database) -> None:
            if action_sets.get(db, caller, name):
                raise ActionsExist("The name is taken.")
            action_sets.put(db, caller, row)

        await commit(
            self._spine, caller, "action.create", name, rows, request_id, claim=claim, view=view
        )
        return view

    async def change(
        self, caller: Caller, name: str, given: Mapping[str, Any], request_id: str
    ) -> ActionSetView:
        """Change what `given` says of a set, or make its actions anew of a document.

        Raises:
            NotFound, Invalid, Upstream.
        """
        before = self.find(caller, name)
        made = None
        if "document" in given or "url" in given:
            server = given.get("server") or before.server
            made = await self._read({**given, "server": server}, makes=True)
        elif given.keys() & {"server", "variables", "operations"}:
            raise Invalid.at("/document", "It is needed again, or its `url`.")
        after = changed(before, given, made)
        row = self._row(caller, after)
        if before.key_lost and not after.secrets:
            sealed = action_sets.get(self._spine.reader, caller, name)
            row = replace(row, sealed=sealed.sealed if sealed else None)
        moved = (after.server, after.auth) != (before.server, before.auth)
        held = self.tokens.held(caller, name) if moved else None

        def rows(db: Database) -> None:
            if action_sets.get(db, caller, name) is None:
                raise NotFound("No such actions.")
            action_sets.put(db, caller, row)
            if moved:
                action_sets.forget_grant(db, caller, name)

        await commit(self._spine, caller, "action.change", name, rows, request_id)
        await self.tokens.revoke(before, held)
        return self.one(caller, name)

    async def remove(self, caller: Caller, name: str, request_id: str) -> None:
        """Forget a set with its secrets and tokens, and tell the issuer; raises NotFound."""
        kept, held = self.find(caller, name), self.tokens.held(caller, name)
        rows: Callable[[Database], None] = lambda db: action_sets.remove(db, caller, name)
        await commit(self._spine, caller, "action.remove", name, rows, request_id)
        await self.tokens.revoke(kept, held)

    async def sign_out(self, caller: Caller, name: str, request_id: str) -> None:
        """Forget the tokens of a set, and tell the issuer; raises NotFound."""
        kept, held = self.find(caller, name), self.tokens.held(caller, name)
        rows: Callable[[Database], None] = lambda db: action_sets.forget_grant(db, caller, name)
        await commit(self._spine, caller, "action.sign-out", name, rows, request_id)
        await self.tokens.revoke(kept, held)

    async def _read(self, given: Mapping[str, Any], *, makes: bool) -> dict[str, Any]:
        text, url = given.get("document", ""), given.get("url", "")
        if bool(text) == bool(url):
            raise Invalid.at("/document", "Either a `document` or its `url`.")
        names = given.get("operations")
        choice = Choice(
            base=url,
            server=given.get("server") or "",
            variables=dict(given.get("variables") or {}),
            operations=None if names is None else tuple(names),
            search=given.get("search") or "",
            makes=makes,
        )
        try:
            async with aclosing(pieces(text.encode()) if text else self._fetched(url)) as document:
                return await self.importer.read(document, choice)
        except Unusable as problem:
            where = "/document" if text else "/url"
            errors = [{"pointer": where, "detail": str(problem)}]
            raise Invalid(str(problem), errors=errors, rule=problem.rule) from problem

    def _fetched(self, url: str) -> AsyncGenerator[bytes, None]:
        reach = guard.Reach(
            purpose="import",
            exempt=self._spine.settled.action_places,
            idle_s=limits.MCP_OAUTH_S,
            total_s=limits.ACTION_IMPORT_S,
            decodes=True,
            body_bytes=limits.ACTION_JSON_BYTES,
            on_decision=self._spine.settled.on_decision,
        )
        return fetch(reach, url)

    def _keyring(self) -> Keyring:
        if self._spine.sealing is None:
            raise NotFound("This service keeps no actions.")
        return self._spine.sealing.keyring

    def _row(self, caller: Caller, kept: Kept) -> ActionSetRow:
        settings, actions, secrets = parts_of(kept)
        return ActionSetRow(
            name=kept.name,
            settings=settings,
            actions=actions,
            sealed=self._keyring().seal(secrets, _owner(caller, kept.name)) if secrets else None,
            created_at_ms=kept.created_at_ms,
            changed_at_ms=self._spine.clock.now_ms(),
        )

    def _opened(self, caller: Caller, row: ActionSetRow) -> Kept:
        secrets = None
        if row.sealed is not None and self._spine.sealing is not None:
            try:
                secrets = self._keyring().open(row.sealed, _owner(caller, row.name))
            except SealBroken:
                log.warning("action_secrets_lost", set=row.name)
        return kept_in(row, secrets)


def _owner(caller: Caller, name: str) -> str:
    """Return the name that a set's secrets are sealed for."""
    return f"action-set/{caller.tenant}/{caller.user}/{name}"
