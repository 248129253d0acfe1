"""Prices usage: whole frames at once, or one response; both by the same tariffs, both exact (R10).

Only the choice of a rate is made in Python, once for each distinct kind of response; the arithmetic
over rows is Polars' decimal arithmetic, in which a sum does not depend on its order.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import polars as pl

from tokenaudit.pricing.card import Prices, RateCard, Tariff

__all__ = ["COSTS", "USD", "cost_of", "price"]

USD: Final = pl.Decimal(38, 12)
"""US dollars: 12 places hold every product of a token count and a price exactly."""

COSTS: Final = (
    "cost_input_usd",
    "cost_output_usd",
    "cost_cache_read_usd",
    "cost_cache_write_usd",
    "cost_web_search_usd",
)
"""The parts of a cost; they sum to `cost_usd`."""

_KIND: Final = ("model", "speed", "day", "inference_geo", "service_tier")
_CLASSES: Final = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
_PROMPT: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h")
_TARIFF_SCHEMA: Final[Mapping[str, Any]] = {
    **dict.fromkeys(_KIND, pl.String),
    "day": pl.Date,
    "rate_id": pl.String,
    "price_source": pl.String,
    "price_confidence": pl.String,
    "price_modifiers": pl.String,
    "long_prompt": pl.Int64,
    **{f"{prefix}{name}": USD for prefix in ("price_", "long_price_") for name in _CLASSES},
}


def price(usage: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return *usage* with its cost in US dollars, exactly, and what the cost stands on.

    *usage* has `model`, `speed`, `time` (UTC), `inference_geo`, `service_tier`, `web_searches` and
    the five token classes. Added are the parts of the cost and `cost_usd` (null when unpriced),
    `rate_id`, `price_source`, `price_confidence` and `price_modifiers`.
    """
    usage = usage.with_columns(day=pl.col("time").dt.date())
    tariffs = _tariffs(usage.select(_KIND).unique(), card)
    prompt = pl.sum_horizontal(f"{name}_tokens" for name in _PROMPT)
    priced = usage.join(tariffs, on=_KIND, how="left", nulls_equal=True, maintain_order="left")
    return (
        priced.with_columns(is_long=(prompt > pl.col("long_prompt")).fill_null(value=False))
        .with_columns(**_part_costs(card))
        .with_columns(
            cost_usd=pl.sum_horizontal(COSTS, ignore_nulls=False),
            price_modifiers=pl.concat_str(
                pl.when("is_long").then(pl.format("long>{}", "long_prompt")),
                pl.col("price_modifiers").replace("", None),
                separator=" ",
                ignore_nulls=True,
            ).replace("", None),
        )
        .drop(
            "day",
            "is_long",
            *(name for name in _TARIFF_SCHEMA if "price_" in name and name.endswith(_CLASSES)),
            "long_prompt",
        )
    )


def _part_costs(card: RateCard) -> dict[str, pl.Expr]:
    def times(name: str) -> pl.Expr:
        chosen = pl.when("is_long").then(f"long_price_{name}").otherwise(f"price_{name}")
        return pl.col(f"{name}_tokens").cast(pl.Decimal(38, 0)) * chosen

    searches = pl.col("web_searches").cast(pl.Decimal(38, 0)) * pl.lit(card.web_search_usd, USD)
    return {
        "cost_input_usd": times("input"),
        "cost_output_usd": times("output"),
        "cost_cache_read_usd": times("cache_read"),
        "cost_cache_write_usd": times("cache_write_5m") + times("cache_write_1h"),
        "cost_web_search_usd": pl.when(pl.col("rate_id").is_not_null()).then(searches),
    }


def _tariffs(kinds: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return the tariff of each distinct kind of response; unpriced kinds have only nulls."""
    rows = [(*kind, *_tariff_row(card.tariff(*kind))) for kind in kinds.select(_KIND).iter_rows()]
    return pl.DataFrame(rows, schema=_TARIFF_SCHEMA, orient="row")


def _tariff_row(tariff: Tariff | None) -> tuple[Any, ...]:
    if tariff is None:
        return (None,) * (len(_TARIFF_SCHEMA) - len(_KIND))
    rate = tariff.rate
    return (
        rate.id,
        rate.source,
        rate.confidence,
        " ".join(tariff.modifiers),
        rate.long_prompt,
        *_price_row(tariff.prices),
        *_price_row(tariff.long_prices or tariff.prices),
    )


def _price_row(prices: Prices) -> tuple[Decimal, ...]:
    return tuple(getattr(prices, name) for name in _CLASSES)


def cost_of(
    tokens: Mapping[str, int], tariff: Tariff, *, web_searches: int = 0, card: RateCard
) -> Decimal:
    """Return the cost in US dollars of one response: the twin of `price` for a single row.

    *tokens* maps `input`, `output`, `cache_read`, `cache_write_5m` and `cache_write_1h` to counts.
    """
    prompt = sum(tokens.get(name, 0) for name in _PROMPT)
    threshold = tariff.rate.long_prompt
    is_long = threshold is not None and prompt > threshold
    prices = tariff.long_prices if is_long and tariff.long_prices else tariff.prices
    parts = (tokens.get(name, 0) * getattr(prices, name) for name in _CLASSES)
    return sum(parts, Decimal(0)) + web_searches * card.web_search_usd
