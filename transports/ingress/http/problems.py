"""The one place where problems become bytes: RFC 9457, or, on OpenAI's paths, OpenAI's shape.

Whatever was not raised on purpose is a bug: it is logged with its request id and answered with a
500 that says nothing. Source: RFC 9457 section 3.1, contract section 2.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from quart import Response, g, request
from werkzeug.exceptions import HTTPException

from runtime.problems import (
    BadRequest,
    BodyTooSlow,
    Busy,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    Unauthenticated,
)
from transports.ingress.http import openai_errors

MEDIA_TYPE: Final = "application/problem+json"
SAID_IN_HEADERS: Final = {  # extensions that the Durable Streams protocol wants as headers
    "producer_epoch": "Producer-Epoch",
    "producer_expected_seq": "Producer-Expected-Seq",
    "producer_received_seq": "Producer-Received-Seq",
    "stream_closed": "Stream-Closed",
    "stream_next_offset": "Stream-Next-Offset",
}
NOTHING_HERE: Final = "There is nothing at this address."


def document(problem: Problem, request_id: str) -> dict[str, Any]:
    """Return the problem document."""
    known = {
        "type": f"urn:runchat:problem:{problem.name()}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": f"urn:request:{request_id}",
    }
    return {**problem.extensions, **known}


def answer(problem: Problem) -> Response:
    """Return the answer that says it, with the headers that belong to its status."""
    if openai_errors.speaks(request.path):
        body = orjson.dumps({"error": openai_errors.error_of(problem)})
        status = openai_errors.status_of(type(problem))
        response = Response(body, status, content_type="application/json")
    else:
        body = orjson.dumps(document(problem, g.get("request_id", "")))
        response = Response(body, problem.status, content_type=MEDIA_TYPE)
    response.headers.update(headers_of(problem))
    return response


def headers_of(problem: Problem) -> dict[str, str]:
    """Return the headers that belong to a problem."""
    told = {
        name: str(problem.extensions[extension])
        for extension, name in SAID_IN_HEADERS.items()
        if extension in problem.extensions
    }
    if isinstance(problem, Busy):
        told["Retry-After"] = str(problem.retry_after_s)
    if isinstance(problem, Unauthenticated):
        told["WWW-Authenticate"] = "Bearer"
    if isinstance(problem, MethodNotAllowed):
        told["Allow"] = ", ".join(problem.extensions["allow"])
    return told


def of_framework(error: HTTPException) -> Problem:
    """Return what the web framework refused, as a problem of ours; its own pages are HTML."""
    match error.code:
        case 404:
            return NotFound(NOTHING_HERE)
        case 405:
            methods = sorted({*(getattr(error, "valid_methods", None) or ())} - {"OPTIONS"})
            allow = [method for method in methods if method != "HEAD" or "GET" in methods]
            return MethodNotAllowed("This address does not know this method.", allow=allow)
        case 408:
            return BodyTooSlow("The body did not come in time.")
        case 413:
            return TooLarge("The body is larger than 8 MiB.")
        case _:
            return BadRequest("The request cannot be read.")


def refusal(error: BaseException) -> Problem | None:
    """Return what was raised on purpose, by us or by the framework; None for a bug."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return of_framework(error)
        case BaseExceptionGroup():
            return next((told for each in error.exceptions if (told := refusal(each))), None)
        case _:
            return None
