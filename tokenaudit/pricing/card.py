"""The rate card: what each model costs, from which day to which, and where that was read.

Prices are exact decimals in US dollars per token. The card is data (`data/prices.csv`, whose columns
are USD per million tokens); nothing here guesses a price that is not on it.
"""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from tokenaudit.pricing.models import ModelName, normalise

__all__ = ["Prices", "Rate", "RateCard", "Tariff", "shipped_card"]

_MILLION: Final = Decimal(1_000_000)
_ONE: Final = Decimal(1)
_FAST_BECAME_STANDARD: Final = "claude-opus-4-6"
"""The model whose requests for fast mode, since its end, are served and billed as standard."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per token, by class."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal

    def times(self, factor: Decimal) -> "Prices":
        """Return all prices multiplied by *factor*."""
        return Prices(
            self.input * factor,
            self.output * factor,
            self.cache_read * factor,
            self.cache_write_5m * factor,
            self.cache_write_1h * factor,
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of the card."""

    model: str
    speed: str
    valid_from: date
    valid_to: date | None
    """The first day on which it no longer holds."""
    prices: Prices
    long_prompt: int | None
    """A prompt of more tokens than this is priced by `long_prices`, as a whole (R10)."""
    long_prices: Prices | None
    us_multiplier: Decimal
    """For inference that ran in the United States only."""
    source: str
    confidence: str

    @property
    def id(self) -> str:
        """A name for this row: `claude-sonnet-5-5|standard|2026-10-07`."""
        return f"{self.model}|{self.speed}|{self.valid_from}"

    def holds_on(self, day: date) -> bool:
        """Tell whether the rate is in force on *day*."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What one kind of response costs: a rate with its multipliers applied."""

    rate: Rate
    prices: Prices
    long_prices: Prices | None
    modifiers: tuple[str, ...]
    """What changed the plain price, and doubts about it: `us1.1`, `batch0.5`, `before_first_price`."""


class _Header(msgspec.Struct, frozen=True):
    version: str
    verified_through: date
    web_search_usd: Decimal
    batch_multiplier: Decimal
    regional_multiplier: Decimal
    regional_from: date


class RateCard:
    """All rates in force for a run, with their provenance. Immutable."""

    def __init__(self, rates: Iterable[Rate], header: _Header, sha256: str) -> None:
        """Take the *rates* of a card, what its *header* says, and the digest of both files."""
        self._header = header
        self.sha256 = sha256
        self._rates: dict[tuple[str, str], list[Rate]] = {}
        for rate in sorted(rates, key=lambda rate: rate.valid_from):
            self._rates.setdefault((rate.model, rate.speed), []).append(rate)

    @property
    def rates(self) -> list[Rate]:
        """Every row, by model, speed and day."""
        return [rate for key in sorted(self._rates) for rate in self._rates[key]]

    @property
    def web_search_usd(self) -> Decimal:
        """The price of one web search."""
        return self._header.web_search_usd

    @property
    def basis(self) -> dict[str, str]:
        """What every cost stands on (R12): the card's version, digest and last day of checking."""
        return {
            "card": self._header.version,
            "sha256": self.sha256,
            "verified_through": self._header.verified_through.isoformat(),
            "currency": "USD",
        }

    def tariff(
        self,
        model: str | None,
        speed: str | None,
        day: date | None,
        geo: str | None,
        tier: str | None,
    ) -> Tariff | None:
        """Return what a response costs that says these things of itself; None if it is unpriced.

        *day* is that of the response in UTC; without one, only a model whose price never changed has
        a price. The rules are those of the price list's own pages (fast mode, US inference, regional
        endpoints of Bedrock, batches).
        """
        name = normalise(model) if model else None
        if name is None:
            return None
        rate, doubts = self._find(name.key, "fast" if speed == "fast" else "standard", day)
        if rate is None:
            return None
        factor, reasons = self._factor(rate, name, geo, tier)
        if speed not in {None, "", "standard", "fast"}:
            doubts = (*doubts, "speed_unknown")
        return Tariff(
            rate=rate,
            prices=rate.prices.times(factor),
            long_prices=rate.long_prices.times(factor) if rate.long_prices else None,
            modifiers=(*(("fast",) if rate.speed == "fast" else ()), *reasons, *doubts),
        )

    def _find(
        self, model: str, speed: str, day: date | None
    ) -> tuple[Rate | None, tuple[str, ...]]:
        rates = self._rates.get((model, speed), [])
        held = [rate for rate in rates if day is None or rate.holds_on(day)]
        if speed == "fast" and not held:
            # After its end fast mode runs, and bills, as standard where the API says so (Opus 4.6);
            # elsewhere the standard price is the best that is known, and is marked.
            end = rates[-1].valid_to if rates and model == _FAST_BECAME_STANDARD else None
            found, doubts = self._find(model, "standard", day)
            return found, doubts if day and end and day >= end else (*doubts, "speed_unpriced")
        if day is None:
            return (held[0], ("undated",)) if len(held) == 1 else (None, ())
        if rates and day < rates[0].valid_from:
            return rates[0], ("before_first_price",)
        return next(iter(held), None), ()

    def _factor(
        self, rate: Rate, name: ModelName, geo: str | None, tier: str | None
    ) -> tuple[Decimal, tuple[str, ...]]:
        factor, reasons = _ONE, []
        header = self._header
        has_premium = self._first_day(rate) >= header.regional_from
        if has_premium and name.is_region_unknown:
            reasons.append("region_unknown")
        if has_premium and name.is_regional:
            factor *= header.regional_multiplier
            reasons.append(f"regional{header.regional_multiplier}")
        elif geo == "us" and rate.us_multiplier != _ONE:
            factor *= rate.us_multiplier
            reasons.append(f"us{rate.us_multiplier}")
        if tier == "batch":
            factor *= header.batch_multiplier
            reasons.append(f"batch{header.batch_multiplier}")
        elif tier == "priority":
            reasons.append("service_tier_priority")
        return factor, tuple(reasons)

    def _first_day(self, rate: Rate) -> date:
        """Return the day on which the model came out, by which its generation is told."""
        return self._rates.get((rate.model, "standard"), [rate])[0].valid_from


@cache
def shipped_card() -> RateCard:
    """Return the card that comes with the package."""
    folder = files("tokenaudit.pricing") / "data"
    header = (folder / "card.json").read_bytes()
    table = (folder / "prices.csv").read_bytes()
    rows = csv.DictReader(table.decode("utf-8").splitlines())
    return RateCard(
        [_rate(row) for row in rows],
        msgspec.json.decode(header, type=_Header),
        hashlib.sha256(header + table).hexdigest(),
    )


def _rate(row: Mapping[str, str]) -> Rate:
    return Rate(
        model=row["model"],
        speed=row["speed"],
        valid_from=date.fromisoformat(row["valid_from"]),
        valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        prices=_prices(row, ""),
        long_prompt=int(row["long_threshold"]) if row["long_threshold"] else None,
        long_prices=_prices(row, "long_") if row["long_threshold"] else None,
        us_multiplier=Decimal(row["us_geo_mult"]),
        source=row["source"],
        confidence=row["confidence"],
    )


def _prices(row: Mapping[str, Any], prefix: str) -> Prices:
    def price(column: str, *instead: str) -> Decimal:
        texts: Sequence[str] = [row[f"{prefix}{name}"] for name in (column, *instead)]
        return Decimal(next(text for text in texts if text)) / _MILLION

    # A model without prompt caching has no cache prices and no cached tokens either.
    return Prices(
        input=price("input"),
        output=price("output"),
        cache_read=price("cache_read", "input"),
        cache_write_5m=price("cache_write_5m", "input"),
        cache_write_1h=price("cache_write_1h", "input"),
    )
