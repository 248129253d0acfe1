"""How much output was lost: estimated from what was written, beside the ledger and never in it.

Tokens per character are fitted, by model, on responses whose output count is final; how wrong the
fit is gets measured on finals that it has not seen.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from tokenaudit.analysis.vendor_pricing import repriced
from tokenaudit.ledger.frame import CALIBRATION, ESTIMATES, Ledger
from tokenaudit.model.terms import Quality
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts.text_sizes import written

__all__ = ["estimated"]

_SIZES: Final = ("thinking", "text", "tool_input")
_WRITTEN: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("path", "message_id", "request_id", "uuid"), pl.String),
    **dict.fromkeys(_SIZES, pl.Int64),
}
_LEAST_FINALS: Final = 40
"""Fewer finals than this calibrate nothing: their model is estimated by all models together."""
_HIGH: Final = 0.9
"""Of ten finals nine had no more output than the high estimate of them."""
_LOST: Final = (Quality.PLACEHOLDER.value, Quality.LOWER_BOUND.value)
_ALL: Final = "all models"
_TINY: Final = 1e-9


def estimated(ledger: Ledger, facts: Facts) -> Ledger:
    """Return *ledger* with the columns ESTIMATES beside its own, and with its calibration.

    Of a response whose count is final or repaired they say what is recorded; of one whose output
    cannot be estimated too, and it is counted in `est_unknown_responses`.
    """
    sized = ledger.frame.with_row_index("row").join(
        _sizes(facts), left_on=["response_id", "request_id"], right_on=["message_id", "request_id"],
        how="left", nulls_equal=True, maintain_order="left",
    )  # fmt: skip
    calibration = _calibration(sized)
    found = _priced(_predicted(sized, calibration), ledger)
    return dataclasses.replace(
        ledger, frame=found.select(*ledger.frame.columns, *ESTIMATES), calibration=calibration
    )


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
    )


def _size() -> pl.Expr:
    return pl.sum_horizontal(_SIZES)


# calibration


def _calibration(sized: pl.DataFrame) -> pl.DataFrame:
    """Fit every model that has enough finals, and all together: see `ledger.CALIBRATION`."""
    finals = sized.filter(
        (pl.col("quality") == Quality.FINAL.value) & (_size() > 0) & (pl.col("kind") == "message")
    ).select("response_id", "model", "output_tokens", *_SIZES)
    # which half a response is in depends on nothing but its id
    half = pl.col("response_id").rank("ordinal") % 2 == 0
    models = finals.group_by("model").len().filter(pl.col("len") >= _LEAST_FINALS)["model"].sort()
    groups = [
        (str(model), finals.filter(pl.col("model") == model)) for model in models.drop_nulls()
    ]
    if finals.height >= _LEAST_FINALS:
        groups.append((_ALL, finals))
    return pl.DataFrame(
        [_fitted(name, rows.with_columns(is_held=half)) for name, rows in groups],
        CALIBRATION,
        orient="row",
    )


def _fitted(name: str, finals: pl.DataFrame) -> tuple[Any, ...]:
    """Return the fit on all *finals*, and the errors on one half of the fit on the other."""
    seen, held = finals.filter(~pl.col("is_held")), finals.filter("is_held")
    judged = held.with_columns(predicted=_prediction(_weights(seen)))
    total = judged.select(
        (pl.col("predicted").sum() - pl.col("output_tokens").sum()) / pl.col("output_tokens").sum()
    ).item()
    each = judged.select(
        (
            (pl.col("predicted") - pl.col("output_tokens")).abs() / pl.col("output_tokens").clip(1)
        ).median()
    ).item()
    reach = judged.select(
        (pl.col("output_tokens") / pl.col("predicted").clip(1)).quantile(_HIGH, "higher")
    ).item()
    return (name, finals.height, *_weights(finals), max(float(reach), 1.0), total, each)


def _prediction(weights: Sequence[float]) -> pl.Expr:
    return pl.sum_horizontal(
        pl.col(name) * weight for name, weight in zip(_SIZES, weights, strict=True)
    )


def _weights(finals: pl.DataFrame) -> list[float]:
    """Return tokens per character of thinking, text and tool input: least squares, none negative.

    A response of twice the size may be twice as far off: it counts half. What fits best is scaled so
    that the finals it was fitted on add up to their true total.
    """
    weight = 1 / _size()
    pairs = [(one, other) for one in _SIZES for other in _SIZES]
    sums = finals.select(
        *(
            (weight * pl.col(one) * pl.col(other)).sum().alias(f"{one} {other}")
            for one, other in pairs
        ),
        *((weight * pl.col(one) * pl.col("output_tokens")).sum().alias(one) for one in _SIZES),
    ).row(0, named=True)
    used = list(_SIZES)
    while True:
        matrix = [[sums[f"{one} {other}"] for other in used] for one in used]
        found = dict(zip(used, _solved(matrix, [sums[one] for one in used]), strict=True))
        negative = [name for name in used if found[name] < 0]
        if not negative:
            break
        used = [name for name in used if name not in negative]
    weights = [max(found.get(name, 0.0), 0.0) for name in _SIZES]
    truth, fit = finals.select(
        pl.col("output_tokens").sum().cast(pl.Float64), fit=_prediction(weights).sum()
    ).row(0)
    return [weight * truth / fit if fit else 0.0 for weight in weights]


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Solve a small system by elimination; an unknown that nothing bears on is 0."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for at in range(size):
        best = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[best] = rows[best], rows[at]
        if abs(rows[at][at]) < _TINY:
            continue
        for other in range(size):
            if other != at:
                factor = rows[other][at] / rows[at][at]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[at], strict=True)]
    return [row[size] / row[at] if abs(row[at]) >= _TINY else 0.0 for at, row in enumerate(rows)]


# estimates


def _predicted(sized: pl.DataFrame, calibration: pl.DataFrame) -> pl.DataFrame:
    """Add the best and high output of each response, and whether they cannot be known."""
    fits = [f"tokens_per_{name}" for name in _SIZES]
    by_model = calibration.select("model", "reach", *fits)
    pooled = by_model.filter(pl.col("model") == _ALL).drop("model")
    joined = sized.join(by_model, on="model", how="left", maintain_order="left")
    if not pooled.is_empty():
        rest = pooled.row(0, named=True)
        joined = joined.with_columns(pl.col(name).fill_null(rest[name]) for name in rest)
    predicted = pl.sum_horizontal(
        pl.col(size) * pl.col(fit) for size, fit in zip(_SIZES, fits, strict=True)
    )
    is_lost = pl.col("quality").is_in(_LOST)
    is_known = (_size() > 0) & pl.col("reach").is_not_null()
    recorded = pl.col("output_tokens")

    def at_least(tokens: pl.Expr) -> pl.Expr:
        whole = tokens.round().cast(pl.Int64, strict=False)
        return (
            pl.when(is_lost & is_known).then(pl.max_horizontal(whole, recorded)).otherwise(recorded)
        )

    return joined.with_columns(
        est_output_best_tokens=at_least(predicted),
        est_output_high_tokens=at_least(predicted * pl.col("reach")),
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
