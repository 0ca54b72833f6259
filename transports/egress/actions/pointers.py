"""A document whose references can be followed: those that point inside it, and no other.

What points elsewhere is never fetched: it is told of. A reference that leads back to itself ends
the chase. Source: RFC 6901; OpenAPI 3.1 section 4.8.23.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from runtime import limits
from transports.egress.actions.reading import Unusable


class Document:
    """A document, with what its references mean."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.swagger = _version(root)
        self._known: dict[str, Any] = {}

    def at(self, pointer: str) -> Any:
        """Return what a reference points to.

        Raises:
            Unusable: it points outside, or to nothing.
        """
        if pointer in self._known:
            return self._known[pointer]
        if not pointer.startswith("#"):
            raise Unusable("points-outside", "A reference points outside of the document.")
        here: Any = self.root
        for part in unquote(pointer[1:]).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(here, dict) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            else:
                raise Unusable("points-nowhere", "A reference points to nothing.")
        self._known[pointer] = here
        return here

    def followed(self, value: Any) -> Any:
        """Return a value, or what its reference leads to in the end.

        Raises:
            Unusable: it leads nowhere, outside, or round in a circle.
        """
        for _ in range(limits.ACTION_HOPS_MAX):
            if not (isinstance(value, dict) and isinstance(value.get("$ref"), str)):
                return value
            value = self.at(value["$ref"])
        raise Unusable("circular", "A reference leads back to itself.")

    def listed(self, owner: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list, each with its reference followed; others are passed over."""
        found = owner.get(name)
        for each in found if isinstance(found, list) else ():
            try:
                value = self.followed(each)
            except Unusable:
                continue
            if isinstance(value, dict):
                yield value


def mapping(owner: Any, name: str) -> dict[str, Any]:
    """Return the mapping of a name, empty where there is none."""
    found = owner.get(name) if isinstance(owner, dict) else None
    return found if isinstance(found, dict) else {}


def text(owner: Any, *names: str) -> str:
    """Return the first text that one of the names has, "" where none has."""
    found = (owner.get(name) for name in names) if isinstance(owner, dict) else ()
    return next((each.strip() for each in found if isinstance(each, str) and each.strip()), "")


def _version(root: dict[str, Any]) -> bool:
    """Say whether a document is Swagger 2.

    Raises:
        Unusable: it is neither that nor OpenAPI 3.0 or 3.1, or describes no paths.
    """
    said = root.get("openapi", root.get("swagger"))
    version = str(said)
    if said is None:
        raise Unusable("version", "It says neither `openapi` nor `swagger`.")
    is_swagger = "openapi" not in root and version in {"2.0", "2"}
    if not is_swagger and not version.startswith(("3.0", "3.1")):
        words = f"OpenAPI 3.0, 3.1 and Swagger 2.0 are read, not {version[:20]}."
        raise Unusable("version", words)
    if not isinstance(root.get("paths", {}), dict):
        raise Unusable("paths", "`paths` is no object.")
    return is_swagger
