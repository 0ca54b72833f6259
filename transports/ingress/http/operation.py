"""What an operation is: decode, authenticate, one call, encode; and what the contract says of it.

`@operation` carries all that `openapi.py` needs to describe a route, and does with it what the
description says, so that the two cannot differ and a route's own body is a few lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Generic, Literal, TypeVar, cast

import orjson
from quart import Response, g, request

from actors.claims import Answer, Claim
from actors.views import to_bytes
from runtime import limits
from runtime.caller import Caller
from runtime.problems import (
    Invalid,
    MediaTypeNotSupported,
    NotFound,
    OriginNotAllowed,
    Problem,
)
from transports.ingress.http import negotiation
from transports.ingress.http.caller import SAFE, Credentials
from transports.ingress.http.context import services
from transports.ingress.http.dto import read_body, read_query
from transports.ingress.http.exchange import Asked, WholeBody
from transports.ingress.http.gate import Seen
from transports.ingress.http.problems import NOTHING_HERE

B = TypeVar("B")
Q = TypeVar("Q")
Auth = Literal["none", "caller", "admin", "wake"]
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Nothing:
    """No body, or no query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B, Q]):
    """A decoded request. `caller` is nobody in particular where the operation asks for none."""

    caller: Caller
    credentials: Credentials
    body: B
    query: Q
    request_id: str
    claim: Claim | None
    raw: bytes = b""  # the body as it came


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The contract of one route and method.

    Args:
        body: the dataclass of the JSON body; Nothing takes none.
        answers: the type of a good answer, None where it has no JSON.
        auth: "wake" where a token of a subscription's wake is shown, which the route reads itself.
        makes: what its path names is made by it.
        takes: media type of a body that is taken as it comes; "" where it takes none such.
        sends: media type of an answer that is sent as it is kept; "" where it sends none such.
        streams: it can answer as text/event-stream too; "only" where as nothing else; "asked"
            where the request says so elsewhere than in its Accept.
        problems: what it refuses besides what every operation may refuse.
        idempotent: takes an Idempotency-Key; "itself" where the route keeps its answer.
        location: template of the Location header, with `{id}` of the answer.
        others: further good statuses, each with a sentence.
    """

    name: str
    summary: str
    body: type[Any] = Nothing
    query: type[Any] = Nothing
    answers: Any = None
    status: int = 200
    auth: Auth = "caller"
    problems: tuple[type[Problem], ...] = ()
    idempotent: bool | Literal["itself"] = False
    location: str = ""
    makes: bool = False
    takes: str = ""
    sends: str = ""
    streams: Literal["no", "also", "only", "asked"] = "no"
    others: tuple[tuple[int, str], ...] = ()


NOBODY: Final = Caller(tenant="", user="")
Route = Callable[..., Awaitable[Any]]


def operation(summary: str, **contract: Any) -> Callable[[Route], Route]:
    """Make a route of a function that takes a Call and the parts of its path.

    The function returns a view, which is sent as JSON, or a Response, which is sent as it is.

    Args:
        summary: a sentence for the contract.
        contract: the fields of Operation.
    """

    def decorate(route: Route) -> Route:
        known = Operation(name=route.__name__, summary=summary, **contract)

        @wraps(route)
        async def view(**path: str) -> Response:
            call = await _read(known)
            if known.idempotent is not True:
                result = await route(call, **path)
                return result if isinstance(result, Response) else _encode(known, result)
            made = await services().claims.once(
                call.caller, call.claim, lambda: route(call, **path)
            )
            return _encode(known, made)

        view.operation = known  # type: ignore[attr-defined]
        return cast("Route", view)

    return decorate


def operation_of(view: Any) -> Operation:
    """Return the contract of a mounted route."""
    known: Operation = view.operation
    return known


async def _read(known: Operation) -> Call[Any, Any]:
    """Decode the request; authentication comes first, so that a stranger learns nothing."""
    asked: Asked = cast("Any", request)._get_current_object()  # noqa: SLF001  looked up once
    credentials = Credentials.of(asked.headers)
    caller = NOBODY if known.auth in {"none", "wake"} else _authenticated(asked, credentials)
    if known.auth == "admin" and not caller.admin:
        raise NotFound(NOTHING_HERE)
    if known.streams == "no" and known.answers is not None:
        negotiation.wants_json(asked.headers.get("Accept", ""))
    if known.streams == "asked":  # by the body or the query, not by this header
        negotiation.json_or_sse(asked.headers.get("Accept", ""))
    query = Nothing() if known.query is Nothing else read_query(asked.args, known.query)
    raw = b"" if asked.method in SAFE else await _raw_body(asked)
    body = Nothing() if known.body is Nothing else _body(asked, raw, known.body)
    return Call(
        caller=caller,
        credentials=credentials,
        body=body,
        query=query,
        request_id=g.request_id,
        claim=_claim(asked, raw) if known.idempotent else None,
        raw=raw,
    )


async def _raw_body(asked: Asked) -> bytes:
    """Return the body; where all of it is there, without a pass through the scheduler."""
    raw: bytes | None = cast("WholeBody", asked.body).at_once()
    return cast("bytes", await asked.get_data(cache=False)) if raw is None else raw


def _authenticated(asked: Asked, credentials: Credentials) -> Caller:
    """Return who asks; a cookie alone must come from our own page where it may change something."""
    caller = services().authenticator.authenticate(credentials)
    if credentials.cookie and asked.method not in SAFE:
        seen: Seen = g.seen
        if not g.gate.is_own(seen, asked.headers.get("Origin", "")):
            raise OriginNotAllowed("With a session, only this service's own pages may do that.")
    return caller


def _body(asked: Asked, raw: bytes, kind: type[Any]) -> Any:
    if raw:
        media_type, _, parameters = asked.headers.get("Content-Type", "").partition(";")
        charset = parameters.strip().lower().removeprefix("charset=").strip('"')
        if media_type.strip().lower() != JSON or charset not in {"", "utf-8"}:
            raise MediaTypeNotSupported("The body must be application/json, in UTF-8.")
        if asked.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise MediaTypeNotSupported("The body must come as it is, not compressed.")
    return read_body(raw, kind)


def _claim(asked: Asked, raw: bytes) -> Claim | None:
    keys = asked.headers.getlist("Idempotency-Key")
    if not keys:
        return None
    if len(keys) > 1:
        raise Invalid.at("/Idempotency-Key", "One key is taken, and several came.")
    key = keys[0]
    if not 1 <= len(key) <= limits.HEADER_VALUE_MAX:
        detail = f"The key has 1 to {limits.HEADER_VALUE_MAX} characters."
        raise Invalid.at("/Idempotency-Key", detail)
    return Claim(
        key=key,
        method=asked.method,
        path=asked.path,
        body_sha256=hashlib.sha256(raw).hexdigest(),
    )


def _encode(known: Operation, result: Any) -> Response:
    """Return the view as JSON, with the headers that the contract gives it."""
    made = result if isinstance(result, Answer) else Answer(body=to_bytes(result))
    response = Response(made.body, known.status, content_type=JSON)
    if known.location:
        response.headers["Location"] = known.location.format(id=orjson.loads(made.body)["id"])
    if made.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


class Empty(Response):
    """An answer without a body, and so without a media type."""

    default_mimetype = None  # type: ignore[assignment]  # as werkzeug has it


def empty(status: int) -> Response:
    """Return an answer without a body."""
    return Empty(b"", status)
