"""A provider's error, whatever shape it came in, as one of ten classes with the provider's words.

The classes say what to do: auth, quota, rate_limit, context_length, content_policy,
invalid_request, overloaded, server, network, protocol. The provider's own code decides before the
status does; the words only tell a window that is too small from another bad request.
Source: the vendors' error references, and recorded errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from runtime import limits
from runtime.problems import UpstreamSaid
from transports.egress.providers.wire import dicts

BY_CODE: Final[Mapping[str, str]] = {
    "context_length_exceeded": "context_length",
    "request_too_large": "context_length",
    "string_above_max_length": "context_length",
    "content_filter": "content_policy",
    "content_policy_violation": "content_policy",
    "image_content_policy_violation": "content_policy",
    "bio_policy": "content_policy",
    "misalignment_policy_violation": "content_policy",
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_error": "quota",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "API_KEY_INVALID": "auth",  # Google's, under a 400
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "auth",
    "invalid_request_error": "invalid_request",
    "invalid_prompt": "invalid_request",
    "not_found_error": "invalid_request",
    "model_not_found": "invalid_request",
    "INVALID_ARGUMENT": "invalid_request",
    "NOT_FOUND": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "tool_use_failed": "invalid_request",
    "data_residency_mismatch": "invalid_request",
    **dict.fromkeys(
        (
            *("invalid_image", "invalid_image_format", "invalid_base64_image"),
            *("invalid_image_url", "invalid_image_mode", "image_too_large", "image_too_small"),
            *("image_parse_error", "image_file_too_large", "unsupported_image_media_type"),
            *("empty_image_file", "failed_to_download_image", "image_file_not_found"),
        ),
        "invalid_request",
    ),
    "overloaded_error": "overloaded",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "insufficient_system_resource": "overloaded",  # DeepSeek's
    "UNAVAILABLE": "overloaded",
    "api_error": "server",
    "server_error": "server",
    "timeout_error": "server",
    "vector_store_timeout": "server",
    "INTERNAL": "server",
    "DEADLINE_EXCEEDED": "server",
}
BY_STATUS: Final[Mapping[int, str]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    408: "server",
    413: "context_length",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}
UNPAID: Final = "credit balance is too low"  # Anthropic's, as an invalid request
DELAY: Final = re.compile(r"(\d{1,6}(?:\.\d+)?)s")  # Google's RetryInfo
WINDOW: Final = (
    "context length",
    "context window",
    "maximum context",
    "too many tokens",
    "maximum number of tokens",
    "too long",
)
HIDDEN: Final = "***"
REDIRECTED, REFUSED, FAILED = 300, 400, 500  # RFC 9110: where these kinds of status begin


def said(
    document: Any,
    *,
    status: int | None = None,
    request_id: str | None = None,
    retry_after_s: float | None = None,
) -> UpstreamSaid:
    """Return the provider's error, whatever shape it came in.

    Args:
        retry_after_s: what its Retry-After says; None: what the error itself says, if anything.
    """
    while isinstance(document, list) and document:
        document = document[0]
    outer = document if isinstance(document, dict) else {"message": document}
    error = outer.get("error")
    words: Mapping[str, Any] = error if isinstance(error, dict) else outer
    message = (
        words.get("message") or words.get("detail") or (error if isinstance(error, str) else "")
    )
    details = dicts(words.get("details"))
    codes = [each.get("reason") for each in details]
    codes += [words.get(name) for name in ("code", "type", "status")]
    named = [each for each in codes if isinstance(each, str) and each not in {"", "error"}]
    numbers = [each for each in codes if isinstance(each, int) and each]
    code = next(iter([*named, *numbers]), status or "unknown")
    told = str(message or "The provider said no more than that.")[: limits.ERROR_CHARS]
    extensions: dict[str, Any] = {"class": error_class(status, codes, told)}
    waits = (DELAY.fullmatch(str(each.get("retryDelay"))) for each in details)
    if retry_after_s is None:
        retry_after_s = next((float(each[1]) for each in waits if each), None)
    if retry_after_s is not None:
        extensions["retry_after_s"] = retry_after_s
    known_id = request_id or outer.get("request_id")
    return UpstreamSaid(
        told,
        code=str(code),
        provider_request_id=known_id if isinstance(known_id, str) else None,
        **extensions,
    )


def is_error(document: Mapping[str, Any]) -> bool:
    """Whether what is nothing that its wire knows tells of an error, whatever its status was."""
    named = "error" in (document.get("type"), document.get("object"))
    told = "code" in document and isinstance(document.get("message"), str)
    return named or told or bool(document.get("error"))


def without(error: UpstreamSaid, key: str) -> UpstreamSaid:
    """Return an error that shows nothing of the key it was asked with, which some repeat."""
    if not key:
        return error
    hidden = {
        name: value.replace(key, HIDDEN) if isinstance(value, str) else value
        for name, value in error.extensions.items()
    }
    words = error.detail.replace(key, HIDDEN)
    if len(error.detail) >= limits.ERROR_CHARS:  # it was cut, perhaps in the middle of the key
        begun = (size for size in range(len(key) - 1, 0, -1) if words.endswith(key[:size]))
        words = words[: len(words) - next(begun, 0)]
    return UpstreamSaid(words, **hidden)


def strange(detail: str) -> UpstreamSaid:
    """Return the error of an answer that is none of this wire's."""
    return UpstreamSaid(detail, code="protocol", **{"class": "protocol"})


def error_class(status: int | None, codes: list[Any], words: str) -> str:
    """Return whose affair the error is."""
    known = next(
        (BY_CODE[code] for code in codes if isinstance(code, str) and code in BY_CODE), None
    )
    if known is None:
        number = status or next((code for code in codes if isinstance(code, int)), None)
        known = BY_STATUS.get(number or 0)
    if known is None:
        known = "server"
        if number and REDIRECTED <= number < FAILED:  # a redirect is none of the wire's answers
            known = "invalid_request" if number >= REFUSED else "protocol"
    if known == "invalid_request" and UNPAID in words.lower():
        return "quota"
    if known == "invalid_request" and any(sign in words.lower() for sign in WINDOW):
        return "context_length"
    return known
