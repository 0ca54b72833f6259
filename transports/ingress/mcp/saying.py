"""JSON-RPC errors of what never became a request of the protocol, as bytes.

They tell what was wrong and nothing of what it met.
"""

from __future__ import annotations

from typing import Any

import orjson


async def error(send: Any, status: int, code: int, words: str, id: str | int | None = None) -> None:
    """Answer with an error."""
    told = {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": words}}
    body = orjson.dumps(told)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
