"""An error, in whatever shape a vendor gives it, is one of ten classes with the vendor's words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from harness.upstream.script import Script
from runtime import limits
from specs.requirements import requirement
from specs.unit.egress.compatible_kit import KEY, WIRES, heard, reaching
from transports.egress.providers.upstream_errors import said, strange

Json = dict[str, Any]


def openai(message: str, code: str | None = None, kind: str = "invalid_request_error") -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def claude(kind: str, message: str = "No.") -> Json:
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_1",
    }


def google(code: int, status: str, message: str = "No.", *details: Json) -> Json:
    error: Json = {"code": code, "message": message, "status": status}
    return {"error": {**error, "details": list(details)} if details else error}


BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
LATER = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31.5s"}


@requirement("wires.errors")
@pytest.mark.parametrize(
    ("status", "document", "name", "code"),
    [
        (401, openai("Wrong key.", "invalid_api_key"), "auth", "invalid_api_key"),
        (401, claude("authentication_error"), "auth", "authentication_error"),
        (400, google(400, "INVALID_ARGUMENT", "Bad key.", BAD_KEY), "auth", "API_KEY_INVALID"),
        (403, google(403, "PERMISSION_DENIED"), "auth", "PERMISSION_DENIED"),
        (429, openai("Pay.", "insufficient_quota"), "quota", "insufficient_quota"),
        (402, {"error": {"code": 402, "message": "Insufficient credits"}}, "quota", "402"),
        (
            400,
            claude("invalid_request_error", "Your credit balance is too low to go on."),
            "quota",
            "invalid_request_error",
        ),
        (429, openai("Slower.", "rate_limit_exceeded"), "rate_limit", "rate_limit_exceeded"),
        (429, claude("rate_limit_error"), "rate_limit", "rate_limit_error"),
        (429, google(429, "RESOURCE_EXHAUSTED"), "rate_limit", "RESOURCE_EXHAUSTED"),
        (429, {"detail": "Slow down"}, "rate_limit", "429"),
        (
            400,
            openai("This model's maximum context length is 9.", "context_length_exceeded"),
            "context_length",
            "context_length_exceeded",
        ),
        (
            400,
            claude("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            "context_length",
            "invalid_request_error",
        ),
        (
            400,
            google(
                400,
                "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            ),
            "context_length",
            "INVALID_ARGUMENT",
        ),
        (413, claude("request_too_large"), "context_length", "request_too_large"),
        (400, openai("Filtered.", "content_filter"), "content_policy", "content_filter"),
        (404, openai("No such model.", "model_not_found"), "invalid_request", "model_not_found"),
        (404, claude("not_found_error"), "invalid_request", "not_found_error"),
        (422, {"detail": [{"msg": "Field required"}]}, "invalid_request", "422"),
        (529, claude("overloaded_error"), "overloaded", "overloaded_error"),
        (503, google(503, "UNAVAILABLE"), "overloaded", "UNAVAILABLE"),
        (500, openai("Oh.", None, "server_error"), "server", "server_error"),
        (500, claude("api_error"), "server", "api_error"),
        (502, {"message": "Bad Gateway"}, "server", "502"),
        (None, claude("overloaded_error"), "overloaded", "overloaded_error"),
        (None, {"type": "error", "code": "server_error", "message": "x"}, "server", "server_error"),
        (None, {"error": "plain words"}, "server", "unknown"),
        (None, [{"error": {"code": 429, "message": "x"}}], "rate_limit", "429"),
        (302, {}, "protocol", "302"),
    ],
)
def test_an_error_is_one_of_ten_classes(
    status: int | None, document: Any, name: str, code: str
) -> None:
    error = said(document, status=status)
    assert (error.extensions["class"], error.extensions["code"]) == (name, code)


@requirement("wires.errors")
def test_the_request_id_is_the_headers_or_else_the_bodys() -> None:
    body = claude("api_error")
    assert said(body).extensions["provider_request_id"] == "req_1"
    assert said(body, request_id="req_2").extensions["provider_request_id"] == "req_2"


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [(None, [LATER], 31.5), (2.0, [LATER], 2.0), (None, [{"retryDelay": "soon"}], None)],
)
def test_when_to_come_again_is_the_headers_or_else_the_bodys(
    header: float | None, details: list[Json], seconds: float | None
) -> None:
    document = google(429, "RESOURCE_EXHAUSTED", "Later.", *details)
    error = said(document, status=429, retry_after_s=header)
    assert error.extensions.get("retry_after_s") == seconds


def test_what_is_no_answer_is_the_tenth_class() -> None:
    assert strange("What?").extensions == {"class": "protocol", "code": "protocol"}


WRONG: list[Any] = [None, 7, "x", [], [7], {}, {"error": 7}, {"error": []}, {"error": [{}]}]
WRONG += [{"error": {"details": 7}}, {"error": {"details": [7], "code": []}}, {"detail": {}}]


@pytest.mark.parametrize("document", WRONG)
def test_no_shape_of_an_error_is_a_crash(document: Any) -> None:
    assert said(document, status=500).extensions["class"] == "server"


SHAPES: list[Any] = [
    {"error": {"message": "Slower.", "code": "rate_limit_exceeded"}},
    {"error": "Slower.", "code": "rate_limit_exceeded"},
    [{"error": {"message": "Slower.", "code": 429}}],
    {"error": {"message": "Slower.", "status": "RESOURCE_EXHAUSTED"}},
    {"type": "error", "error": {"message": "Slower.", "type": "rate_limit_error"}},
    {"type": "error", "message": "Slower.", "code": "rate_limit_error"},
    {"object": "error", "message": "Slower.", "type": "rate_limit_error", "code": 429},
    {"code": "rate_limit_exceeded", "message": "Slower."},
    {"id": "resp_1", "object": "response", "status": "failed", "output": [], "code": 429}
    | {"error": {"code": "rate_limit_exceeded", "message": "Slower."}},
]


@requirement("wires.errors")
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_error_under_a_status_of_success_is_the_providers_error(
    wire: str, kind: str
) -> None:
    told = []
    for shape in SHAPES:
        body = orjson.dumps(shape).decode()
        raw = body if kind == "application/json" else f"data: {body}\n\n"
        async with reaching(Script(raw=raw, content_type=kind), wire=wire) as (provider, _):
            parts, failure = await heard(provider)
        said_so = failure is not None and (failure.detail, failure.extensions["class"])
        told.append((said_so, parts))
    assert told == [(("Slower.", "rate_limit"), [])] * len(SHAPES)


ECHOED = f"wrong: {KEY}"
ESCAPED = "".join(f"\\u{ord(each):04x}" for each in KEY)


@pytest.mark.parametrize(
    "script",
    [
        Script(status=401, error={"error": {"message": ECHOED}}),
        Script(status=401, error={"error": {"code": KEY}}),
        Script(status=401, error={"error": {}}, headers={"x-request-id": KEY}),
        Script(raw=f'data: {{"error": {{"message": "{ECHOED}"}}}}\n\n'),
        Script(raw=f'{{"error": {{"message": "{ECHOED}"}}}}', content_type="application/json"),
        Script(raw=f'{{"error": {{"message": "{ESCAPED}"}}}}', content_type="application/json"),
        Script(
            raw=f'{{"error": "{"x" * (limits.ERROR_CHARS - 5)}{KEY}"}}',
            content_type="application/json",
        ),
    ],
)
async def test_a_provider_that_repeats_our_key_does_not_have_it_shown(script: Script) -> None:
    async with reaching(script) as (provider, _):
        _, failure = await heard(provider)
    assert failure is not None
    shown = f"{failure.detail} {failure.extensions}"
    assert (KEY in shown, failure.detail.endswith(KEY[:5])) == (False, False)
