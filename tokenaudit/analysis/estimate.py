"""How much output was lost: estimated from what was written, beside the ledger and never in it.

By weights (`output_weights`) fitted to final responses of the same model, or, where there are too few, by
those that ship; how wrong either is gets measured on finals that the fit has not seen.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from tokenaudit.analysis.output_weights import (
    FEATURES,
    LEAST_FINALS,
    ShippedWeights,
    family_of,
    fitted,
    prediction,
    shipped_weights,
    size,
    untold,
)
from tokenaudit.analysis.vendor_pricing import repriced
from tokenaudit.ledger.frame import CALIBRATION, ESTIMATES, Ledger
from tokenaudit.model.terms import Quality
from tokenaudit.store.facts import Facts
from tokenaudit.store.lazy_frame import replaced
from tokenaudit.transcripts.text_sizes import written

__all__ = [
    "calibrated",
    "cross_validated",
    "estimated",
    "finals_of",
    "judged",
    "predicted",
    "sized",
]

_SIZES: Final = tuple(feature for feature in FEATURES if feature != "responses")
_WRITTEN: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("path", "message_id", "request_id", "uuid"), pl.String),
    **dict.fromkeys(_SIZES, pl.Int64),
}
_HIGH: Final = 0.95
"""Of twenty held-out finals, and of twenty sessions of them, nineteen had no more than the high estimate."""
_LOST: Final = (Quality.PLACEHOLDER.value, Quality.LOWER_BOUND.value)


def estimated(
    ledger: Ledger, facts: Facts, shipped: Mapping[str, ShippedWeights] | None = None
) -> Ledger:
    """Return *ledger* with the columns ESTIMATES beside its own, and with its calibration.

    Of a response whose count is final or repaired they say what is recorded; of one whose output
    cannot be estimated too, and it is counted in `est_unknown_responses`. *shipped*: weights by family
    of models, instead of those that ship.
    """
    rows = sized(ledger, facts)
    calibration = calibrated(rows, shipped_weights() if shipped is None else shipped)
    found = _priced(predicted(rows, calibration), ledger)
    return replaced(
        ledger, frame=found.select(*ledger.frame.columns, *ESTIMATES), calibration=calibration
    )


# what was written


def sized(ledger: Ledger, facts: Facts) -> pl.DataFrame:
    """Return the frame of *ledger* with the FEATURES of each response; null where it has no lines."""
    return ledger.frame.with_row_index("row").join(
        _sizes(facts), left_on=["response_id", "request_id"], right_on=["message_id", "request_id"],
        how="left", nulls_equal=True, maintain_order="left",
    )  # fmt: skip


def _sizes(facts: Facts) -> pl.DataFrame:
    """Return how much each response wrote: of copies in several transcripts the fullest counts."""
    lines = pl.DataFrame(written(facts.transcripts["path"].sort()), _WRITTEN)
    keys = ["message_id", "request_id"]
    return (
        lines.filter(pl.col("message_id").is_not_null())
        .unique(["path", *keys, "uuid"], keep="first", maintain_order=True)
        .group_by("path", *keys, maintain_order=True)
        .agg(pl.col(_SIZES).sum())
        .group_by(keys, maintain_order=True)
        .agg(pl.col(_SIZES).max())
        .with_columns(responses=pl.lit(1, pl.Int64))
    )


# calibration


def finals_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return those of *rows*, which are `sized`, whose true output and whose writing are known."""
    is_final = pl.col("quality") == Quality.FINAL.value
    return rows.filter(is_final & (size() > 0) & (pl.col("kind") == "message")).select(
        "response_id", "session_id", "model", "output_tokens", *FEATURES
    )


def calibrated(rows: pl.DataFrame, shipped: Mapping[str, ShippedWeights]) -> pl.DataFrame:
    """Fit every model of *rows* that has enough finals; of others that lost output take *shipped*.

    Returns one row per model: see CALIBRATION. A model without either has none.
    """
    finals = finals_of(rows)
    own = finals.group_by("model").len().filter(pl.col("len") >= LEAST_FINALS)["model"]
    lost = rows.filter(pl.col("quality").is_in(_LOST))["model"]
    found = []
    for model in pl.concat([own, lost]).drop_nulls().unique().sort():
        weights = shipped.get(family_of(model) or "")
        if model in own:
            found.append(_own(model, finals.filter(pl.col("model") == model), weights))
        elif weights is not None:
            found.append(_as_shipped(model, weights))
    return pl.DataFrame(found, CALIBRATION, orient="row")


def _as_shipped(model: str, shipped: ShippedWeights) -> dict[str, Any]:
    named = {name: getattr(shipped, name) for name in CALIBRATION if hasattr(shipped, name)}
    return {"model": model, "is_shipped": True, **named}


def _own(model: str, finals: pl.DataFrame, shipped: ShippedWeights | None) -> dict[str, Any]:
    """Return the fit on all *finals*, and the errors of fits on one half in the other."""
    fixed = untold(finals, shipped.weights) if shipped else {}
    judged_finals = cross_validated(finals.with_columns(fold=_half(finals)), fixed)
    errors = judged(judged_finals)
    weights = fitted(finals, fixed)
    return {
        "model": model,
        "is_shipped": False,
        "finals": finals.height,
        **{FEATURES[feature]: weight for feature, weight in weights.items()},
        **errors,
    }


def _half(finals: pl.DataFrame) -> pl.Series:
    """Return which half each is in: whole sessions where there are four, for their responses are alike.

    It depends on nothing but ids.
    """
    by = "session_id" if finals["session_id"].n_unique() > 3 else "response_id"  # noqa: PLR2004
    return finals[by].rank("dense") % 2


def cross_validated(finals: pl.DataFrame, fixed: Mapping[str, float]) -> pl.DataFrame:
    """Return *finals* with what each is `predicted` to be by a fit on those of other `fold`s."""
    folds = []
    for fold in finals["fold"].unique().sort():
        weights = fitted(finals.filter(pl.col("fold") != fold), fixed)
        held = finals.filter(pl.col("fold") == fold)
        folds.append(held.with_columns(predicted=prediction(weights)))
    return pl.concat(folds)


def judged(finals: pl.DataFrame) -> dict[str, float]:
    """Return how wrong `predicted` is of *finals*: `total_error`, `median_error`, `reach`."""
    truth, told = pl.col("output_tokens"), pl.col("predicted")
    errors = finals.select(
        total_error=told.sum() / truth.sum() - 1,
        median_error=((told - truth).abs() / truth.clip(1)).median(),
        reach=(truth / told.clip(1)).quantile(_HIGH, "higher"),
    ).row(0, named=True)
    ratio = truth.sum() / told.sum().clip(1)
    sessions = finals.group_by("session_id").agg(ratio=ratio)["ratio"].quantile(_HIGH, "higher")
    return {**errors, "reach": max(1.0, errors["reach"], float(sessions or 1))}


# estimates


def predicted(rows: pl.DataFrame, calibration: pl.DataFrame) -> pl.DataFrame:
    """Add the best and high output of each of *rows*, and whether they cannot be known."""
    fits = calibration.select("model", "reach", *FEATURES.values())
    joined = rows.join(fits, on="model", how="left", maintain_order="left")
    best = pl.sum_horizontal(pl.col(feature) * pl.col(fit) for feature, fit in FEATURES.items())
    is_lost = pl.col("quality").is_in(_LOST)
    is_known = (size() > 0) & pl.col("reach").is_not_null()
    recorded = pl.col("output_tokens")

    def at_least(tokens: pl.Expr) -> pl.Expr:
        whole = tokens.round().cast(pl.Int64, strict=False)
        return (
            pl.when(is_lost & is_known).then(pl.max_horizontal(whole, recorded)).otherwise(recorded)
        )

    return joined.with_columns(
        est_output_best_tokens=at_least(best),
        est_output_high_tokens=at_least(best * pl.col("reach")),
        est_unknown_responses=(is_lost & ~is_known.fill_null(value=False)).cast(pl.Int64),
    )


def _priced(rows: pl.DataFrame, ledger: Ledger) -> pl.DataFrame:
    """Add what the estimated output would have cost: what is recorded, and the price of the more."""
    recorded = repriced(rows, ledger.card)["cost_usd"]
    more = {}
    for name in ("best", "high"):
        output = rows[f"est_output_{name}_tokens"].alias("output_tokens")
        priced = repriced(rows.with_columns(output), ledger.card)["cost_usd"]
        more[f"est_cost_{name}_usd"] = rows["cost_usd"] + (priced - recorded)
    return rows.with_columns(**more)
