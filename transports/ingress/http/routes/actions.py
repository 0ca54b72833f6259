"""/api/actions: what a person has made of documents of APIs, and their sign-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from quart import Blueprint, Response
from werkzeug.routing import BaseConverter

from actors.actions.kept import RESERVED, ActionSetView
from actors.actions.sign_ins import ActionSignInView
from runtime import limits
from runtime.problems import (
    ActionsExist,
    AuditUnavailable,
    Invalid,
    NotFound,
    UpstreamLost,
    UpstreamSaid,
)
from transports.egress.actions.authorizing import Kind
from transports.ingress.http.context import services
from transports.ingress.http.dto import STRICT
from transports.ingress.http.operation import Call, Nothing, empty, operation
from transports.ingress.http.way_back import WayBack, arrived

routes = Blueprint("actions", __name__, url_prefix="/api/actions")
BACK: Final = WayBack(path="/api/actions/callback", cookie="runchat_action_sign_in")
FAILURES: Final = (UpstreamSaid, UpstreamLost)
Word = Annotated[str, Field(max_length=limits.HEADER_VALUE_MAX)]
Url = Annotated[str, Field(max_length=limits.EGRESS_URL_CHARS)]
Long = Annotated[str, Field(max_length=limits.API_KEY_CHARS_MAX)]
Document = Annotated[str, Field(max_length=limits.BODY_BYTES_MAX)]
Policy = Literal["auto", "ask", "deny"]
Names = Annotated[tuple[Word, ...], Field(max_length=limits.ACTIONS_MAX)]
Seconds = Annotated[float, Field(ge=0.1, le=3600)]


class ActionsName(BaseConverter):
    """The name of a set, which is never that of another address beside it."""

    regex = f"(?!(?:{'|'.join(RESERVED)})$)[^/]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionAuthBody:
    """How calls show who asks; secrets go in and never come out.

    Args:
        name: of the header or the query's parameter whose `value` is the secret.
        value: that secret, or a bearer's token.
        client_auth: where an OAuth client's secret goes.
        revocation_url: where its issuer hears of who signs out, if it does not say so itself.
    """

    __pydantic_config__ = STRICT
    type: Kind
    name: Word | None = None
    value: Long | None = None
    username: Word | None = None
    password: Long | None = None
    client_id: Url | None = None
    client_secret: Long | None = None
    authorization_url: Url | None = None
    token_url: Url | None = None
    scope: Long | None = None
    client_auth: Literal["basic", "post"] | None = None
    revocation_url: Url | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionDocument:
    """A document of an API, and what is wanted of it.

    Args:
        document: OpenAPI 3.0 or 3.1, or Swagger 2, as JSON or YAML; or `url`, where it is.
        server: where calls go, one that the document names; null: its first.
        variables: of its servers, where others are wanted than its own.
        operations: the names of those wanted; null: all.
    """

    __pydantic_config__ = STRICT
    document: Document | None = None
    url: Url | None = None
    server: Url | None = None
    variables: Annotated[dict[Word, Word], Field(max_length=limits.MCP_HEADERS_MAX)] | None = None
    operations: Names | None = None

    def given(self) -> dict[str, Any]:
        """Return what was said, by its names."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        values = {name: value for name, value in said.items() if value is not None}
        if isinstance(values.get("auth"), ActionAuthBody):
            values["auth"] = asdict(values["auth"])
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPreviewBody(ActionDocument):
    """A document to look at; `search` finds operations by their words."""

    __pydantic_config__ = STRICT
    search: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSetChange(ActionDocument):
    """What a set is to be from now on; absent ones stay as they are."""

    __pydantic_config__ = STRICT
    auth: ActionAuthBody | None = None
    policy: Policy | None = None
    tools: Annotated[dict[Word, Policy], Field(max_length=limits.ACTIONS_MAX)] | None = None
    timeout_s: Seconds | None = None
    enabled: Annotated[bool, Field(strict=True)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewActionSet(ActionSetChange):
    """A set to make."""

    __pydantic_config__ = STRICT
    name: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """One operation of a document; `left_out` says why it cannot be called."""

    name: str
    method: str
    path: str
    title: str
    taken: bool
    left_out: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPreview:
    """What a document comes to.

    Args:
        server: where calls would go; null: it has to be said.
        security: the ways to show who asks, as the document describes them.
        operations: those that match the search, no more than a thousand.
    """

    title: str
    version: str
    server: str | None
    servers: tuple[str, ...]
    security: tuple[Mapping[str, Any], ...]
    total: int
    taken: int
    left_out: int
    matching: int
    operations: tuple[ActionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSetList:
    """All sets of a person."""

    items: tuple[ActionSetView, ...]
    next_cursor: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionBackQuery:
    """What an authorization server sends back (RFC 6749 section 4.1.2)."""

    code: Long = ""
    state: Long = ""
    error: Long = ""


@routes.get("")
@operation("The actions of the caller, by the document they were made of.", answers=ActionSetList)
async def list_actions(call: Call[Nothing, Nothing]) -> ActionSetList:
    return ActionSetList(items=services().desk.actions.list_all(call.caller))


@routes.post("/preview")
@operation(
    "Look at a document of an API: what would be taken, what is left out and why.",
    body=ActionPreviewBody,
    answers=ActionPreview,
    problems=FAILURES,
)
async def preview_actions(call: Call[ActionPreviewBody, Nothing]) -> ActionPreview:
    shown = dict(await services().desk.actions.preview(call.body.given()))
    rows = tuple(ActionRow(**each) for each in shown.pop("operations"))
    return ActionPreview(operations=rows, **shown)


@routes.post("")
@operation(
    "Make actions of a document; their secrets are sealed and never shown again.",
    body=NewActionSet,
    answers=ActionSetView,
    status=201,
    idempotent=True,
    problems=(ActionsExist, AuditUnavailable, *FAILURES),
)
async def add_actions(call: Call[NewActionSet, Nothing]) -> ActionSetView:
    given = call.body.given()
    return await services().desk.actions.add(call.caller, given, call.claim, call.request_id)


@routes.get("/<actions:id>")
@operation("The actions of one document.", answers=ActionSetView)
async def read_actions(call: Call[Nothing, Nothing], id: str) -> ActionSetView:
    return services().desk.actions.one(call.caller, id)


@routes.patch("/<actions:id>")
@operation(
    "Change actions, or make them anew; another server or auth wants the secrets again.",
    body=ActionSetChange,
    answers=ActionSetView,
    problems=(AuditUnavailable, *FAILURES),
)
async def change_actions(call: Call[ActionSetChange, Nothing], id: str) -> ActionSetView:
    given = call.body.given()
    return await services().desk.actions.change(call.caller, id, given, call.request_id)


@routes.delete("/<actions:id>")
@operation(
    "Remove actions, their secrets and the sign-in for them.",
    status=204,
    problems=(AuditUnavailable,),
)
async def remove_actions(call: Call[Nothing, Nothing], id: str) -> Response:
    await services().desk.actions.remove(call.caller, id, call.request_id)
    return empty(204)


@routes.post("/<actions:id>/sign-in")
@operation(
    "Begin to sign in for actions: the answer says which page to visit.",
    answers=ActionSignInView,
    problems=(Invalid,),
)
async def begin_action_sign_in(call: Call[Nothing, Nothing], id: str) -> Response:
    sets = services().desk.actions
    proof = BACK.proof_of(call.caller, sets.sign_ins.ways_back)
    view = sets.sign_ins.begin(
        call.caller,
        sets.find(call.caller, id),
        redirect_uri=BACK.redirect_uri,
        proof=proof,
    )
    return BACK.leave(view, proof)


@routes.delete("/<actions:id>/sign-in")
@operation("Sign out: the tokens are forgotten.", status=204, problems=(AuditUnavailable,))
async def end_action_sign_in(call: Call[Nothing, Nothing], id: str) -> Response:
    await services().desk.actions.sign_out(call.caller, id, call.request_id)
    return empty(204)


@routes.get("/callback")
@operation(
    "Come back from an authorization server, once, with the browser that was sent there.",
    query=ActionBackQuery,
    auth="none",
    status=303,
    problems=(NotFound, AuditUnavailable, *FAILURES),
)
async def finish_action_sign_in(call: Call[Nothing, ActionBackQuery]) -> Response:
    sets, query = services().desk.actions, call.query
    away = sets.sign_ins.ways_back.come(query.state, BACK.proof())
    kept = sets.find(away.caller, away.what.name)
    await sets.sign_ins.finish(away, kept, query.code, query.error)
    return arrived(f"actions={kept.name}")
