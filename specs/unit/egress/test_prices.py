"""What an answer cost: exactly what genai-prices says, and nothing where nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage as Used
from genai_prices import calc_price, extract_usage
from hypothesis import given, settings
from hypothesis import strategies as st

from transports.egress.providers.base import Usage
from transports.egress.providers.prices import Cost, Prices, Rates

AT = datetime(2026, 11, 1, tzinfo=UTC)
TOKENS = st.integers(0, 400_000)


@pytest.fixture
async def prices() -> Prices:
    made = Prices()
    await made.load()
    return made


def usage_of(raw: dict[str, Any]) -> Usage:
    return Usage(source="provider", raw=raw)


@pytest.mark.parametrize(
    ("vendor", "wire", "flavour", "model", "raw"),
    [
        (
            "openai",
            "openai-chat",
            "chat",
            "gpt-5",
            {
                "prompt_tokens": 1000,
                "completion_tokens": 77,
                "prompt_tokens_details": {"cached_tokens": 300},
            },
        ),
        (
            "openai",
            "openai-responses",
            "responses",
            "gpt-5",
            {
                "input_tokens": 31,
                "output_tokens": 7,
                "input_tokens_details": {"cached_tokens": 3},
            },
        ),
        (
            "anthropic",
            "anthropic-messages",
            "default",
            "claude-sonnet-4-5",
            {
                "input_tokens": 220_000,
                "output_tokens": 5,
                "cache_read_input_tokens": 80_000,
                "cache_creation_input_tokens": 0,
            },
        ),
        (
            "google",
            "google-generate",
            "default",
            "gemini-2.5-pro",
            {"promptTokenCount": 99, "candidatesTokenCount": 9, "thoughtsTokenCount": 90},
        ),
    ],
)
async def test_a_cost_is_what_the_vendors_own_usage_costs(
    prices: Prices, vendor: str, wire: str, flavour: str, model: str, raw: dict[str, Any]
) -> None:
    response = {"model": model, "usage": raw, "usageMetadata": raw, "modelVersion": model}
    used = extract_usage(response, provider_id=vendor, api_flavor=flavour).usage
    wanted = calc_price(used, model, provider_id=vendor, genai_request_timestamp=AT).total_price
    cost = prices.cost(vendor, wire, model, usage_of(raw), AT)
    assert cost is not None
    assert cost.usd == wanted
    assert wanted > 0


async def test_prices_above_a_threshold_are_honoured(prices: Prices) -> None:
    raw = {"input_tokens": 220_000, "output_tokens": 0, "cache_read_input_tokens": 80_000}
    usage = usage_of(raw)
    cost = prices.cost("anthropic", "anthropic-messages", "claude-sonnet-4-5", usage, AT)
    assert cost is not None
    assert cost.usd == Decimal("1.368")  # 220,000 at $6 and 80,000 at $0.60 a million


async def test_usage_in_our_words_is_priced_where_the_vendors_are_missing(prices: Prices) -> None:
    usage = Usage(source="counted", input=1000, cached=200, output=50)
    cost = prices.cost("openai", "openai-chat", "gpt-5", usage, AT)
    used = Used(input_tokens=1000, cache_read_tokens=200, output_tokens=50)
    wanted = calc_price(used, "gpt-5", provider_id="openai", genai_request_timestamp=AT)
    assert cost is not None
    assert cost.usd == wanted.total_price


@pytest.mark.parametrize(
    ("vendor", "model", "usage"),
    [
        (None, "gpt-5", Usage(source="provider", input=1, output=1)),
        ("openai", "nobody-knows-it", Usage(source="provider", input=1, output=1)),
        ("openai", "gpt-5", Usage(source="provider", input=1)),
    ],
)
async def test_what_is_unknown_has_no_cost(
    prices: Prices, vendor: str | None, model: str, usage: Usage
) -> None:
    assert prices.cost(vendor, "openai-chat", model, usage, AT) is None


async def test_a_cost_says_which_prices_it_was_made_with(prices: Prices) -> None:
    usage = Usage(source="provider", input=1, output=0)
    cost = prices.cost("openai", "openai-chat", "gpt-5", usage, AT)
    assert cost is not None
    assert cost.to_json() == {"usd": "0.00000125", "prices": "genai-prices 0.2.3"}


async def test_a_models_rates_are_shown_with_their_tiers(prices: Prices) -> None:
    rates = prices.rates("anthropic", "claude-sonnet-4-5", AT)
    assert rates is not None
    assert rates["input_mtok"] == {"usd": "3", "above": {"200000": "6"}}
    assert prices.rates("openai", "nobody-knows-it", AT) is None


@given(TOKENS, TOKENS, TOKENS)
@settings(max_examples=50)
def test_an_operators_own_rates_are_exact(input_: int, cached: int, output: int) -> None:
    cached = min(cached, input_)
    usage = Usage(source="provider", input=input_, cached=cached, output=output)
    rates = Rates(input=Decimal("0.1"), cached=Decimal("0.01"), output=Decimal("0.7"))
    wanted = Decimal((input_ - cached) * 10 + cached + output * 70) / 100 / 1_000_000
    assert rates.cost(usage) == Cost(usd=wanted, prices="operator")
