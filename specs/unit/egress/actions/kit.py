"""Documents written for the specs of actions."""

from __future__ import annotations

from typing import Any

import orjson

from transports.egress.actions.making import Choice, made
from transports.egress.actions.operations import Found, operations
from transports.egress.actions.pointers import Document

SERVER = "https://api.example.com/v1"


def openapi(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a document of OpenAPI 3.1 with these paths."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cats", "version": "7"},
        "servers": [{"url": SERVER}],
        "paths": paths,
        **more,
    }


def swagger(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a document of Swagger 2."""
    return {"swagger": "2.0", "host": "api.example.com", "basePath": "/v1", "paths": paths, **more}


def found(document: dict[str, Any]) -> list[Found]:
    """Return the operations of a document."""
    return operations(Document(document))


def actions(document: dict[str, Any], **choice: Any) -> list[dict[str, Any]]:
    """Return the actions made of a document."""
    made_: list[dict[str, Any]] = made(orjson.dumps(document), Choice(makes=True, **choice))[
        "actions"
    ]
    return made_


def action(operation: dict[str, Any], *, path: str = "/cats", **more: Any) -> dict[str, Any]:
    """Return the one action of a POST operation."""
    return actions(openapi({path: {"post": operation}}, **more))[0]


def preview(document: dict[str, Any], **choice: Any) -> dict[str, Any]:
    """Return the preview of a document."""
    shown: dict[str, Any] = made(orjson.dumps(document), Choice(**choice))["preview"]
    return shown
