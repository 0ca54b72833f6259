"""What can be set: a section a class, a setting a field with a sentence that says what it does.

The sentences make the table in the README. An endpoint and an MCP server are tables of their own,
under a name that the operator chooses. How settings are read: `runtime.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, TypeAlias

from runtime import limits
from runtime.secret import Secret

NO_KEY = Secret("")

Path_: TypeAlias = tuple[str, ...]
Policy: TypeAlias = Literal["auto", "ask", "deny"]


def setting(default: Any, doc: str, *, least: float = -inf, most: float = inf) -> Any:
    """Declare a setting.

    Args:
        doc: what it does, for the table; the reader is whoever runs the service.
        least: smallest value allowed, for numbers.
        most: largest value allowed, for numbers.
    """
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


def table(doc: str) -> Any:
    """Declare a setting that is a table of its own; see `setting`."""
    return field(default_factory=dict, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How the service is reached."""

    host: str = setting("127.0.0.1", "address to bind; one that is not loopback wants TLS")
    port: int = setting(8787, "port to bind; 0 is a free one", least=0, most=65535)
    tls_cert: str = setting("", "certificate chain, a PEM file; with `tls_key` it turns TLS on")
    tls_key: str = setting("", "private key of the certificate, a PEM file")
    public_url: str = setting("", "URL people use, where it is not the one bound")
    allowed_hosts: tuple[str, ...] = setting((), "further names accepted in `Host`")
    trusted_proxies: tuple[str, ...] = setting((), "addresses whose forwarded headers are read")
    behind_proxy: bool = setting(default=False, doc="a trusted proxy does the TLS")
    cors_origins: tuple[str, ...] = setting((), "other origins whose pages may ask, with a token")
    shutdown_grace_s: float = setting(10.0, "seconds jobs have at a stop", least=0, most=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """Which built-in providers are offered."""

    synthetic: bool = setting(default=False, doc="offer `synthetic/tokens`, a load generator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Which model answers."""

    default: str = setting("", "model of a job that names none; empty: the first that is installed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """How the embedded model runs."""

    threads: int = setting(1, "threads of the embedded model", least=1, most=256)
    context: int = setting(2048, "tokens it takes into account", least=256, most=8192)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is logged, to stderr."""

    format: Literal["console", "json"] = setting("console", "`console` or `json`, a line an event")
    level: Literal["debug", "info", "warning", "error"] = setting("info", "the least logged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """How the Durable Streams protocol answers."""

    long_poll_s: float = setting(
        limits.LONG_POLL_S, "seconds a long poll waits", least=0.1, most=60
    )
    webhooks: bool = setting(
        default=False, doc="subscriptions may call webhooks, not only be asked"
    )
    webhook_loopback: bool = setting(default=False, doc="webhooks may be on this machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A provider reached over the network, under a name of one's own."""

    base_url: str = setting("", "where it is; needed")
    wire: Literal["openai-chat", "openai-responses", "anthropic-messages", "google-generate"] = (
        setting(
            "openai-chat",
            "what it speaks: also `openai-responses`, `anthropic-messages`, `google-generate`",
        )
    )
    api_key: Secret = field(default=NO_KEY, metadata={"doc": "its key; never shown or logged"})
    vendor: str = setting("", "whose models: prices, limits, the SDK that asks; empty: by its host")
    models: tuple[str, ...] = setting((), "its models that may be used")
    concurrency: int = setting(8, "jobs it answers at once; others wait", least=1, most=1000)
    connect_s: float = setting(10.0, "seconds until a connection stands", least=0.1, most=120)
    first_byte_s: float = setting(120.0, "seconds until its first event", least=0.1, most=3600)
    idle_s: float = setting(120.0, "seconds between two parts", least=0.1, most=3600)
    total_s: float = setting(3600.0, "seconds of a whole answer", least=1, most=86400)
    retries: int = setting(2, "further tries where it fails before its first word", least=0, most=9)
    allow_loopback: bool = setting(default=False, doc="it may be on this machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcp:
    """Where MCP servers may be."""

    places: tuple[str, ...] = setting(
        (), "`host:port` in a private network that people's servers, and sign-ins, may reach"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Where actions may reach."""

    places: tuple[str, ...] = setting(
        (), "`host:port` in a private network that actions, their documents and sign-ins may reach"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """An MCP server: one of the network by its `url`, or a program of this machine."""

    url: str = setting("", "where it is; or `command` says what it is")
    command: tuple[str, ...] = setting((), "a program and its arguments; no shell reads them")
    folder: str = setting("", "where the program runs; empty: where the service does")
    environment: Mapping[str, Secret] = table("the program's variables, and all but `PATH` it gets")
    headers: Mapping[str, Secret] = table("what each request to the URL carries")
    auth: Literal["none", "person", "service"] = setting(
        "none", "`person`: each signs in; `service`: the service does, with `client_secret`"
    )
    client_id: str = setting("", "registered with the issuer beforehand; empty: it is done then")
    client_secret: Secret = field(default=NO_KEY, metadata={"doc": "its secret; never shown"})
    issuer: str = setting("", "the authorization server that the registration is of")
    scope: str = setting("", "what the service asks for; empty: what the server says")
    policy: Literal["auto", "ask", "deny"] = setting(
        "ask", "whether a human is asked before a call: `auto`, `ask`, `deny`"
    )
    tools: Mapping[str, Policy] = table("the policy of a tool, where it is another one")
    timeout_s: float = setting(limits.MCP_CALL_S, "seconds of a call", least=0.1, most=3600)
    enabled: bool = setting(default=True, doc="whether it is in use")
    allow_loopback: bool = setting(default=False, doc="it may be on this machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of them; `Settings()` is the defaults."""

    server: Server = field(default_factory=Server)
    providers: Providers = field(default_factory=Providers)
    models: Models = field(default_factory=Models)
    local: Local = field(default_factory=Local)
    log: Log = field(default_factory=Log)
    streams: Streams = field(default_factory=Streams)
    mcp: Mcp = field(default_factory=Mcp)
    actions: Actions = field(default_factory=Actions)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    mcp_servers: Mapping[str, McpServer] = field(default_factory=dict)


SECTIONS: Mapping[str, type[Any]] = {
    "server": Server,
    "providers": Providers,
    "models": Models,
    "local": Local,
    "log": Log,
    "streams": Streams,
    "mcp": Mcp,
    "actions": Actions,
}
TABLES: Mapping[Path_, type[Any]] = {("endpoints",): Endpoint, ("mcp", "servers"): McpServer}
