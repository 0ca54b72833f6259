"""Builds the HTTP app: requests in through the gate, routes, answers out with their headers."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, cast

import structlog
import trio
from quart import Quart, Request, Response, g
from quart.ctx import AppContext, RequestContext
from quart.globals import _cv_app, _cv_request  # the contexts that `g` and `request` look at
from quart.routing import QuartRule
from quart.sessions import NullSession
from quart_trio import QuartTrio
from werkzeug.routing import MapAdapter, PathConverter

from runtime import limits
from runtime.problems import InternalError, Problem
from runtime.settings import Settings
from transports.ingress.http.caller import Credentials
from transports.ingress.http.context import Services
from transports.ingress.http.exchange import Exchange, Pairs, SocketExchange
from transports.ingress.http.gate import STREAMS, Gate, cors_headers
from transports.ingress.http.operation import empty
from transports.ingress.http.problems import answer, refusal
from transports.ingress.http.responses.socket import ResponsesSocket
from transports.ingress.http.routes import (
    actions,
    completions,
    conversations,
    endpoints,
    events,
    health,
    jobs,
    mcp,
    mcp_sign_in,
    models,
    page,
    responses,
    session,
    streams,
    subscriptions,
    threads,
    tools,
    ui_chat,
)
from transports.ingress.http.sockets import Send, SocketMail, bound

log = structlog.get_logger(__name__)
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
BLUEPRINTS: Final = (
    health.routes,
    session.routes,
    conversations.routes,
    jobs.routes,
    events.routes,
    models.routes,
    endpoints.routes,
    mcp.routes,
    mcp_sign_in.routes,
    actions.routes,
    tools.routes,
    responses.routes,
    threads.routes,
    completions.routes,
    ui_chat.routes,
    subscriptions.routes,
    streams.routes,
    page.routes,
)
READING: Final = ("GET", "HEAD", "OPTIONS")
CLOSED: Final = b"default-src 'none'; frame-ancestors 'none'"
ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", CLOSED),
    (b"cache-control", b"no-store"),
)


class StreamPath(PathConverter):
    """A stream's path: any, but those of the protocol's own resources."""

    regex = r"(?!__ds/(?:subscriptions/|jwks\.json$)).+"


class FoundRule(QuartRule):
    """A rule by which a route is found; no address is ever made by it.

    For that werkzeug would compile two functions a rule, which is a thirtieth of a start.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Any:  # noqa: ARG002
        return _no_address


def _no_address(*_: object) -> None:
    """Return that none can be made."""


class App(QuartTrio):
    """Quart whose exchange, and whose way to a route and back, cost less; and with our log.

    For each request Quart opens a session, sends five signals, binds its map of addresses anew and
    asks of every function whether it belongs to asyncio. Nothing here has any use for that.
    """

    asgi_http_class = Exchange  # type: ignore[assignment]  # siblings of quart-trio's own
    asgi_websocket_class = SocketExchange  # type: ignore[assignment]

    def __init__(self, services: Services) -> None:
        super().__init__("runchat", static_folder=None, template_folder=None)
        self.config["MAX_CONTENT_LENGTH"] = limits.BODY_BYTES_MAX
        self.config["BODY_TIMEOUT"] = limits.BODY_S
        self.extensions["services"] = services
        self._services = services
        self._gate = gate_of(services.settings)
        self._log = log.bind()  # once: a logger that is looked up each time costs as much as a line
        self._map, self.view_functions = routed()

    def create_url_adapter(self, _: Any) -> MapAdapter:
        """Return what finds routes."""
        return self._map

    async def respond(self, request: Request) -> tuple[Any, Pairs]:
        """Return the answer to a request, whatever comes of it, and its headers."""
        around = AppContext(self)
        context = RequestContext(self, request, NullSession())
        tokens = _cv_app.set(around), _cv_request.set(context)
        try:
            try:
                response = self._come_in(request, around.g) or await self._route(request)
            except trio.Cancelled:
                raise
            except BaseExceptionGroup as group:
                _, rest = group.split(trio.Cancelled)
                if rest is None:
                    raise
                response = answer(self._refusal(rest))
            except Exception as error:  # noqa: BLE001 - the last to catch what nobody expected
                response = answer(self._refusal(error))
            return response, self._go_out(request, response, around.g)
        finally:
            _cv_request.reset(tokens[1])
            _cv_app.reset(tokens[0])

    async def converse(self, scope: Any, mail: SocketMail, send: Send) -> None:
        """Serve a WebSocket to its end."""
        bound(send)
        await ResponsesSocket(self._services, self._gate, scope, mail, send).run()

    async def _route(self, request: Request) -> Any:
        rule, parts = self._map.match(request.path, request.method, return_rule=True)
        request.url_rule = cast("QuartRule", rule)
        view: Any = self.view_functions[rule.endpoint]
        return await view(**parts)

    def _refusal(self, error: BaseException) -> Problem:
        """Return what is told of an error: of a bug no more than that there was one."""
        told = refusal(error)
        if told is None:
            log.error("request.failed", request_id=g.get("request_id"), exc_info=error)
            told = InternalError("Something went wrong here; it has been logged.")
        return told

    def _come_in(self, request: Request, known: Any) -> Response | None:
        """Put the gate before a request."""
        headers, scope = request.headers, request.scope
        known.request_id = self._services.ids.new("req_")
        known.gate, known.cors = self._gate, {}
        said = {"request_id": known.request_id}
        known.traceparent = ""
        if TRACEPARENT.fullmatch(trace := headers.get("traceparent", "")):
            known.traceparent = said["traceparent"] = trace
        structlog.contextvars.bind_contextvars(**said)
        known.seen = self._gate.see(
            scheme=request.scheme,
            headers=headers,
            client=scope.get("client"),
            server=scope.get("server"),
        )
        self._gate.check_host(known.seen)
        if "Origin" in headers or request.method == "OPTIONS":
            return _admit(self._gate, request, known)
        return None

    def _go_out(self, request: Request, response: Any, known: Any) -> Pairs:
        """Note the answer; return its headers, with those that every answer has."""
        request_id = known.get("request_id", "")
        pairs = [(name.lower().encode(), value.encode()) for name, value in response.headers]
        told = {name for name, _ in pairs}
        more = known.get("cors") or {}
        pairs += [(name, value.encode()) for name, value in more.items() if name not in told]
        pairs += [pair for pair in ALWAYS if pair[0] not in told and pair[0] not in more]
        pairs.append((b"x-request-id", request_id.encode()))
        tell = self._log.debug if request.method in READING else self._log.info
        route = request.url_rule.rule if request.url_rule else None  # the path may hold anything
        tell("answered", method=request.method, route=route, status=response.status_code)
        return pairs


@cache
def routed() -> tuple[MapAdapter, dict[str, Any]]:
    """Return what finds a route, and the views: made once, for they know no service."""
    table = Quart("runchat", static_folder=None, template_folder=None)
    mount(table)
    found = table.url_map.bind("localhost")  # any Host: the gate has looked at it
    table.url_map.update()
    return found, table.view_functions


def mount(app: Quart) -> None:
    """Put every route on an app."""
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_rule_class = FoundRule
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # no redirect: an address is right or it is not
    app.url_map.converters["stream"] = StreamPath
    app.url_map.converters["actions"] = actions.ActionsName
    for routes in BLUEPRINTS:
        app.register_blueprint(routes)


def build(services: Services) -> App:
    """Return the app that serves these services."""
    return App(services)


def gate_of(settings: Settings) -> Gate:
    """Return the gate that the settings describe."""
    server = settings.server
    return Gate(
        host=server.host,
        public_url=server.public_url,
        allowed_hosts=server.allowed_hosts,
        cors_origins=server.cors_origins,
        trusted_proxies=server.trusted_proxies,
    )


def _admit(gate: Gate, request: Request, known: Any) -> Response | None:
    """Check the Origin; a preflight of an allowed one is answered here."""
    origin = request.headers.get("Origin", "")
    asked = request.headers.get("Access-Control-Request-Method", "")
    preflight = request.method == "OPTIONS" and bool(asked)
    if preflight and request.path.startswith(STREAMS):
        known.cors = cors_headers("*", preflight=True)
        return empty(204)
    wants_token = (
        "authorization" in request.headers.get("Access-Control-Request-Headers", "").lower()
    )
    bearer = wants_token if preflight else bool(Credentials.of(request.headers).token)
    allowed = gate.check_origin(known.seen, origin, bearer=bearer)
    if allowed is not None:
        known.cors = cors_headers(allowed, preflight=preflight)
    return empty(204) if preflight and allowed is not None else None
