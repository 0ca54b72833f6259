"""What an answer cost, by public prices or an operator's own; unknown is None, never 0.

genai-prices has the prices, their tiers and dates, and reads each vendor's usage as that vendor
means it; its updater over the network stays off. Its data takes a third of a second to read, so it
is read on a thread, the first time a price is wanted. A cost carries the version of its prices, so
that it can be made again.
Source: genai-prices 0.2, `calc_price` and `extract_usage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import trio

from transports.egress.providers.base import Usage

if TYPE_CHECKING:
    from genai_prices import data_snapshot, types

# each wire's flavours of usage, the most telling first
FLAVOURS: Mapping[str, tuple[str, ...]] = {
    "openai-chat": ("chat", "default"),
    "openai-responses": ("responses", "default"),
    "anthropic-messages": ("anthropic", "default"),
    "google-generate": ("default",),
}
MILLION = Decimal(1_000_000)
OWN = "operator"  # whose prices, where they are not the public ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """US dollars, exact, and whose prices they are of."""

    usd: Decimal
    prices: str

    def to_json(self) -> dict[str, str]:
        """Return the JSON object; the amount is a string, since a float would round it."""
        return {"usd": format(self.usd.normalize(), "f"), "prices": self.prices}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """An operator's own prices: US dollars for a million tokens; None: as the input."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None

    @classmethod
    def of(cls, told: Mapping[str, str]) -> Rates:
        """Return the rates of a model."""
        return cls(**{name: Decimal(usd) for name, usd in told.items()})

    def to_json(self) -> dict[str, Any]:
        """Return them as `Prices.rates` does."""
        units = {
            "input_mtok": self.input,
            "output_mtok": self.output,
            "cache_read_mtok": self.cached,
        }
        known = {unit: _rate(usd) for unit, usd in units.items() if usd is not None}
        return {**known, "source": OWN}

    def cost(self, usage: Usage) -> Cost | None:
        """Return what `usage` costs; None where it does not say how much was used."""
        if usage.input is None or usage.output is None:
            return None
        cached = usage.cached or 0
        rate = self.input if self.cached is None else self.cached
        sum_ = (usage.input - cached) * self.input + cached * rate + usage.output * self.output
        return Cost(usd=sum_ / MILLION, prices=OWN)


class Prices:
    """The public prices."""

    def __init__(self) -> None:
        self._snapshot: data_snapshot.DataSnapshot | None = None
        self._version = ""

    async def load(self) -> None:
        """Read the data, once."""
        if self._snapshot is None:
            self._snapshot, self._version = await trio.to_thread.run_sync(_read)

    def cost(
        self, vendor: str | None, wire: str, model: str, usage: Usage, at: datetime
    ) -> Cost | None:
        """Return what an answer cost; None where the vendor, the model or the usage is unknown.

        Args:
            model: the vendor's own name.
            at: when it was asked, aware of its zone: prices change.
        """
        known = self._model(vendor, model)
        if known is None:
            return None
        provider, info = known
        used = _read_usage(provider, wire, usage)
        if used is None:
            return None
        try:
            total = info.calc_price(used, provider, genai_request_timestamp=at).total_price
        except (ValueError, LookupError):  # a unit that this model has no price for
            return None
        return Cost(usd=total, prices=f"genai-prices {self._version}")

    def rates(self, vendor: str | None, model: str, at: datetime) -> dict[str, Any] | None:
        """Return a model's prices as JSON: each `{"usd": ..., "above": {tokens: usd}}`, by unit.

        Units are genai-prices': `input_mtok` is a million tokens of input, and so on.
        """
        known = self._model(vendor, model)
        if known is None:
            return None
        prices = vars(known[1].get_prices(at))
        units = {unit: _rate(price) for unit, price in prices.items() if price is not None}
        return {**units, "source": f"genai-prices {self._version}"}

    def _model(
        self, vendor: str | None, model: str
    ) -> tuple[types.Provider, types.ModelInfo] | None:
        if self._snapshot is None:
            raise RuntimeError("load() comes first")
        if vendor is None:
            return None
        try:
            return self._snapshot.find_provider_model(model, None, vendor, None)
        except LookupError:
            return None


PUBLIC = Prices()  # read once for all endpoints; nothing in it changes


def _read() -> tuple[data_snapshot.DataSnapshot, str]:
    import genai_prices  # noqa: PLC0415  a third of a second, and most services ask no vendor
    from genai_prices import data_snapshot as snapshot  # noqa: PLC0415

    return snapshot.get_snapshot(), genai_prices.__version__


def _read_usage(provider: types.Provider, wire: str, usage: Usage) -> types.AbstractUsage | None:
    """Return the usage as the vendor means it; else in our own words."""
    from genai_prices import Usage as Used  # noqa: PLC0415  read by now

    if usage.raw is not None:
        offered = {each.api_flavor for each in provider.extractors or ()}
        for flavour in (each for each in FLAVOURS.get(wire, ()) if each in offered):
            with suppress(ValueError):
                response = {"usage": usage.raw, "usageMetadata": usage.raw}
                return provider.extract_usage(response, api_flavor=flavour)[1]
    if usage.input is None or usage.output is None:
        return None
    return Used(
        input_tokens=usage.input,
        cache_read_tokens=usage.cached,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
    )


def _rate(price: Any) -> dict[str, Any]:
    """Return one unit's price: a number, or a base with tiers."""
    if isinstance(price, Decimal):
        return {"usd": format(price, "f")}
    above = {str(tier.start): format(tier.price, "f") for tier in price.tiers}
    return {"usd": format(price.base, "f"), "above": above}
