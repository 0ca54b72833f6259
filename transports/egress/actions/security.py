"""What a document says of how one shows who one is, in the words of how an action is authorized.

It is shown, so that a person knows what to fill in; nothing is taken from it but on their word.
Source: OpenAPI 3.1 section 4.8.27; RFC 6749 section 4.
"""

from __future__ import annotations

from typing import Any

from transports.egress.actions import swagger
from transports.egress.actions.pointers import Document, mapping, text
from transports.egress.actions.reading import Unusable

FLOWS = {"authorizationCode": "oauth_code", "clientCredentials": "oauth_client"}


def schemes(document: Document) -> list[dict[str, Any]]:
    """Return the ways in which a caller may show who they are."""
    if document.swagger:
        said = mapping(document.root, "securityDefinitions")
    else:
        said = mapping(mapping(document.root, "components"), "securitySchemes")
    found: list[dict[str, Any]] = []
    for name, each in said.items():
        try:
            scheme = document.followed(each)
        except Unusable:
            continue
        if isinstance(scheme, dict):
            found += _ways(name, swagger.scheme(scheme) if document.swagger else scheme)
    return found


def _ways(name: str, scheme: dict[str, Any]) -> list[dict[str, Any]]:
    kind = scheme.get("type")
    if kind == "apiKey" and scheme.get("in") in {"header", "query"}:
        return [{"scheme": name, "type": scheme["in"], "name": text(scheme, "name")}]
    if kind == "http" and text(scheme, "scheme").lower() in {"basic", "bearer"}:
        return [{"scheme": name, "type": text(scheme, "scheme").lower()}]
    if kind != "oauth2":
        said = kind if isinstance(kind, str) else "?"
        return [{"scheme": name, "type": "unsupported", "said": said}]
    ways: list[dict[str, Any]] = []
    for flow, said in mapping(scheme, "flows").items():
        if flow not in FLOWS:
            ways.append({"scheme": name, "type": "unsupported", "said": f"oauth2 {flow}"})
            continue
        ways.append(
            {
                "scheme": name,
                "type": FLOWS[flow],
                "authorization_url": text(said, "authorizationUrl"),
                "token_url": text(said, "tokenUrl"),
                "scopes": sorted(mapping(said, "scopes")),
            }
        )
    return ways
