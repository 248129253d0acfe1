"""Calls that leave traces in transcripts but no usage: how many, and the least that they used.

What is said here is inferred from the shape of such calls, measured on sessions whose whole usage
Claude Code itself had stated; it is never added to the ledger.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from tokenaudit.analysis.versions import up_to
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.pricing.cost import USD, price

__all__ = ["FLOORS", "HAIKU", "unrecorded"]

HAIKU: Final = "claude-haiku-4-5"
"""The small model that Claude Code asks on the side."""

FLOORS: Final[Mapping[str, Mapping[str, int]]] = {
    "title": {"input_tokens": 340, "output_tokens": 11},
    "recap": {"input_tokens": 94, "output_tokens": 100},
    "web_search": {},
    "web_fetch": {},
    "compaction": {},
}
"""The least tokens of one call of each kind that were ever seen: beside the context it reads.

Searches and fetches read what they find, thousands of tokens as a rule; nothing bounds it from below.
"""

_OF_HAIKU: Final = ("title", "web_search", "web_fetch")
_LAST_REWRITING: Final = (2, 1, 41)
"""Up to this version a compaction wrote its whole context to the cache anew; later ones read it."""
_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)


def unrecorded(evidence: Evidence) -> pl.DataFrame:
    """Return the calls that left a trace and no usage, priced at their least.

    Columns: `kind, session_id, path, line, time, calls, model`, the five token classes,
    `total_tokens, web_searches, cost_usd`. A compaction counts where no helper agent's transcript
    holds its call.
    """
    traced = evidence.traces.filter(pl.col("kind") != "agent").select(
        "kind", "session_id", "path", "line", "time", "calls", context=pl.lit(0, pl.Int64)
    )
    calls = pl.concat([traced, _compactions(evidence)]).filter(pl.col("calls") > 0)
    return _priced(_sized(_asked(calls, evidence)), evidence)


def _compactions(evidence: Evidence) -> pl.DataFrame:
    helped = evidence.facts.transcripts.filter(pl.col("agent_id").str.starts_with("acompact-"))
    return (
        evidence.facts.compactions.filter(pl.col("kind") == "compact")
        .join(evidence.facts.transcripts.select("path", "session_id", "agent_id"), on="path")
        .join(helped.select("session_id").unique(), on="session_id", how="anti")
        .join(evidence.rows.select("session_id").unique(), on="session_id", how="semi")
        .sort("path", "line")
        .unique(["session_id", "agent_id", "time"], keep="first", maintain_order=True)
        .select(
            pl.lit("compaction").alias("kind"),
            "session_id",
            "path",
            "line",
            "time",
            calls=pl.lit(1, pl.Int64),
            context=pl.col("pre_tokens").fill_null(0),
        )
    )


def _asked(calls: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    """Add the model and the version that were at work in the session just before each call."""
    at_work = (
        evidence.rows.filter(pl.col("time").is_not_null() & (pl.col("agent_id") == "main"))
        .select("session_id", "time", "version", asked="model")
        .sort("time")
    )
    return (
        calls.sort("time", nulls_last=True)
        .join_asof(at_work, on="time", by="session_id", check_sortedness=False)
        .with_columns(
            model=pl.when(pl.col("kind").is_in(_OF_HAIKU)).then(pl.lit(HAIKU)).otherwise("asked"),
            is_rewriting=up_to(pl.col("version"), _LAST_REWRITING),
        )
    )


def _sized(calls: pl.DataFrame) -> pl.DataFrame:
    def floor(name: str) -> pl.Expr:
        each = {kind: counts.get(name, 0) for kind, counts in FLOORS.items()}
        return pl.col("kind").replace_strict(each, return_dtype=pl.Int64) * pl.col("calls")

    rewrites = pl.col("is_rewriting").fill_null(value=False)
    return calls.with_columns(
        input_tokens=floor("input_tokens"),
        output_tokens=floor("output_tokens"),
        cache_read_tokens=pl.when(~rewrites).then("context").otherwise(0),
        cache_write_5m_tokens=pl.when(rewrites).then("context").otherwise(0),
        cache_write_1h_tokens=pl.lit(0, pl.Int64),
        web_searches=pl.when(pl.col("kind") == "web_search").then("calls").otherwise(0),
    ).with_columns(total_tokens=pl.sum_horizontal(_COUNTS))


def _priced(calls: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    plain: dict[str, Any] = dict.fromkeys(("speed", "inference_geo", "service_tier"))
    asked = calls.with_columns(
        pl.lit(value, pl.String).alias(name) for name, value in plain.items()
    )
    return price(asked, evidence.ledger.card).select(
        *("kind", "session_id", "path", "line", "time", "calls", "model"),
        *_COUNTS,
        "total_tokens",
        "web_searches",
        pl.col("cost_usd").cast(USD),
    )
