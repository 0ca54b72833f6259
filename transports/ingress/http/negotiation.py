"""Which media type a client gets. Source: RFC 9110, section 12.5.1.

A stream is sent only where `text/event-stream` is named: `*/*` is what every tool says, and none of
them expects an answer without end. Quality values decide only between types that are named; a type
with q=0 is refused.
"""

from __future__ import annotations

from typing import Final, Literal

from runtime.problems import NotAcceptable

SSE: Final = "text/event-stream"
JSON: Final = ("application/json", "application/*", "*/*")


def accepted(accept: str) -> dict[str, float]:
    """Return the media ranges of an Accept header, lower case, with their quality."""
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if not name:
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = _quality(value.strip())
        ranges[name] = max(quality, ranges.get(name, 0.0))
    return ranges


def _quality(value: str) -> float:
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def json_or_sse(accept: str) -> Literal["json", "sse"]:
    """Return what to send to a client that reads a log.

    Raises:
        NotAcceptable: it accepts neither.
    """
    ranges = accepted(accept)
    if not ranges:
        return "json"
    sse = ranges.get(SSE, 0.0)
    json = next((ranges[name] for name in JSON if name in ranges), 0.0)
    if sse and sse >= (ranges.get("application/json", 0.0)):
        return "sse"
    if json:
        return "json"
    raise NotAcceptable("This can be sent as application/json or as text/event-stream.")


def wants_json(accept: str) -> None:
    """Check that JSON is acceptable.

    Raises:
        NotAcceptable: it is not.
    """
    ranges = accepted(accept)
    if ranges and not next((ranges[name] for name in JSON if name in ranges), 0.0):
        raise NotAcceptable("This can be sent as application/json only.")


def wants_sse(accept: str) -> None:
    """Check that a stream is named.

    Raises:
        NotAcceptable: it is not.
    """
    if not accepted(accept).get(SSE):
        raise NotAcceptable("This can be sent as text/event-stream only.")
