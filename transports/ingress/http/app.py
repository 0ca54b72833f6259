"""Builds the HTTP app: requests in through the gate, routes, answers out with their headers."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Final

import structlog
from quart import Quart, Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter

from runtime import limits
from runtime.problems import Problem
from transports.ingress.http.caller import Credentials
from transports.ingress.http.context import Services
from transports.ingress.http.exchange import Exchange, NoWebsocket
from transports.ingress.http.gate import STREAMS, Gate, cors_headers
from transports.ingress.http.operation import empty
from transports.ingress.http.problems import on_framework_error, on_problem
from transports.ingress.http.routes import (
    conversations,
    events,
    health,
    jobs,
    models,
    page,
    session,
    streams,
    subscriptions,
)

log = structlog.get_logger(__name__)
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
BLUEPRINTS: Final = (
    health.routes,
    session.routes,
    conversations.routes,
    jobs.routes,
    events.routes,
    models.routes,
    subscriptions.routes,
    streams.routes,
    page.routes,
)
READING: Final = ("GET", "HEAD", "OPTIONS")
CLOSED: Final = "default-src 'none'; frame-ancestors 'none'"
ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": CLOSED,
    "Cache-Control": "no-store",
}


class StreamPath(PathConverter):
    """A stream's path: any, but those of the protocol's own resources."""

    regex = r"(?!__ds/(?:subscriptions/|jwks\.json$)).+"


class App(QuartTrio):
    """Quart with its exchange replaced by one that costs an open stream less, and our log."""

    asgi_http_class = Exchange  # type: ignore[assignment]  # siblings of quart-trio's own
    asgi_websocket_class = NoWebsocket  # type: ignore[assignment]

    def log_exception(
        self,
        exception_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log a bug with the id of the request that met it; never what the request said."""
        log.error("request.failed", request_id=g.get("request_id"), exc_info=exception_info)


def mount(app: Quart) -> None:
    """Put every route on an app."""
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # no redirect: an address is right or it is not
    app.url_map.converters["stream"] = StreamPath
    for routes in BLUEPRINTS:
        app.register_blueprint(routes)


def build(services: Services) -> App:
    """Return the app that serves these services."""
    app = App("runchat", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.BODY_BYTES_MAX
    app.config["BODY_TIMEOUT"] = limits.BODY_S
    app.config["RESPONSE_TIMEOUT"] = None  # the connection bounds its own waits
    app.extensions["services"] = services
    mount(app)
    app.register_error_handler(Problem, on_problem)
    app.register_error_handler(HTTPException, on_framework_error)
    server = services.settings.server
    gate = Gate(
        host=server.host,
        public_url=server.public_url,
        allowed_hosts=server.allowed_hosts,
        cors_origins=server.cors_origins,
        trusted_proxies=server.trusted_proxies,
    )
    _guard(app, services, gate)
    return app


def _guard(app: App, services: Services, gate: Gate) -> None:
    """Put the gate before every request and the headers on every answer."""

    @app.before_request
    async def come_in() -> Response | None:
        g.request_id = services.ids.new("req_")
        g.gate, g.cors = gate, {}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        g.traceparent = ""
        if TRACEPARENT.fullmatch(trace := request.headers.get("traceparent", "")):
            g.traceparent = trace
            structlog.contextvars.bind_contextvars(traceparent=trace)
        g.seen = gate.see(
            scheme=request.scheme,
            headers=request.headers,
            client=request.scope.get("client"),
            server=request.scope.get("server"),
        )
        gate.check_host(g.seen)
        return _admit(gate)

    @app.after_request
    async def go_out(response: Response) -> Response:
        headers: dict[str, Any] = {**ALWAYS, **g.get("cors", {})}
        for name, value in headers.items():
            if name not in response.headers:
                response.headers[name] = value
        response.headers["X-Request-Id"] = g.get("request_id", "")
        tell = log.debug if request.method in READING else log.info
        route = request.url_rule.rule if request.url_rule else None  # the path may hold anything
        tell("answered", method=request.method, route=route, status=response.status_code)
        return response


def _admit(gate: Gate) -> Response | None:
    """Check the Origin; a preflight of an allowed one is answered here."""
    origin = request.headers.get("Origin", "")
    asked = request.headers.get("Access-Control-Request-Method", "")
    preflight = request.method == "OPTIONS" and bool(asked)
    if preflight and request.path.startswith(STREAMS):
        g.cors = cors_headers("*", preflight=True)
        return empty(204)
    wants_token = (
        "authorization" in request.headers.get("Access-Control-Request-Headers", "").lower()
    )
    bearer = wants_token if preflight else bool(Credentials.of(request.headers).token)
    allowed = gate.check_origin(g.seen, origin, bearer=bearer)
    if allowed is not None:
        g.cors = cors_headers(allowed, preflight=preflight)
    return empty(204) if preflight and allowed is not None else None
