"""Where an API is: its servers with their variables filled in, and the one that is agreed upon.

What is agreed upon is one origin: an operation that is somewhere else is left out, and a call goes
nowhere else. A value of a variable is a word, so that none can turn an address into another.
Source: OpenAPI 3.1 sections 4.8.5 and 4.8.6; RFC 3986 section 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from runtime import limits
from transports.egress.actions import swagger
from transports.egress.actions.pointers import Document, mapping, text
from transports.egress.actions.reading import Unusable

VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
VALUE: Final = re.compile(r"[A-Za-z0-9._~-]{1,200}(?:/[A-Za-z0-9._~-]{1,200})*")


def servers(document: Document, owner: Any, variables: Mapping[str, str], base: str) -> list[str]:
    """Return the URLs of what an owner (the document, a path, an operation) says of servers.

    Args:
        variables: values that differ from the document's own.
        base: where the document came from; "" where that is not known.
    """
    if document.swagger:
        said = swagger.servers(document.root) if owner is document.root else []
    else:
        listed = owner.get("servers") if isinstance(owner, dict) else None
        said = [each for each in listed if isinstance(each, dict)] if listed else []
        if not said and owner is document.root:
            said = [{"url": "/"}]
    found = [_filled(each, variables, base) for each in said[: limits.ACTION_SERVERS_MAX]]
    return list(dict.fromkeys(each for each in found if each))


def agreed(found: list[str], wanted: str) -> str:
    """Return the server that calls go to: the one wanted, else the first that is whole.

    Raises:
        Unusable: the document has another one, or none and none is wanted.
    """
    whole = [each for each in found if is_whole(each)]
    if not wanted:
        if not whole:
            raise Unusable("no-server", "It names no server: say in `server` where it is.")
        return whole[0]
    if not is_whole(wanted):
        raise Unusable("server", "A server is an http or https URL without variables.")
    if whole and origin(wanted) not in {origin(each) for each in whole}:
        raise Unusable("domain-mismatch", "The document names other servers than this one.")
    return wanted.rstrip("/")


def is_whole(url: str) -> bool:
    """Say whether a URL has all that a call needs."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "{" not in url


def origin(url: str) -> tuple[str, str]:
    """Return the scheme and place of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _filled(server: dict[str, Any], variables: Mapping[str, str], base: str) -> str:
    """Return a server's URL; a variable that has no value stays in it."""
    described = mapping(server, "variables")

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        told = described.get(name)
        chosen = variables.get(name) or _default(told)
        choices = told.get("enum") if isinstance(told, dict) else None
        if isinstance(choices, list) and name in variables and chosen not in choices:
            raise Unusable("variable", f"{name} is none of the choices.")
        if chosen and not VALUE.fullmatch(chosen):
            if name in variables:
                raise Unusable("variable", f"{name} is no word of a URL.")
            return chosen if name not in variables else ""
        return chosen or found.group(0)

    url = VARIABLE.sub(value, text(server, "url"))
    try:
        return urljoin(base, url).rstrip("/")
    except ValueError:
        return ""


def _default(told: Any) -> str:
    default = told.get("default") if isinstance(told, dict) else None
    return str(default) if isinstance(default, str | int) else ""
