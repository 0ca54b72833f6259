"""What the door takes for a message of JSON-RPC."""

from __future__ import annotations

from typing import Any

import pytest

from transports.ingress.mcp.door import is_message

GOOD: list[Any] = [
    {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    {"jsonrpc": "2.0", "id": "a", "method": "ping", "params": {}},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 1, "result": {}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}},
]
BAD: list[Any] = [
    [],
    [GOOD[0]],
    "ping",
    {"id": 1, "method": "ping"},
    {"jsonrpc": "1.0", "id": 1, "method": "ping"},
    {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
    {"jsonrpc": "2.0", "id": None, "method": "ping"},
    {"jsonrpc": "2.0", "id": True, "method": "ping"},
    {"jsonrpc": "2.0", "id": 1, "method": 7},
    {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []},
    {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}},
    {"jsonrpc": "2.0", "id": 1, "result": "words"},
    {"jsonrpc": "2.0", "result": {}},
]


@pytest.mark.parametrize("message", GOOD)
def test_a_request_a_notification_and_an_answer_are_messages(message: Any) -> None:
    assert is_message(message) is True


@pytest.mark.parametrize("message", BAD)
def test_all_else_is_none(message: Any) -> None:
    assert is_message(message) is False
