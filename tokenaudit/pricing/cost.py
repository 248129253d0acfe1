"""Prices usage: whole frames at once, or one response; both by the same tariffs, both exact (R10).

Only the choice of a rate is made in Python, once for each distinct kind of response; the arithmetic
over rows is Polars' decimal arithmetic, in which a sum does not depend on its order.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, Final

import polars as pl

from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.rates import CLASSES, LONG, ONE, Prices, Tariff

__all__ = [
    "ADDED",
    "COSTS",
    "PRICED",
    "PRICED_BY",
    "USD",
    "condense",
    "cost_of",
    "is_long",
    "parts_of",
    "price",
    "unit_prices",
]

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

PRICED: Final = (*COSTS, "cost_usd")
"""The columns whose sums leave out what is unpriced."""

ADDED: Final = (
    *(*PRICED, "list_cost_usd"),
    *("rate_id", "price_source", "price_confidence", "price_modifiers"),
)
"""The columns that `price` adds."""

_TOKEN_COSTS: Final = COSTS[:-1]
_PICODOLLAR: Final = Decimal("1E-12")
_DIGITS: Final = 60
"""More than any product of a count and a price can have."""

PRICED_BY: Final = ("model", "speed", "day", "inference_geo", "service_tier")
"""What a tariff depends on: the order in which the card is asked."""
_LONGEST: Final = "longest_prompt_tokens"
"""Of sums: the prompt by which each of the responses is judged to be long; 0 where none can be."""
_PROMPT: Final = tuple(name for name in CLASSES if name != "output")
_PRICES: Final = tuple(
    f"{prefix}{name}" for prefix in ("price_", "long_price_") for name in CLASSES
)
_TARIFF: Final = "tariff"
_IS_LONG: Final = "is_long"
_TARIFF_SCHEMA: Final[Mapping[str, Any]] = {
    **dict.fromkeys(PRICED_BY, pl.String),
    "day": pl.Date,
    "rate_id": pl.String,
    "price_source": pl.String,
    "price_confidence": pl.String,
    "price_modifiers": pl.String,
    "long_prompt": pl.Int64,
    "discount": USD,
    **dict.fromkeys(_PRICES, USD),
}


def price(
    usage: pl.DataFrame, card: RateCard, columns: Collection[str] | None = None
) -> pl.DataFrame:
    """Return *usage* with its cost in US dollars, exactly, and what the cost stands on.

    *usage* has `model`, `speed`, `time` (UTC), `inference_geo`, `service_tier`, `web_searches` and
    the five token classes. Added are the parts of the cost and `cost_usd` (null when unpriced),
    `list_cost_usd` (the same without the user's discounts), `rate_id`, `price_source`,
    `price_confidence` and `price_modifiers`; with *columns* only those of them that it names. The
    order of rows is that of *usage*.
    """
    tariffs, placed = _with_tariffs(usage, card)
    names = ("rate_id", "price_source", "price_confidence")
    plain, long = (_of_tariff(tariffs, name) for name in ("price_modifiers", "long_modifiers"))
    priced = (
        placed.with_columns(**_part_costs(tariffs, card))
        .with_columns(list_cost_usd=pl.sum_horizontal(COSTS, ignore_nulls=False))
        .pipe(_discounted, tariffs, has_discounts=bool(card.discounts))
        .with_columns(
            *(_of_tariff(tariffs, name).alias(name) for name in names),
            price_modifiers=pl.when(_IS_LONG).then(long).otherwise(plain),
        )
        .drop(_TARIFF, _IS_LONG, "day")
    )
    if columns is not None:
        priced = priced.select(*usage.columns, *(name for name in ADDED if name in columns))
    return priced.collect()


def unit_prices(usage: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return what a token of each class costs in the rows of *usage*, in US dollars at list price.

    *usage* is as for `price`. The columns are `usd_input`, `usd_output`, `usd_cache_read`,
    `usd_cache_write_5m`, `usd_cache_write_1h`, and `discount`, the part of these that the user pays;
    all null when unpriced. The order of rows is that of *usage*.
    """
    tariffs, placed = _with_tariffs(usage, card)
    units = {f"usd_{name}": _unit(tariffs, name) for name in CLASSES}
    return placed.select(**units, discount=_of_tariff(tariffs, "discount")).collect()


def _with_tariffs(usage: pl.DataFrame, card: RateCard) -> tuple[pl.DataFrame, pl.LazyFrame]:
    """Return the tariffs of *usage*, and it with the place of each row's own among them.

    And with `is_long`, whether its prompt is a long one. The prices stay where they are: copied to
    each row they would take more room than all else.
    """
    usage = usage.with_columns(day=_period(card))
    # What is the same in all rows parts none, and to hash it takes most of the time.
    varying = [name for name in PRICED_BY if not _is_constant(usage[name])] or [PRICED_BY[0]]
    kinds = usage.unique(varying).select(PRICED_BY).with_row_index(_TARIFF)
    places = usage.select(varying).join(
        kinds, on=varying, how="left", nulls_equal=True, maintain_order="left"
    )[_TARIFF]
    tariffs = _tariffs(kinds, card)
    prompt = pl.col(_LONGEST) if _LONGEST in usage.columns else _prompt()
    is_long = pl.lit(value=False)
    if tariffs["long_prompt"].count():
        is_long = (prompt > _of_tariff(tariffs, "long_prompt")).fill_null(value=False)
    return tariffs, usage.lazy().with_columns(places).with_columns(is_long.alias(_IS_LONG))


def _of_tariff(tariffs: pl.DataFrame, name: str) -> pl.Expr:
    """Return for each row what *tariffs* say in a column."""
    return pl.lit(tariffs[name]).gather(_TARIFF)


def _unit(tariffs: pl.DataFrame, name: str) -> pl.Expr:
    plain, long = (_of_tariff(tariffs, f"{prefix}price_{name}") for prefix in ("", "long_"))
    return pl.when(_IS_LONG).then(long).otherwise(plain)


def condense(usage: pl.DataFrame, keys: Sequence[str], card: RateCard) -> pl.DataFrame:
    """Return the sums of *usage* by *keys* and all that decides a price: what `price` takes, shorter.

    Pricing the sums gives exactly the sum of the prices, where no discount is rounded per response.
    Beside the counts there are `responses` and `total_tokens`. *keys* may not name `day`, which is
    the day since which no price has changed.
    """
    thresholds = [rate.long_prompt for rate in card.rates if rate.long_prompt is not None]
    least = min(thresholds, default=None)
    # Prompts that might be long are kept apart by their length, for each is judged by its own.
    longest = pl.when(_prompt() > least).then(_prompt()) if least else pl.lit(None, pl.Int64)
    counts = [*(f"{name}_tokens" for name in CLASSES), "web_searches"]
    # 64 bits wrap around in silence; no honest history comes near
    largest = usage.select(pl.max_horizontal(pl.col(counts).max())).item() or 0
    wide = pl.Int128 if largest * usage.height >= 2**63 else pl.Int64
    marked = usage.with_columns(longest.fill_null(0).alias(_LONGEST), day=_period(card))
    by = list(dict.fromkeys((*keys, *PRICED_BY, _LONGEST)))
    # What is the same in all rows parts none, and to hash it takes most of the time.
    varying = [name for name in by if not _is_constant(marked[name])]
    summed = (
        marked.group_by(varying or by)
        .agg(
            pl.col([name for name in by if varying and name not in varying]).first(),
            pl.len().cast(pl.Int64).alias("responses"),
            pl.col("time").first(),
            pl.col(counts).cast(wide).sum(),
        )
        .select(*by, "responses", "time", *counts)
    )
    total = pl.sum_horizontal(f"{name}_tokens" for name in CLASSES)
    return summed.drop("day").with_columns(total_tokens=total)


def _is_constant(values: pl.Series) -> bool:
    """Tell whether all *values* are the same, or null."""
    return values.is_empty() or bool(values.eq_missing(values[0]).all())


def _prompt() -> pl.Expr:
    return pl.sum_horizontal(f"{name}_tokens" for name in _PROMPT)


def _period(card: RateCard) -> pl.Expr:
    """Return, for each response, the day since which no price has changed: few are distinct."""
    turns = [date.min, *(day for day in card.turning_days if day > date.min)]
    day = pl.col("time").dt.date()
    at = pl.lit(pl.Series(turns)).search_sorted(day.fill_null(date.min), side="right") - 1
    return pl.when(day.is_not_null()).then(pl.lit(pl.Series(turns)).gather(at))


def _part_costs(tariffs: pl.DataFrame, card: RateCard) -> dict[str, pl.Expr]:
    def times(name: str) -> pl.Expr:
        return pl.col(f"{name}_tokens").cast(pl.Decimal(38, 0)) * _unit(tariffs, name)

    searches = pl.col("web_searches").cast(pl.Decimal(38, 0)) * pl.lit(card.web_search_usd, USD)
    return {
        "cost_input_usd": times("input"),
        "cost_output_usd": times("output"),
        "cost_cache_read_usd": times("cache_read"),
        "cost_cache_write_usd": times("cache_write_5m") + times("cache_write_1h"),
        "cost_web_search_usd": pl.when(_of_tariff(tariffs, "rate_id").is_not_null()).then(searches),
    }


def _discounted(
    priced: pl.LazyFrame, tariffs: pl.DataFrame, *, has_discounts: bool
) -> pl.LazyFrame:
    """Take the user's discounts off what tokens cost: each part rounded half to even (R11)."""
    if not has_discounts:
        return priced.with_columns(cost_usd="list_cost_usd")
    discount = _of_tariff(tariffs, "discount")
    return priced.with_columns(pl.col(_TOKEN_COSTS) * discount).with_columns(
        cost_usd=pl.sum_horizontal(COSTS, ignore_nulls=False)
    )


def _tariffs(kinds: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return the tariff of each distinct kind of response; unpriced kinds have only nulls."""
    rows = [
        (*kind, *_tariff_row(card.tariff(*kind))) for kind in kinds.select(PRICED_BY).iter_rows()
    ]
    tariffs = pl.DataFrame(rows, schema=_TARIFF_SCHEMA, orient="row")
    long = pl.concat_str(
        pl.format(f"{LONG}{{}}", "long_prompt"),
        pl.col("price_modifiers").replace("", None),
        separator=" ",
        ignore_nulls=True,
    )
    return tariffs.with_columns(pl.col("price_modifiers").replace("", None), long_modifiers=long)


def _tariff_row(tariff: Tariff | None) -> tuple[Any, ...]:
    if tariff is None:
        return (None,) * (len(_TARIFF_SCHEMA) - len(PRICED_BY))
    rate = tariff.rate
    return (
        rate.id,
        rate.source,
        rate.confidence,
        " ".join(tariff.modifiers),
        rate.long_prompt,
        tariff.discount,
        *_price_row(tariff.prices),
        *_price_row(tariff.long_prices or tariff.prices),
    )


def _price_row(prices: Prices) -> tuple[Decimal, ...]:
    return tuple(getattr(prices, name) for name in CLASSES)


def cost_of(
    tokens: Mapping[str, int], tariff: Tariff, *, web_searches: int = 0, card: RateCard
) -> Decimal:
    """Return the cost in US dollars of one response: the twin of `price` for a single row.

    *tokens* maps `input`, `output`, `cache_read`, `cache_write_5m` and `cache_write_1h` to counts.
    """
    parts = parts_of(tokens, tariff, web_searches=web_searches, card=card)
    with localcontext(prec=_DIGITS):
        return sum(parts.values(), Decimal(0))


def parts_of(
    tokens: Mapping[str, int], tariff: Tariff, *, web_searches: int = 0, card: RateCard
) -> dict[str, Decimal]:
    """Return the parts of the cost of one response, by the names of COSTS, discount taken off."""
    prices = tariff.prices
    if is_long(tokens, tariff) and tariff.long_prices:
        prices = tariff.long_prices
    with localcontext(prec=_DIGITS):
        each = {name: tokens.get(name, 0) * getattr(prices, name) for name in CLASSES}
        writes = each.pop("cache_write_5m") + each.pop("cache_write_1h")
        listed = (*each.values(), writes)
        paid = [_discounted_part(part, tariff.discount) for part in listed]
        return dict(zip(COSTS, (*paid, web_searches * card.web_search_usd), strict=True))


def _discounted_part(part: Decimal, discount: Decimal) -> Decimal:
    return part if discount == ONE else (part * discount).quantize(_PICODOLLAR, ROUND_HALF_EVEN)


def is_long(tokens: Mapping[str, int], tariff: Tariff) -> bool:
    """Tell whether the prompt is so long that all of the response is priced by `long_prices`."""
    threshold = tariff.rate.long_prompt
    return threshold is not None and sum(tokens.get(name, 0) for name in _PROMPT) > threshold
