"""A secret does not print, whoever prints it."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import structlog

from runtime.secret import Secret

KEY = "sk-made-up-0123456789"


def test_no_way_of_printing_shows_it(lines: io.StringIO) -> None:
    secret = Secret(KEY)
    structlog.get_logger().info("called", key=secret, nested={"key": [secret]})
    printed = [f"{secret}", f"{secret!r}", str(secret), f"{[secret]}", lines.getvalue()]

    assert [KEY in text for text in printed] == 5 * [False]
    assert f"{secret}" == "Secret(***)"


def test_no_encoder_takes_it() -> None:
    encoders: tuple[Callable[[Any], Any], ...] = (json.dumps, orjson.dumps, pickle.dumps, copy.copy)
    for encode in encoders:
        with pytest.raises(TypeError):
            encode(Secret(KEY))


def test_it_is_revealed_on_purpose() -> None:
    assert Secret(KEY).reveal() == KEY


def test_equal_secrets_are_equal_and_no_secret_equals_a_string() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert hash(Secret(KEY)) == hash(Secret(KEY))


def test_an_empty_one_is_false() -> None:
    assert bool(Secret("")) is False
    assert bool(Secret(KEY)) is True
