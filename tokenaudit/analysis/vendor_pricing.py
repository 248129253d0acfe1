"""Claude Code's own pricing formula, by version, where it differs from the price list.

Measured on 4,414 costs that Claude Code stated (see docs/explanation/accuracy.md): 1-hour cache writes at
the price of 5-minute ones up to 2.1.159, models at another model's price in some versions, and
models of other vendors, which it has no price for, at the price of one of its own.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Final, NamedTuple

import polars as pl

from tokenaudit.analysis.versions import up_to
from tokenaudit.ledger.frame import TOKENS
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.cost import price
from tokenaudit.pricing.windows import facts_of

__all__ = [
    "MISPRICED",
    "is_foreign",
    "list_costs",
    "mispriced",
    "own_formula",
    "repriced",
    "with_cheap_hours",
    "with_flat_prompts",
    "with_foreign",
    "with_prompts",
]

_Version = tuple[int, int, int]
_LAST_CHEAP_HOUR: Final[_Version] = (2, 1, 159)
"""The last version seen to price 1-hour writes as 5-minute ones; from 2.1.176 on it did not."""


class Mispriced(NamedTuple):
    """A model that some versions priced as another."""

    model: str
    """How the names of the model begin."""
    first: _Version
    last: _Version
    priced_as: str


MISPRICED: Final = (
    Mispriced("claude-sonnet-4-5", (2, 1, 33), (2, 1, 68), "claude-opus-4-6"),
    Mispriced("claude-sonnet-4-6", (2, 1, 38), (2, 1, 68), "claude-opus-4-6"),
    Mispriced("claude-opus-4-6", (2, 1, 29), (2, 1, 29), "claude-opus-4-1"),
)
_LAST_AS_SONNET: Final[_Version] = (2, 1, 23)
_FIRST_AS_OPUS: Final[_Version] = (2, 1, 71)
"""What it has no price for was $3/$15 up to the first, $5/$25 from the second on; unseen between them."""
_FLAT: Final = "claude-sonnet-4"
"""Models whose price list has a premium for long prompts, and Claude Code's has none."""
_SONNET, _OPUS = "claude-3-7-sonnet", "claude-opus-4-5"
"""Models of these prices, whatever the day and the length of the prompt."""
_LONGEST: Final = "longest_prompt_tokens"
_KEPT: Final = (
    *("model", "speed", "time", "inference_geo", "service_tier", "web_searches", "version"),
    _LONGEST,
    *TOKENS,
)


def repriced(rows: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return *rows* of a ledger, as far as prices need them, priced anew by *card*."""
    return price(rows.select(*(name for name in _KEPT if name in rows.columns)), card)


def list_costs(several: Sequence[pl.DataFrame], card: RateCard) -> list[Decimal]:
    """Return the list cost of each of *several* frames like those that `repriced` takes.

    Priced all at once: that takes hardly longer than one of them.
    """
    kept = [name for name in _KEPT if name in several[0].columns]
    costs = repriced(pl.concat([rows.select(kept) for rows in several]), card)["list_cost_usd"]
    ends = accumulate(rows.height for rows in several)
    parts = (
        costs.slice(end - rows.height, rows.height) for rows, end in zip(several, ends, strict=True)
    )
    return [part.sum() or Decimal(0) for part in parts]  # type: ignore[misc]


def with_cheap_hours(rows: pl.DataFrame, *, always: bool = False) -> pl.DataFrame:
    """Return *rows* with the 1-hour writes of early versions, or all of them, as 5-minute ones."""
    is_cheap = pl.lit(True) if always else up_to(pl.col("version"), _LAST_CHEAP_HOUR)
    moved = pl.when(is_cheap.fill_null(value=False)).then("cache_write_1h_tokens").otherwise(0)
    return rows.with_columns(
        cache_write_5m_tokens=pl.col("cache_write_5m_tokens") + moved,
        cache_write_1h_tokens=pl.col("cache_write_1h_tokens") - moved,
    )


def mispriced(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* under the models that Claude Code priced them as."""
    model = pl.col("model")
    for each in MISPRICED:
        one, two, three = each.first
        before = up_to(pl.col("version"), (one, two, three - 1))
        holds = up_to(pl.col("version"), each.last) & ~before
        model = (
            pl.when(holds.fill_null(value=False) & pl.col("model").str.starts_with(each.model))
            .then(pl.lit(each.priced_as))
            .otherwise(model)
        )
    return rows.with_columns(model=model)


def is_foreign(model: str | None) -> bool:
    """Tell whether *model* is none that Claude Code knows: of another vendor, or behind a gateway."""
    return model is not None and facts_of(model) is None


def with_foreign(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* with models of other vendors under the one by whose price Claude Code went.

    In versions between those that were measured they have none: what it made of them is not known.
    """
    foreign = [model for model in rows["model"].unique() if is_foreign(model)]
    version = pl.col("version")
    one, two, three = _FIRST_AS_OPUS
    is_late = ~up_to(version, (one, two, three - 1))
    stand_in = (
        pl.when(up_to(version, _LAST_AS_SONNET).fill_null(value=False))
        .then(pl.lit(_SONNET))
        .when(is_late.fill_null(value=False))
        .then(pl.lit(_OPUS))
        .otherwise(None)
    )
    is_of_them = pl.col("model").is_in(foreign).fill_null(value=False)
    return rows.with_columns(model=pl.when(is_of_them).then(stand_in).otherwise("model"))


def with_prompts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* with the prompt by which each is judged to be long: its own, where none is given."""
    if _LONGEST in rows.columns:
        return rows
    prompt = pl.sum_horizontal(name for name in TOKENS if name != "output_tokens")
    return rows.with_columns(prompt.alias(_LONGEST))


def with_flat_prompts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* with the prompts of models for which Claude Code knows no premium as short ones."""
    is_flat = pl.col("model").str.starts_with(_FLAT).fill_null(value=False)
    flat = pl.when(is_flat).then(0).otherwise(_LONGEST)
    return with_prompts(rows).with_columns(flat.alias(_LONGEST))


def own_formula(rows: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return *rows*, as far as prices need them, with `list_cost_usd` as Claude Code works it out."""
    return repriced(with_foreign(mispriced(with_flat_prompts(with_cheap_hours(rows)))), card)
