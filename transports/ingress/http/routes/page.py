"""The page: static files, the same for everybody; the page itself asks who is there."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from quart import Blueprint, Response, request

from runtime.problems import NotFound
from transports.ingress.http.operation import Call, Nothing, operation
from transports.ingress.http.problems import NOTHING_HERE

routes = Blueprint("page", __name__)
FOLDER: Final = Path(__file__).parents[2] / "web"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@routes.get("/")
@operation("The page.", auth="none", others=((304, "Not changed."),))
async def read_page(_: Call[Nothing, Nothing]) -> Response:
    return _file("index.html")


@routes.get("/<name>")
@operation("A file of the page.", auth="none", others=((304, "Not changed."),))
async def read_file(_: Call[Nothing, Nothing], name: str) -> Response:
    return _file(name)


def _file(name: str) -> Response:
    """Return a file, or 304 where the browser has it; it asks each time."""
    found = files().get(name)
    if found is None:
        raise NotFound(NOTHING_HERE)
    body, media_type, tag = found
    fresh = request.if_none_match.contains_weak(tag)
    response = Response(b"" if fresh else body, 304 if fresh else 200, content_type=media_type)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Content-Security-Policy"] = POLICY
    return response


@cache
def files() -> dict[str, tuple[bytes, str, str]]:
    """Return every file of the page by name: its bytes, media type and tag. Read once."""
    found: dict[str, tuple[bytes, str, str]] = {}
    for path in sorted(FOLDER.iterdir()):
        if media_type := TYPES.get(path.suffix):
            body = path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:32]
            found[path.name] = body, media_type, tag
    return found
