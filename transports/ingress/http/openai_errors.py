"""Problems in the shape that OpenAI's clients read: `{"error": {message, type, param, code}}`.

It is used on OpenAI's own paths. What is well-formed but wrong is 400 there, not 422, and `param`
names the field as a path of names and places in brackets. Source: OpenAI's API reference, "Error
codes"; contract section 6.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from runtime import problems
from runtime.problems import Busy, Problem

PATHS: Final = re.compile(r"/v1/(responses|conversations|chat|models)(/|$)")
CODES: Final = {  # our problems -> the words that its clients know
    problems.Unauthenticated: "invalid_api_key",
    problems.TooManyRequests: "rate_limit_exceeded",
    problems.JobActive: "conversation_locked",
    problems.Invalid: "invalid_value",
}
STATUSES: Final = {
    HTTPStatus.UNPROCESSABLE_ENTITY: 400,
}
RENAMED: Final = {  # where a model's option is not called as the API calls it
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
SENTENCES: Final = {  # a reader's words for a mistake -> its code, and the API's own words
    "There is no such field.": ("unknown_parameter", "Unknown parameter: {!r}."),
    "This field is needed.": ("missing_required_parameter", "Missing required parameter: {!r}."),
}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def speaks(path: str) -> bool:
    """Whether a path is one of OpenAI's."""
    return PATHS.match(path) is not None


def status_of(kind: type[Problem]) -> int:
    """Return the status with which a problem is told here."""
    return STATUSES.get(HTTPStatus(kind.status), kind.status)


def code_of(kind: type[Problem]) -> str:
    """Return the code of a problem that says no other."""
    return CODES.get(kind) or kind.name().replace("-", "_")


def error_of(problem: Problem) -> dict[str, Any]:
    """Return the error object."""
    errors = problem.extensions.get("errors") or [{}]
    param = param_of(errors[0].get("pointer", ""))
    detail = errors[0].get("detail", "")
    code, message = problem.extensions.get("code"), detail or problem.detail
    if code is None and (told := SENTENCES.get(detail)):
        code, message = told[0], told[1].format(param)
    if code is None and param == "model":
        code = "model_not_found"
    return {
        "message": message,
        "type": _type(problem),
        "param": param,
        "code": code or code_of(type(problem)),
    }


def _type(problem: Problem) -> str:
    if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    if isinstance(problem, Busy) or problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return "invalid_request_error"


def param_of(pointer: str) -> str | None:
    """Return an RFC 6901 pointer as the API names a field: `tools[0].type`."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    if steps[:1] == ["options"] and len(steps) > 1:
        steps = [RENAMED.get(steps[1], steps[1]), *steps[2:]]
    said = ""
    for step in steps:
        said += f"[{step}]" if step.isdecimal() else f".{step}"
    return said.removeprefix(".") or None
