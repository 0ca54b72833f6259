"""Swagger 2.0 said in the words of OpenAPI 3: an operation at a time, when it is looked at.

Source: Swagger 2.0 specification, Parameter Object; OpenAPI 3.0, appendix on `style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from transports.egress.actions.pointers import mapping, text

OUTSIDE: Final = ("name", "in", "required", "description", "collectionFormat", "allowEmptyValue")
STYLES: Final = {  # collectionFormat: style, explode
    "csv": ("form", False),
    "ssv": ("spaceDelimited", False),
    "tsv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
JSON: Final = "application/json"


def parameter(said: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter of the path, query or header."""
    schema = {name: value for name, value in said.items() if name not in OUTSIDE}
    kept = ("name", "in", "required", "description")
    made: dict[str, Any] = {name: said[name] for name in kept if name in said}
    made["schema"] = schema
    if schema.get("type") == "array":
        style, explode = STYLES.get(str(said.get("collectionFormat", "csv")), ("form", False))
        made["style"] = style if said.get("in") == "query" else "simple"
        made["explode"] = explode
    return made


def body(
    parameters: Iterable[dict[str, Any]], operation: dict[str, Any], root: dict[str, Any]
) -> dict[str, Any] | None:
    """Return what parameters in the body and in a form come to; None where there are none."""
    found = list(parameters)
    whole = next((each for each in found if each.get("in") == "body"), None)
    consumes = [*_texts(operation.get("consumes", root.get("consumes")))]
    if whole is not None:
        media = [each for each in consumes if each not in {FORM, MULTIPART}] or [JSON]
        content = {each: {"schema": whole.get("schema", {})} for each in media}
        return {
            "required": whole.get("required") is True,
            "description": text(whole, "description"),
            "content": content,
        }
    fields = [each for each in found if each.get("in") == "formData"]
    if not fields:
        return None
    required = [each.get("name") for each in fields if each.get("required") is True]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {str(each.get("name")): _field(each) for each in fields},
    }
    if required:
        schema["required"] = required
    kinds = [each for each in consumes if each in {FORM, MULTIPART}]
    has_file = any(each.get("type") == "file" for each in fields)
    media = [MULTIPART] if has_file else kinds[:1] or [FORM]
    return {"required": bool(required), "content": {each: {"schema": schema} for each in media}}


def servers(root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the servers of a document."""
    host, base = text(root, "host"), text(root, "basePath").rstrip("/")
    schemes = [each for each in _texts(root.get("schemes")) if each in {"https", "http"}]
    if not host:
        return [{"url": base or "/"}]
    chosen = sorted(schemes, reverse=True) or ["https"]
    return [{"url": f"{each}://{host}{base}"} for each in chosen]


def scheme(said: dict[str, Any]) -> dict[str, Any]:
    """Return a security scheme."""
    if said.get("type") == "basic":
        return {"type": "http", "scheme": "basic"}
    if said.get("type") != "oauth2":
        return said
    flows = {
        "accessCode": "authorizationCode",
        "application": "clientCredentials",
        "implicit": "implicit",
        "password": "password",
    }
    urls = ("authorizationUrl", "tokenUrl")
    flow: dict[str, Any] = {name: said[name] for name in urls if name in said}
    flow["scopes"] = mapping(said, "scopes")
    return {"type": "oauth2", "flows": {flows.get(str(said.get("flow")), "implicit"): flow}}


def _field(said: dict[str, Any]) -> dict[str, Any]:
    schema = {name: value for name, value in said.items() if name not in OUTSIDE}
    if description := text(said, "description"):
        schema["description"] = description
    if schema.get("type") == "file":
        schema |= {"type": "string", "format": "binary"}
    return schema


def _texts(found: Any) -> Iterator[str]:
    yield from (
        each for each in (found if isinstance(found, list) else ()) if isinstance(each, str)
    )
