"""Options are read strictly, and each wrong one is pointed at."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.problems import Invalid
from transports.egress.providers.base import Model, pointer, read_options
from transports.egress.providers.echo import Echo, EchoOptions
from transports.egress.providers.synthetic import Synthetic, SyntheticOptions

[ECHO] = Echo.models
[SYNTHETIC] = Synthetic.models


def test_absent_options_have_their_defaults() -> None:
    assert read_options(ECHO, None) == EchoOptions()
    assert read_options(SYNTHETIC, {}) == SyntheticOptions(
        count=100, interval_ms=0, size=16, seed=0, fail_after=None, end="finish"
    )


def test_a_model_may_have_options_of_its_own() -> None:
    read = read_options(SYNTHETIC, {"count": 3, "fail_after": 2, "end": "stall"})
    assert read == SyntheticOptions(count=3, fail_after=2, end="stall")


def test_a_whole_temperature_is_a_number_too() -> None:
    assert read_options(ECHO, {"temperature": 1, "seed": 7}) == EchoOptions(temperature=1.0, seed=7)


@pytest.mark.parametrize(
    ("model", "raw", "pointers"),
    [
        (SYNTHETIC, {"count": 1_000_001}, ["/options/count"]),
        (SYNTHETIC, {"count": "3"}, ["/options/count"]),
        (SYNTHETIC, {"count": True}, ["/options/count"]),
        (SYNTHETIC, {"count": 1.0}, ["/options/count"]),
        (SYNTHETIC, {"size": 0}, ["/options/size"]),
        (SYNTHETIC, {"size": 65_537}, ["/options/size"]),
        (SYNTHETIC, {"interval_ms": -1}, ["/options/interval_ms"]),
        (SYNTHETIC, {"seed": None}, ["/options/seed"]),
        (SYNTHETIC, {"fail_after": -1}, ["/options/fail_after"]),
        (SYNTHETIC, {"end": "explode"}, ["/options/end"]),
        (SYNTHETIC, {"temperature": 1.0}, ["/options/temperature"]),
        (ECHO, {"temperature": 2.1, "seed": -1}, ["/options/temperature", "/options/seed"]),
        (ECHO, {"temperature": float("nan")}, ["/options/temperature"]),
        (ECHO, {"max_output_tokens": 0}, ["/options/max_output_tokens"]),
        (ECHO, {"a/b~c": 0}, ["/options/a~1b~0c"]),
    ],
)
def test_a_wrong_option_is_pointed_at(
    model: Model, raw: dict[str, Any], pointers: list[str]
) -> None:
    with pytest.raises(Invalid) as refusal:
        read_options(model, raw)
    assert [each["pointer"] for each in refusal.value.extensions["errors"]] == pointers


def test_a_pointer_is_written_as_rfc_6901_says() -> None:
    assert pointer("options", "a/b", "m~n", 0) == "/options/a~1b/m~0n/0"
