"""Usage as OpenMetrics text, for the textfile collector of node_exporter; series are bounded.

All are gauges: sums of what is still on disk, which may fall.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import polars as pl

from tokenaudit.ledger.frame import TOKENS

__all__ = ["MOST_SERIES", "metrics"]

MOST_SERIES: Final = 100
"""Pairs of model and project that have series of their own; all others together are `other`."""

_OTHER: Final = "other"
_KEYS: Final = ("model", "project")


def metrics(frame: pl.DataFrame, now: datetime) -> bytes:
    """Return the sums of *frame*, rows of a ledger, by model and project, at *now*."""
    sums = _bounded(_summed(frame.with_columns(pl.col(_KEYS).fill_null("unknown"))))
    return ("\n".join(_lines(sums, now)) + "\n").encode()


def _summed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by(_KEYS).agg(
        pl.len().cast(pl.Int128).alias("responses"),
        pl.col(*TOKENS, "total_tokens").cast(pl.Int128).sum(),
        pl.col("cost_usd").sum(),
        pl.col("cost_usd").null_count().cast(pl.Int128).alias("unpriced_responses"),
    )


def _bounded(sums: pl.DataFrame) -> pl.DataFrame:
    ordered = sums.sort("total_tokens", *_KEYS, descending=[True, False, False])
    rank = pl.int_range(pl.len())
    named = ordered.with_columns(
        pl.when(rank < MOST_SERIES).then(pl.col(_KEYS)).otherwise(pl.lit(_OTHER)).name.keep()
    )
    return named.group_by(_KEYS, maintain_order=True).agg(pl.all().sum())


def _lines(sums: pl.DataFrame, now: datetime) -> Iterator[str]:
    rows = list(sums.iter_rows(named=True))
    yield "# HELP tokenaudit_tokens Tokens of the responses on disk, by class."
    yield "# TYPE tokenaudit_tokens gauge"
    for row in rows:
        for name in TOKENS:
            labels = f'{_labels(row)},class="{name.removesuffix("_tokens")}"'
            yield f"tokenaudit_tokens{{{labels}}} {row[name]}"
    for name, told in (
        ("cost_usd", "Cost in US dollars at list price, of the priced responses."),
        ("responses", "Responses on disk, each once."),
        ("unpriced_responses", "Responses that have no price and are in no cost."),
    ):
        yield f"# HELP tokenaudit_{name} {told}"
        yield f"# TYPE tokenaudit_{name} gauge"
        for row in rows:
            yield f"tokenaudit_{name}{{{_labels(row)}}} {row[name]}"
    yield "# HELP tokenaudit_export_timestamp_seconds When this was written."
    yield "# TYPE tokenaudit_export_timestamp_seconds gauge"
    yield f"tokenaudit_export_timestamp_seconds {int(now.timestamp())}"
    yield "# EOF"


def _labels(row: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(row[name])}"' for name in _KEYS)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
