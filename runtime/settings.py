"""Typed settings: read once at the start, from flags, environment, and a TOML file, in that order.

A setting is a field with a sentence that says what it does; the table in the README is made from
them. `RUNCHAT_SERVER__PORT` is `server.port`; an endpoint is a table of its own,
`[endpoints.NAME]`. What cannot be understood is an error that names it: a name nobody knows, a
value of another type or out of its range. Source: TOML 1.0; the twelve-factor convention for the
environment.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_address, ip_network
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from runtime import limits
from runtime.problems import Invalid, Refused
from runtime.secret import Secret

PREFIX = "RUNCHAT_"
NOT_SETTINGS = ("RUNCHAT_TOKEN",)  # the command line's credential; see the contract, section 1
BUILT_IN = ("echo", "local", "synthetic")  # endpoints that need no settings of their own
ENDPOINT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NO_KEY = Secret("")
TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

Path_: TypeAlias = tuple[str, ...]
Given: TypeAlias = dict[Path_, tuple[object, str]]  # value, and where it was given


class BadSettings(Refused):
    """A setting is unknown, of another type, or out of its range; the detail names it."""

    title = "The settings cannot be used"


def setting(default: Any, doc: str, *, least: float = -inf, most: float = inf) -> Any:
    """Declare a setting.

    Args:
        doc: what it does, for the table; the reader is whoever runs the service.
        least: smallest value allowed, for numbers.
        most: largest value allowed, for numbers.
    """
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


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
    vendor: str = setting("", "whose models they are, for prices and limits; empty: by its host")
    models: tuple[str, ...] = setting((), "its models that may be used")
    concurrency: int = setting(8, "jobs it answers at once; others wait", least=1, most=1000)
    connect_s: float = setting(10.0, "seconds until a connection stands", least=0.1, most=120)
    first_byte_s: float = setting(120.0, "seconds until its first event", least=0.1, most=3600)
    idle_s: float = setting(120.0, "seconds between two parts", least=0.1, most=3600)
    total_s: float = setting(3600.0, "seconds of a whole answer", least=1, most=86400)
    retries: int = setting(2, "further tries where it fails before its first word", least=0, most=9)
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
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)


SECTIONS: Mapping[str, type[Any]] = {
    "server": Server,
    "providers": Providers,
    "models": Models,
    "local": Local,
    "log": Log,
    "streams": Streams,
}


def load(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings.

    Args:
        config: the TOML file; None reads none.
        environ: the environment; only names that begin with `RUNCHAT_` are looked at.
        flags: dotted name to value, `{"server.port": 0}`; None is a flag that was not given.

    Raises:
        BadSettings: a name nobody knows, or a value that cannot be.
    """
    given: Given = {}
    given |= _from_file(config) if config is not None else {}
    given |= _from_environ(environ or {}, {path[1] for path in given if path[0] == "endpoints"})
    given |= {
        tuple(name.split(".")): (value, "a flag")
        for name, value in (flags or {}).items()
        if value is not None
    }
    values: dict[Path_, dict[str, Any]] = {}
    for path, (value, source) in given.items():
        kind = _kind(path, source)
        values.setdefault(path[:-1], {})[path[-1]] = _value(kind, path, value, source)
    settings = Settings(
        **{name: section(**values.get((name,), {})) for name, section in SECTIONS.items()},
        endpoints={
            path[1]: Endpoint(**each) for path, each in values.items() if path[0] == "endpoints"
        },
    )
    _agree(settings)
    return settings


def endpoint_of(name: str, values: Mapping[str, object]) -> Endpoint:
    """Return an endpoint that was given as JSON, by the rules of the file.

    Raises:
        Invalid: with a pointer to each value that cannot be.
    """
    errors: list[dict[str, str]] = []
    read: dict[str, Any] = {}
    for field_name, value in values.items():
        path = ("endpoints", name, field_name)
        try:
            read[field_name] = _value(_kind(path, "the request"), path, value, "the request")
        except BadSettings as error:
            errors.append({"pointer": f"/{field_name}", "detail": error.detail})
    if not str(read.get("base_url", "")).startswith(("http://", "https://")):
        errors.append({"pointer": "/base_url", "detail": "It must be an http or https URL."})
    if errors:
        raise Invalid("The endpoint cannot be so.", errors=errors)
    return Endpoint(**read)


def endpoint_name(name: str) -> str:
    """Return the name, if an endpoint can be called so.

    Raises:
        Invalid: it cannot.
    """
    if not ENDPOINT_NAME.fullmatch(name) or name in BUILT_IN:
        known = ", ".join(BUILT_IN)
        raise Invalid.at("/name", f"Small letters, digits, - and _, and none of {known}.")
    return name


def _from_file(config: Path) -> Given:
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"{config} cannot be read: {error}") from error
    given: Given = {}
    for section, table in document.items():
        if not isinstance(table, dict):
            raise _unknown((section,), str(config))
        deeper = section == "endpoints"
        for name, value in table.items():
            if not deeper:
                given[section, name] = (value, str(config))
            elif isinstance(value, dict):
                table_of = value or {"base_url": ""}  # an empty table lacks what is needed
                given |= {(section, name, each): (table_of[each], str(config)) for each in table_of}
            else:
                raise BadSettings(f"endpoints.{name} in {config} must be a table")
    return given


def _from_environ(environ: Mapping[str, str], endpoints: set[str]) -> Given:
    given: Given = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if path[0] == "endpoints" and len(path) > 1:
            spelt = [name for name in endpoints if name.replace("-", "_") == path[1]]
            path = (path[0], *(spelt or [path[1]])[:1], *path[2:])
        given[path] = (text, f"the environment ({variable})")
    return given


def _kind(path: Path_, source: str) -> Field[Any]:
    """Return the field that a path names."""
    owner = SECTIONS.get(path[0])
    if path[0] == "endpoints" and len(path) == len(("endpoints", "name", "field")):
        owner = Endpoint
        if not ENDPOINT_NAME.fullmatch(path[1]) or path[1] in BUILT_IN:
            raise BadSettings(
                f"endpoints.{path[1]} in {source} cannot be called so: small letters, digits, "
                f"- and _, and none of {', '.join(BUILT_IN)}"
            )
    elif len(path) != len(("section", "name")):
        owner = None
    for each in fields(owner) if owner is not None else ():
        if each.name == path[-1]:
            return each
    raise _unknown(path, source)


def _unknown(path: Path_, source: str) -> BadSettings:
    import difflib  # noqa: PLC0415  only a mistake needs it, and every start would pay for it

    name = ".".join(path)
    known = [".".join(each) for each, _ in _all(endpoint=path[1] if len(path) > 1 else "NAME")]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return BadSettings(f"Unknown setting {name} in {source}{hint}")


def _value(kind: Field[Any], path: Path_, value: object, source: str) -> Any:
    """Return the value as its type, from TOML's types or from the text of the environment."""
    owner = Endpoint if path[0] == "endpoints" else SECTIONS[path[0]]
    wanted = get_type_hints(owner)[kind.name]
    converted = _converted(wanted, value)
    if converted is None:
        raise BadSettings(f"{'.'.join(path)} in {source} must be {_called(wanted)}")
    if wanted in (int, float):
        least, most = kind.metadata["least"], kind.metadata["most"]
        if not least <= converted <= most:
            raise BadSettings(f"{'.'.join(path)} in {source} must be from {least} to {most}")
    return converted


def _converted(wanted: Any, value: object) -> Any:
    """Return `value` as the type wanted, None where it is not one."""
    if get_origin(wanted) is Literal:
        return value if value in get_args(wanted) else None
    if get_origin(wanted) is tuple:
        if isinstance(value, str):
            value = _listed(value)
        many = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        return tuple(value) if many else None  # type: ignore[arg-type]  # `many` has looked
    if wanted is bool:
        return TRUTH.get(value.lower()) if isinstance(value, str) else _only(bool, value)
    if wanted in (int, float):
        return _number(wanted, value)
    return wanted(value) if isinstance(value, str) else _only(wanted, value)


def _listed(text: str) -> object:
    """Return the list that a text tells: JSON's, or words between commas (`[::1]` is a word)."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return [each.strip() for each in text.split(",") if each.strip()]


def _number(wanted: type[int | float], value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | wanted):
        return None
    try:
        return wanted(value)
    except ValueError:
        return None


def _only(wanted: type[Any], value: object) -> Any:
    return value if isinstance(value, wanted) else None


def _called(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(get_args(wanted))
    if get_origin(wanted) is tuple:
        return "a list of strings"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(wanted, "a string")


def _agree(settings: Settings) -> None:
    """Check what one setting means for another."""
    server = settings.server
    if bool(server.tls_cert) != bool(server.tls_key):
        raise BadSettings("server.tls_cert and server.tls_key come together or not at all")
    for network in server.trusted_proxies:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise BadSettings(f"server.trusted_proxies: {error}") from error
    if server.behind_proxy and not server.trusted_proxies:
        raise BadSettings("server.behind_proxy needs server.trusted_proxies")
    if not (_loopback(server.host) or server.tls_cert or server.behind_proxy):
        raise BadSettings(f"server.host {server.host} wants server.tls_cert or server.behind_proxy")
    for name, endpoint in settings.endpoints.items():
        if not endpoint.base_url.startswith(("http://", "https://")):
            raise BadSettings(f"endpoints.{name}.base_url must be an http or https URL")


def _loopback(host: str) -> bool:
    """Whether an address to bind is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean any address


def _all(endpoint: str = "NAME") -> Iterator[tuple[Path_, Field[Any]]]:
    for section, owner in SECTIONS.items():
        for each in fields(owner):
            yield (section, each.name), each
    for each in fields(Endpoint):
        yield ("endpoints", endpoint, each.name), each


def settings_table() -> str:
    """Return the table of all settings for the README, as Markdown."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for path, each in _all():
        lines.append(f"| `{'.'.join(path)}` | {_shown(each.default)} | {each.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, Secret) or default in ("", ()):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
