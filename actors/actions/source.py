"""The actions of a person, as a source of tools."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import trio

from actors.actions.kept import Kept
from actors.actions.sets import ActionSets
from actors.tools.tooling import Calling, Outcome, Tool, sets_of
from runtime.caller import Caller
from runtime.problems import NotFound, UpstreamSaid
from transports.egress import guard
from transports.egress.actions.authorizing import OAUTH, shown
from transports.egress.actions.calling import Answered, send
from transports.egress.actions.requests import request
from transports.egress.providers.asked import Text

UNAUTHORIZED: Final = 401


class ActionSource:
    """See `actors.tools.tooling.Source`."""

    kind: str = "action"

    def __init__(self, sets: ActionSets) -> None:
        self._sets = sets

    async def tools(self, caller: Caller, named: Collection[str] | None = None) -> Sequence[Tool]:
        """Return the actions of the sets that are in use and that nobody has to sign in for."""
        await trio.lowlevel.checkpoint()
        return [
            _tool(kept, action)
            for kept in self._sets.all_kept(caller, sets_of(named))
            if self._sets.state(caller, kept) == "ready"
            for action in kept.actions
        ]

    async def call(
        self, caller: Caller, tool: Tool, arguments: Mapping[str, Any], calling: Calling
    ) -> Outcome:
        """Call an action, if it is still what it was.

        Raises:
            NotFound: it is there no more, or is another one.
            Invalid: an argument cannot be sent.
            Upstream: no answer came, or there is no token.
        """
        del calling  # one request, one answer: nothing is told or asked in between
        _, name, its_name = tool.id.split("/", 2)
        kept = self._sets.find(caller, name)
        action = kept.action(its_name)
        if action is None or action["version"] != tool.version:
            raise NotFound("There is no such tool.")
        if kept.policy_of(its_name) == "deny" or not kept.enabled or kept.key_lost:
            raise NotFound("There is no such tool.")
        answered = await self._answered(caller, kept, action, arguments)
        host, port = guard.origin(action["server"])
        return Outcome(
            content=(Text(text=answered.text),),
            structured=answered.structured,
            is_error=answered.is_error,
            dialled=f"{host}:{port}",
        )

    async def _answered(
        self, caller: Caller, kept: Kept, action: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> Answered:
        made = request(action, arguments)
        try:
            reach = self._sets.reach_of(kept)
        except ValueError as error:
            raise UpstreamSaid(str(error), code="address_not_allowed") from error
        if action["anonymous"]:
            return await send(reach, made)
        if kept.auth.type not in OAUTH:
            return await send(reach, shown(made, kept.auth, kept.secrets))
        token = await self._sets.tokens.token(caller, kept)
        answered = await send(reach, shown(made, kept.auth, {}, token))
        if answered.status != UNAUTHORIZED:
            return answered
        fresh = await self._sets.tokens.token(caller, kept, refused=token)
        return await send(reach, shown(made, kept.auth, {}, fresh))


def _tool(kept: Kept, action: Mapping[str, Any]) -> Tool:
    return Tool(
        id=f"action/{kept.name}/{action['name']}",
        name=action["name"],
        description=action["description"],
        schema=action["schema"],
        version=action["version"],
        policy=kept.policy_of(action["name"]),
        timeout_s=kept.timeout_s,
    )
