"""A set of actions as it is kept, as it is given by a person, and as it is shown. Pure.

Secrets are apart from the rest: they are sealed together, under their names, and never shown.
Another server, or another way to show who one is, wants them to be given again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

import orjson

from actors.tools.tooling import Policy
from runtime import limits
from runtime.clock import rfc3339
from runtime.problems import Invalid
from runtime.secret import Secret
from store.action_sets import ActionSetRow
from transports.egress import guard
from transports.egress.actions.authorizing import OAUTH, SECRETS, Auth
from transports.egress.actions.servers import is_whole, origin

State: TypeAlias = Literal["ready", "key-lost", "needs-sign-in", "off"]
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
RESERVED: Final = ("callback", "preview")  # addresses beside those of the sets
HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110 section 5.6.2
VALUE: Final = re.compile(r"[\t -~]{1,8192}")
OURS: Final = {"host", "content-length", "content-type", "transfer-encoding", "connection"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A set: whose document it is of, where calls go, and how they show who asks.

    Args:
        source: where the document came from; "" for a text.
        tools: the policy of an action that has one of its own.
        key_lost: its secrets do not open here.
    """

    name: str
    title: str = ""
    release: str = ""
    source: str = ""
    server: str = ""
    auth: Auth = field(default_factory=Auth)
    policy: Policy = "ask"
    tools: Mapping[str, Policy] = field(default_factory=dict)
    timeout_s: float = limits.ACTION_CALL_S
    enabled: bool = True
    actions: Sequence[Mapping[str, Any]] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    key_lost: bool = False
    created_at_ms: int = 0

    def policy_of(self, action: str) -> Policy:
        """Return whether a human is asked before a call of an action."""
        return self.tools.get(action, self.policy)

    def action(self, name: str) -> Mapping[str, Any] | None:
        """Return the action of a name."""
        return next((each for each in self.actions if each["name"] == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionView:
    """One action of a set."""

    name: str
    method: str
    path: str
    description: str
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSetView:
    """A set of actions as its owner sees it. Secrets are never in it.

    Args:
        state: `key-lost`: the secrets are to be given again.
        has_secrets: the names of the secrets that are kept.
    """

    id: str
    title: str
    version: str
    source: str | None
    server: str
    auth: Auth
    has_secrets: tuple[str, ...]
    state: State
    policy: Policy
    tools: Mapping[str, Policy]
    timeout_s: float
    enabled: bool
    actions: tuple[ActionView, ...]
    created_at: str


def state_of(kept: Kept, *, signed_in: bool) -> State:
    """Return whether a set can be called, or why it cannot.

    Args:
        signed_in: whether there are the tokens that it wants, if any.
    """
    if not kept.enabled:
        return "off"
    if kept.key_lost:
        return "key-lost"
    return "ready" if signed_in else "needs-sign-in"


def view_of(kept: Kept, state: State) -> ActionSetView:
    """Return a set as it is shown."""
    return ActionSetView(
        id=kept.name,
        title=kept.title,
        version=kept.release,
        source=kept.source or None,
        server=kept.server,
        auth=kept.auth,
        has_secrets=tuple(sorted(kept.secrets)),
        state=state,
        policy=kept.policy,
        tools=kept.tools,
        timeout_s=kept.timeout_s,
        enabled=kept.enabled,
        actions=tuple(
            ActionView(
                **{name: each[name] for name in ("name", "method", "path", "description")},
                policy=kept.policy_of(each["name"]),
            )
            for each in kept.actions
        ),
        created_at=rfc3339(kept.created_at_ms),
    )


def changed(before: Kept, given: Mapping[str, Any], made: Mapping[str, Any] | None) -> Kept:
    """Return a set with what is given, checked.

    Args:
        made: of a document that is given: its preview and actions.

    Raises:
        Invalid: a value cannot be, or a secret is to be given again.
    """
    plain = ("policy", "tools", "timeout_s", "enabled")
    values = {name: given[name] for name in plain if name in given}
    after = replace(before, **values)
    if made is not None:
        shown = made["preview"]
        after = replace(
            after,
            title=shown["title"],
            release=shown["version"],
            server=shown["server"],
            source=given.get("url", ""),
            actions=made["actions"],
        )
    told = given.get("auth")
    if told is not None:
        after = _authorized(after, told)
    moved = origin(after.server) != origin(before.server) or after.auth != before.auth
    if moved and told is None and before.secrets:
        raise Invalid.at("/auth", "Another server wants the secrets to be given again.")
    if told is not None and (moved or after.secrets):
        after = replace(after, key_lost=False)
    if missing := [each for each in SECRETS[after.auth.type] if each not in after.secrets]:
        optional = after.auth.type == "oauth_code"  # a public client has none
        if not optional and not after.key_lost:
            raise Invalid.at(f"/auth/{missing[0]}", "It is needed.")
    _check(after)
    return after


def _authorized(kept: Kept, told: Mapping[str, Any]) -> Kept:
    """Return a set with another way to show who asks; secrets of before do not outlive it."""
    names = SECRETS[told["type"]]
    secrets = {name: Secret(told[name]) for name in names if told.get(name)}
    open_ = {name: told[name] for name in Auth.__slots__ if told.get(name) is not None}
    return replace(kept, auth=Auth(**open_), secrets=secrets)


def _check(kept: Kept) -> None:
    auth = kept.auth
    if auth.type == "header" and (not HEADER.fullmatch(auth.name) or auth.name.lower() in OURS):
        raise Invalid.at("/auth/name", "It is no header that can be sent.")
    if auth.type == "query" and not auth.name:
        raise Invalid.at("/auth/name", "It is needed.")
    if auth.type == "basic" and (not auth.username or ":" in auth.username):
        raise Invalid.at("/auth/username", "It is needed, and has no colon.")
    if "value" in kept.secrets and not VALUE.fullmatch(kept.secrets["value"].reveal()):
        raise Invalid.at("/auth/value", "It cannot be sent.")
    if auth.type in OAUTH:
        _check_oauth(auth)
    unknown = kept.tools.keys() - {each["name"] for each in kept.actions}
    if unknown:
        raise Invalid.at(f"/tools/{min(unknown)}", "There is no such action.")
    try:
        guard.only(kept.server)
    except ValueError as error:
        raise Invalid.at("/server", str(error)) from error


def _check_oauth(auth: Auth) -> None:
    wanted = ("token_url", *(("authorization_url",) if auth.type == "oauth_code" else ()))
    for name in wanted:
        if not is_whole(getattr(auth, name)):
            raise Invalid.at(f"/auth/{name}", "It is an http or https URL.")
    if auth.revocation_url and not is_whole(auth.revocation_url):
        raise Invalid.at("/auth/revocation_url", "It is an http or https URL.")
    if not auth.client_id:
        raise Invalid.at("/auth/client_id", "It is needed.")


def parts_of(kept: Kept) -> tuple[bytes, bytes, Secret | None]:
    """Return settings, actions and secrets as they are stored."""
    names = ("title", "release", "source", "server", "policy", "tools", "timeout_s", "enabled")
    settings = {name: getattr(kept, name) for name in names} | {"auth": asdict(kept.auth)}
    secrets = {name: value.reveal() for name, value in kept.secrets.items()}
    sealed = Secret(orjson.dumps(secrets).decode()) if secrets else None
    return orjson.dumps(settings), orjson.dumps(list(kept.actions)), sealed


def kept_in(row: ActionSetRow, secrets: Secret | None) -> Kept:
    """Return the set of a row; `secrets` None: it has none, or they do not open."""
    settings = orjson.loads(row.settings)
    opened = orjson.loads(secrets.reveal()) if secrets else {}
    return Kept(
        name=row.name,
        **settings | {"auth": Auth(**settings["auth"])},
        actions=orjson.loads(row.actions),
        secrets={name: Secret(value) for name, value in opened.items()},
        key_lost=row.sealed is not None and secrets is None,
        created_at_ms=row.created_at_ms,
    )
