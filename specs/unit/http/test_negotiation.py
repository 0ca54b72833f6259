"""Which media type an Accept header gets: a stream only where it is named."""

from __future__ import annotations

import pytest

from runtime.problems import NotAcceptable
from specs.unit.http.story import verdict
from transports.ingress.http.negotiation import json_or_sse, wants_json, wants_sse

TABLE = {
    "": "json",
    "*/*": "json",
    "application/*": "json",
    "application/json": "json",
    "text/event-stream": "sse",
    "TEXT/EVENT-STREAM": "sse",
    "text/event-stream, */*": "sse",
    "*/*, text/event-stream;q=0.1": "sse",
    "application/json, text/event-stream": "sse",
    "application/json, text/event-stream;q=0.9": "json",
    "application/json;q=0.5, text/event-stream;q=0.9": "sse",
    "text/event-stream;q=0, application/json": "json",
    "text/html, application/xhtml+xml, */*;q=0.8": "json",
}


@pytest.mark.parametrize("accept", TABLE)
def test_a_log_comes_as_what_is_named(accept: str) -> None:
    assert json_or_sse(accept) == TABLE[accept]


@pytest.mark.parametrize(
    "accept", ["text/html", "text/*", "application/json;q=0", "text/event-stream;q=0", "image/png"]
)
def test_what_cannot_be_made_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        json_or_sse(accept)


def test_one_form_only_wants_that_one() -> None:
    told = [verdict(wants_json, accept) for accept in ("*/*", "", "text/event-stream")]
    assert told == ["let in", "let in", "not-acceptable"]
    told = [verdict(wants_sse, accept) for accept in ("text/event-stream", "", "*/*")]
    assert told == ["let in", "not-acceptable", "not-acceptable"]
