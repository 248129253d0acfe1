"""Findings about prices: what has none, what has a doubtful one, and how old the card is (R10)."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import polars as pl

from tokenaudit.audit.check.evidence import Evidence, at_stake, place_of
from tokenaudit.audit.check.finding import Finding, Severity, counted
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.cost import PRICED_BY

__all__ = ["prices"]

_OLD_AFTER_DAYS: Final = 45
_NEAR: Final = Decimal("0.01")
"""The part of a threshold within which a prompt is near it."""
_DOUBTS: Final = {
    "before_first_price": "older than the first price that is known of their model",
    "region_unknown": "that do not say whether a regional endpoint, which costs a tenth more, served them",
    "service_tier_priority": "at the priority tier, whose price is not public",
    "speed_unknown": "at a speed that is not known, priced as standard",
    "speed_unpriced": "that ran fast, without a known price for that, priced as standard",
    "undated": "without a day, priced at the only price of the model",
}


def prices(evidence: Evidence) -> Iterator[Finding]:
    """Yield unpriced models, doubtful prices, prompts near a price's threshold, and a stale card."""
    yield from _unpriced(evidence)
    yield from _doubtful(evidence)
    yield from _near_long_prompt(evidence)
    yield from _stale(evidence)
    yield from _refused(evidence)


def _unpriced(evidence: Evidence) -> Iterator[Finding]:
    unpriced = evidence.rows.filter(pl.col("cost_usd").is_null())
    models = (
        unpriced.group_by("model")
        .agg(pl.col("total_tokens").sum())
        .sort("total_tokens", "model", descending=[True, False])
    )
    for model in models["model"]:
        found = unpriced.filter(pl.col("model").eq_missing(pl.lit(model)))
        count, tokens, _ = at_stake(found)
        yield Finding(
            "unpriced_model",
            Severity.WARNING,
            model,
            count,
            tokens,
            None,
            f"{counted(count, 'response')} of {model or 'no model named'} without a price: the tokens are"
            " counted, the cost is not.",
            "Its price depends on the day, which the lines do not say."
            if model and evidence.ledger.card.knows(model)
            else "Write a [[price]] or an alias of it in rates.toml, or `free = true` if it costs nothing.",
            place_of(found),
        )


def _doubtful(evidence: Evidence) -> Iterator[Finding]:
    rows = evidence.rows.with_columns(day=pl.col("time").dt.date())
    doubts = _doubts(rows, evidence.ledger.card)
    for doubt, what in _DOUBTS.items():
        of_kind = doubts.filter(pl.col("doubt") == doubt)
        found = rows.join(
            of_kind, on=PRICED_BY, how="semi", nulls_equal=True, maintain_order="left"
        )
        count, tokens, cost = at_stake(found)
        if count:
            yield Finding(
                "doubtful_price",
                Severity.INFO,
                doubt,
                count,
                tokens,
                cost,
                f"{counted(count, 'response')} {what}.",
                "If you know better, write the price in rates.toml; `prices explain RESPONSE` shows one.",
                place_of(found),
            )


def _doubts(rows: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return the doubts about the price of each kind of response in *rows*: a `doubt` in each row."""
    kinds = rows.select(PRICED_BY).unique()
    found = [
        (*kind, modifier.name)
        for kind in kinds.iter_rows()
        if (tariff := card.tariff(*kind)) is not None
        for modifier in tariff.modifiers
    ]
    return pl.DataFrame(found, {**kinds.schema, "doubt": pl.String}, orient="row")


def _near_long_prompt(evidence: Evidence) -> Iterator[Finding]:
    thresholds = pl.DataFrame(
        [(rate.id, rate.long_prompt) for rate in evidence.ledger.card.rates if rate.long_prompt],
        {"rate_id": pl.String, "limit": pl.Int64},
        orient="row",
    )
    distance = (pl.col("prompt_tokens") - pl.col("limit")).abs()
    found = evidence.rows.join(thresholds, on="rate_id", maintain_order="left").filter(
        distance <= pl.col("limit") * float(_NEAR)
    )
    count, tokens, cost = at_stake(found)
    if count:
        yield Finding(
            "near_long_prompt",
            Severity.INFO,
            None,
            count,
            tokens,
            cost,
            f"{counted(count, 'prompt')} within {_NEAR:.0%} of the length from which all of a response costs"
            " more.",
            "Nothing: the count of the transcript decides. It is where an invoice could differ by a tier.",
            place_of(found),
        )


def _stale(evidence: Evidence) -> Iterator[Finding]:
    verified = evidence.ledger.card.verified_through
    age = (evidence.now.date() - verified).days
    found = evidence.rows.filter(pl.col("time").dt.date() > verified)
    count, tokens, cost = at_stake(found)
    if count:
        yield Finding(
            "stale_rate_card",
            Severity.WARNING if age > _OLD_AFTER_DAYS else Severity.INFO,
            None,
            count,
            tokens,
            cost,
            f"{counted(count, 'response')} newer than {verified}, when the rate card was last checked: prices"
            " are carried forward.",
            "Compare with `tokenaudit prices check`, or take newer prices with `tokenaudit prices update`.",
            place_of(found),
        )


def _refused(evidence: Evidence) -> Iterator[Finding]:
    refused = evidence.ledger.refused.join(
        evidence.rows.select("session_id").unique(), on="session_id", nulls_equal=True
    )
    count, tokens, cost = at_stake(refused)
    if count:
        yield Finding(
            "refused_attempt",
            Severity.INFO,
            None,
            count,
            tokens,
            cost,
            f"{counted(count, 'attempt')} refused before another model answered, in no total.",
            "See `tokenaudit export refused`. Whether they are billed depends on your fallback credit.",
            place_of(refused),
        )
