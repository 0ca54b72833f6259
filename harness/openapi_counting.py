"""Counts what a document of an API describes, apart from the importer and by another way.

It knows nothing of the product: paths, the methods in them, and the parameters that each method has
with those of its path. Source: OpenAPI 3.0.3, Path Item Object and Parameter Object.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def count(document: dict[str, Any]) -> tuple[int, int]:
    """Return how many operations a document has, and how many parameters they have together."""
    operations = parameters = 0
    for item in (look(document, each) for each in document.get("paths", {}).values()):
        for method in METHODS & item.keys():
            if not isinstance(item[method], dict):
                continue
            operations += 1
            both = [*item.get("parameters", []), *item[method].get("parameters", [])]
            described = [look(document, each) for each in both]
            parameters += len({key_of(each) for each in described if "name" in each})
    return operations, parameters


def key_of(parameter: dict[str, Any]) -> tuple[str, str]:
    """Return what makes a parameter the same as another; a header's name has no case (RFC 9110)."""
    place, name = parameter["in"], parameter["name"]
    return place, name.lower() if place == "header" else name


def look(document: Any, value: Any) -> dict[str, Any]:
    """Return a mapping, or the one that its reference means; empty where it means none."""
    seen: set[str] = set()
    while isinstance(value, dict) and "$ref" in value:
        reference = value["$ref"]
        if reference in seen or not reference.startswith("#/"):
            return {}
        seen.add(reference)
        value = document
        for token in reference[2:].split("/"):
            name = unquote(token).replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value.get(name, {})
    return value if isinstance(value, dict) else {}
