"""Typed settings: read once at the start, from flags, environment, and a TOML file, in that order.

What they are: `runtime.sections`. `RUNCHAT_SERVER__PORT` is `server.port`; an endpoint and an MCP
server are tables of their own, `[endpoints.NAME]` and `[mcp.servers.NAME]`. What cannot be
understood is an error that names it: a name nobody knows, a value of another type or out of its
range. Source: TOML 1.0; the twelve-factor convention for the environment.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeAlias, get_type_hints

from runtime.converting import called, converted
from runtime.endpoint_rules import endpoint_faults
from runtime.problems import Invalid, Refused
from runtime.secret import Secret
from runtime.sections import SECTIONS, TABLES, Endpoint, McpServer, Path_, Server, Settings

__all__ = (
    "BadSettings",
    "Endpoint",
    "McpServer",
    "Server",
    "Settings",
    "endpoint_kept",
    "endpoint_name",
    "endpoint_of",
    "load",
    "mcp_server_of",
    "settings_table",
)

PREFIX = "RUNCHAT_"
NOT_SETTINGS = ("RUNCHAT_TOKEN",)  # the command line's credential; see the contract, section 1
BUILT_IN = ("echo", "local", "synthetic")  # endpoints that need no settings of their own
ENDPOINT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

Given: TypeAlias = dict[Path_, tuple[object, str]]  # value, and where it was given


class BadSettings(Refused):
    """A setting is unknown, of another type, or out of its range; the detail names it."""

    title = "The settings cannot be used"


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
    given |= _from_environ(environ or {}, {path[:-1] for path in given if path[:-2] in TABLES})
    given |= {
        tuple(name.split(".")): (value, "a flag")
        for name, value in (flags or {}).items()
        if value is not None
    }
    values: dict[Path_, dict[str, Any]] = {}
    for path, (value, source) in given.items():
        kind = _kind(path, source)
        values.setdefault(path[:-1], {})[path[-1]] = _value(kind, path, value, source)
    parts: dict[str, Any] = {
        name: section(**values.get((name,), {})) for name, section in SECTIONS.items()
    }
    for table, kind_of in TABLES.items():
        named = {path[-1]: each for path, each in values.items() if path[:-1] == table}
        parts["_".join(table)] = {name: kind_of(**each) for name, each in named.items()}
    settings = Settings(**parts)
    _agree(settings)
    return settings


def endpoint_of(name: str, values: Mapping[str, object]) -> Endpoint:
    """Return an endpoint that was given as JSON, by the rules of the file.

    Raises:
        Invalid: with a pointer to each value that cannot be.
    """
    read, errors = _given(("endpoints", name), values)
    faults = endpoint_faults(Endpoint(**read))
    errors += [{"pointer": f"/{place}", "detail": f"It {words}."} for place, words in faults]
    return _made(read, errors)


def endpoint_kept(name: str, values: Mapping[str, object]) -> Endpoint:
    """Return an endpoint that was let in before, perhaps by rules that asked less.

    Raises:
        Invalid: with a pointer to each value that is of another type.
    """
    return _made(*_given(("endpoints", name), values))


def _made(read: dict[str, Any], errors: list[dict[str, str]]) -> Endpoint:
    if errors:
        raise Invalid("The endpoint cannot be so.", errors=errors)
    return Endpoint(**read)


def mcp_server_of(name: str, values: Mapping[str, object]) -> McpServer:
    """Return an MCP server that was given as JSON, by the rules of the file.

    Raises:
        Invalid: with a pointer to each value that cannot be.
    """
    read, errors = _given(("mcp", "servers", name), values)
    if not str(read.get("url", "")).startswith(("http://", "https://")):
        errors.append({"pointer": "/url", "detail": "It must be an http or https URL."})
    if errors:
        raise Invalid("The server cannot be so.", errors=errors)
    return McpServer(**read)


def _given(
    owner: Path_, values: Mapping[str, object]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return what was given as its types, and a pointer to each value that cannot be."""
    errors: list[dict[str, str]] = []
    read: dict[str, Any] = {}
    for field_name, value in values.items():
        path = (*owner, field_name)
        try:
            read[field_name] = _value(_kind(path, "the request"), path, value, "the request")
        except BadSettings as error:
            errors.append({"pointer": f"/{field_name}", "detail": error.detail})
    return read, errors


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
    return {path: (value, str(config)) for path, value in _leaves((), document, str(config))}


def _leaves(path: Path_, value: object, source: str) -> Iterator[tuple[Path_, object]]:
    """Yield each setting of a document with its path."""
    section = len(path) == len(("section", "name")) and TABLES.keys().isdisjoint((path, path[:-1]))
    if path[:-2] in TABLES or section:
        yield path, value
    elif not isinstance(value, dict):
        if path[:-1] in TABLES or path in TABLES:
            raise BadSettings(f"{'.'.join(path)} in {source} must be a table")
        raise _unknown(path, source)
    else:
        if path[:-1] in TABLES and not value:  # an empty table lacks what is needed
            value = {fields(TABLES[path[:-1]])[0].name: ""}
        for name, each in value.items():
            yield from _leaves((*path, name), each, source)


def _from_environ(environ: Mapping[str, str], named: set[Path_]) -> Given:
    given: Given = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        spelt = [each for each in named if _spelt(each) == path[:-1]]
        path = (*(spelt or [path[:-1]])[0], path[-1])
        given[path] = (text, f"the environment ({variable})")
    return given


def _spelt(path: Path_) -> Path_:
    """Return how the environment spells a path."""
    return tuple(each.replace("-", "_") for each in path)


def _owner(path: Path_) -> type[Any] | None:
    """Return the section or the kind of table that a setting would be a field of."""
    if path[:-2] in TABLES:
        return TABLES[path[:-2]]
    return SECTIONS.get(path[0]) if len(path) == len(("section", "name")) else None


def _kind(path: Path_, source: str) -> Field[Any]:
    """Return the field that a path names."""
    owner = _owner(path)
    taken = BUILT_IN if owner is Endpoint else ()
    named = path[:-2] in TABLES
    if named and (not ENDPOINT_NAME.fullmatch(path[-2]) or path[-2] in taken):
        raise BadSettings(
            f"{'.'.join(path[:-1])} in {source} cannot be called so: small letters, digits, "
            f"- and _{', and none of ' * bool(taken)}{', '.join(taken)}"
        )
    for each in fields(owner) if owner is not None else ():
        if each.name == path[-1]:
            return each
    raise _unknown(path, source)


def _name_in(path: Path_) -> str:
    """Return the name that the operator chose, in a path that may be cut short."""
    for table in TABLES:
        if path[: len(table)] == table and len(path) > len(table):
            return path[len(table)]
    return "NAME"


def _unknown(path: Path_, source: str) -> BadSettings:
    import difflib  # noqa: PLC0415  only a mistake needs it, and every start would pay for it

    name = ".".join(path)
    known = [".".join(each) for each, _ in _all(_name_in(path))]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return BadSettings(f"Unknown setting {name} in {source}{hint}")


def _value(kind: Field[Any], path: Path_, value: object, source: str) -> Any:
    """Return the value as its type, from TOML's types or from the text of the environment."""
    wanted = get_type_hints(_owner(path))[kind.name]
    read = converted(wanted, value)
    if read is None:
        raise BadSettings(f"{'.'.join(path)} in {source} must be {called(wanted)}")
    if wanted in (int, float):
        least, most = kind.metadata["least"], kind.metadata["most"]
        if not least <= read <= most:
            raise BadSettings(f"{'.'.join(path)} in {source} must be from {least} to {most}")
    return read


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
        for place, words in endpoint_faults(endpoint):
            raise BadSettings(f"endpoints.{name}.{place.replace('/', '.')} {words}")
    _agree_on_mcp(settings)


def _agree_on_mcp(settings: Settings) -> None:
    for place in settings.mcp.places:
        if not re.fullmatch(r"[^\s/@]+:[0-9]{1,5}", place):
            raise BadSettings(f"mcp.places has {place!r}, which is no host:port")
    for name, each in settings.mcp_servers.items():
        if bool(each.command) == bool(each.url):
            raise BadSettings(f"mcp.servers.{name} needs a url or a command, and not both")
        if each.url and not each.url.startswith(("http://", "https://")):
            raise BadSettings(f"mcp.servers.{name}.url must be an http or https URL")
        if each.auth == "service" and not (each.client_id and each.issuer):
            raise BadSettings(f"mcp.servers.{name}.auth needs its client_id and issuer")


def _loopback(host: str) -> bool:
    """Whether an address to bind is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean any address


def _all(name: str = "NAME") -> Iterator[tuple[Path_, Field[Any]]]:
    for section, owner in SECTIONS.items():
        for each in fields(owner):
            yield (section, each.name), each
    for table_path, owner in TABLES.items():
        for each in fields(owner):
            yield (*table_path, name, each.name), each


def settings_table() -> str:
    """Return the table of all settings for the README, as Markdown."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for path, each in _all():
        lines.append(f"| `{'.'.join(path)}` | {_shown(each.default)} | {each.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, Secret) or default in ("", (), MISSING):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
