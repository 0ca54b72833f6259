"""What is too much of a message of a WebSocket is counted and dropped, however much comes."""

from __future__ import annotations

from wsproto.events import BytesMessage, TextMessage

from transports.ingress.http.sockets import TOO_LARGE, Bounded


def test_a_message_too_large_leaves_nothing_and_the_next_is_whole() -> None:
    buffer = Bounded(4)
    for _ in range(3):
        buffer.extend(TextMessage(data="abc", message_finished=False))
    assert buffer.value is None
    assert buffer.to_message() == TOO_LARGE
    buffer.clear()
    buffer.extend(BytesMessage(data=bytearray(b"abcd")))
    assert buffer.to_message() == {"type": "websocket.receive", "bytes": b"abcd", "text": None}


def test_letters_count_as_the_bytes_that_they_are() -> None:
    buffer = Bounded(4)
    buffer.extend(TextMessage(data="\N{EURO SIGN}a"))
    assert buffer.to_message()["text"] == "\N{EURO SIGN}a"
    buffer.clear()
    buffer.extend(TextMessage(data="\N{EURO SIGN}" * 2))
    assert buffer.to_message() == TOO_LARGE
