"""Responses to be priced, and the two ways to price them: as a frame, or one by one."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import polars as pl

from tokenaudit.pricing.card import RateCard, shipped_card
from tokenaudit.pricing.cost import cost_of, price

SCHEMA: Final[dict[str, Any]] = {
    "model": pl.String,
    "speed": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "inference_geo": pl.String,
    "service_tier": pl.String,
    "web_searches": pl.Int64,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_5m_tokens": pl.Int64,
    "cache_write_1h_tokens": pl.Int64,
}
"""What `price` asks of a frame."""


@dataclass(frozen=True)
class Used:
    model: str | None
    time: datetime | None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    web_searches: int = 0
    speed: str | None = None
    inference_geo: str | None = None
    service_tier: str | None = None


def noon(day: str) -> datetime:
    """The middle of *day*, far from any border."""
    return datetime.fromisoformat(f"{day}T12:00:00+00:00")


def frame(used: Iterable[Used]) -> pl.DataFrame:
    return pl.DataFrame([asdict(one) for one in used], schema=SCHEMA)


def priced(used: Iterable[Used], card: RateCard | None = None) -> pl.DataFrame:
    return price(frame(used), card or shipped_card())


def priced_row(used: Used) -> dict[str, Any]:
    return priced([used]).row(0, named=True)


def scalar_cost(used: Used, card: RateCard | None = None) -> Decimal | None:
    """What the twin for one response says."""
    card = card or shipped_card()
    day = None if used.time is None else used.time.astimezone(UTC).date()
    tariff = card.tariff(used.model, used.speed, day, used.inference_geo, used.service_tier)
    if tariff is None:
        return None
    tokens = {
        name.removesuffix("_tokens"): getattr(used, name)
        for name in SCHEMA
        if name.endswith("_tokens")
    }
    return cost_of(tokens, tariff, web_searches=used.web_searches, card=card)
