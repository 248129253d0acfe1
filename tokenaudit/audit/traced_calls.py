"""Calls that leave traces in transcripts but no usage: how many, and the least that they used.

What is said here is inferred from the shape of such calls, measured on sessions whose whole usage
Claude Code itself had stated; it is never added to the ledger.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from tokenaudit.analysis.vendor_pricing import is_foreign
from tokenaudit.analysis.versions import up_to
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.pricing.cost import USD, price
from tokenaudit.pricing.models import is_on_cloud
from tokenaudit.pricing.windows import facts_of
from tokenaudit.transcripts.agents import COMPACTING

__all__ = ["FLOORS", "unrecorded"]

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

_OF_SMALL_MODEL: Final = ("title", "web_fetch")
"""Asked of the small model; through a gateway, and for all else, it is the model at work."""
_SMALL_MODELS: Final = (
    (datetime(2026, 10, 7, tzinfo=UTC), "claude-haiku-5-5"),
    (datetime(2025, 10, 15, tzinfo=UTC), "claude-haiku-4-5"),
)
_FIRST_SMALL_MODEL: Final = "claude-3-5-haiku"
"""The small models that Claude Code asks on the side, by the day from which each is the newest."""
_HEADLESS: Final = "sdk"
"""How the entry point of `claude -p` and of the SDKs begins."""
_COMPACTION_PROMPT: Final = {True: 6_361, False: 6_912}
"""Characters of what asks for a summary: headless, and in a terminal."""
_CHARACTERS: Final = {"old": 6, "new": 4}
"""Characters of such a prompt to one token, at most, by tokenizer."""
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
    helped = evidence.facts.transcripts.filter(pl.col("agent_id").str.starts_with(COMPACTING))
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
    """Add the model that was asked, and how: by what was at work in the session just before each call.

    A call without a time was made when its session began.
    """
    main = evidence.rows.filter(pl.col("time").is_not_null() & (pl.col("agent_id") == "main"))
    began = main.group_by("session_id").agg(began=pl.col("time").min())
    names = ("session_id", "version", "entrypoint", "request_id")
    at_work = main.select(*names, asked="model", asked_at="time").sort("asked_at")
    models = at_work["asked"].drop_nulls().unique().to_list()
    return (
        calls.join(began, on="session_id", how="left")
        .with_columns(asked_at=pl.coalesce("time", "began"))
        .sort("asked_at", nulls_last=True)
        .join_asof(at_work, on="asked_at", by="session_id", check_sortedness=False)
        .with_columns(
            model=_model([each for each in models if is_foreign(each) or is_on_cloud(each)]),
            is_rewriting=up_to(pl.col("version"), _LAST_REWRITING),
            instruction=_instruction(models),
        )
    )


def _model(at_gateways: Sequence[str]) -> pl.Expr:
    """Return the model that was asked: the small one, or that at work, as for all through a gateway."""
    small = pl.lit(_FIRST_SMALL_MODEL)
    for day, name in reversed(_SMALL_MODELS):
        small = pl.when(pl.col("asked_at") >= day).then(pl.lit(name)).otherwise(small)
    is_at_gateway = pl.col("asked").is_in(list(at_gateways)) | pl.col("request_id").is_null()
    is_small = pl.col("kind").is_in(_OF_SMALL_MODEL) & (
        ~is_at_gateway | pl.col("asked").is_null()
    ).fill_null(value=True)
    return pl.when(is_small).then(small).otherwise("asked")


def _instruction(models: Sequence[str]) -> pl.Expr:
    """Return the least tokens of what asks for a summary, beside the context; 0 for other calls."""
    is_headless = pl.col("entrypoint").str.starts_with(_HEADLESS).fill_null(value=True)
    characters = (
        pl.when(is_headless).then(_COMPACTION_PROMPT[True]).otherwise(_COMPACTION_PROMPT[False])
    )
    each = {model: _CHARACTERS[facts.tokenizer] for model in models if (facts := facts_of(model))}
    to_one = pl.col("asked").replace_strict(
        each, default=max(_CHARACTERS.values()), return_dtype=pl.Int64
    )
    is_compaction = pl.col("kind") == "compaction"
    return pl.when(is_compaction).then(characters // to_one).otherwise(0)


def _sized(calls: pl.DataFrame) -> pl.DataFrame:
    def floor(name: str) -> pl.Expr:
        each = {kind: counts.get(name, 0) for kind, counts in FLOORS.items()}
        return pl.col("kind").replace_strict(each, return_dtype=pl.Int64) * pl.col("calls")

    rewrites = pl.col("is_rewriting").fill_null(value=False)
    # of a context that is written anew the instruction is a part
    instruction = pl.when(rewrites).then(0).otherwise("instruction")
    return calls.with_columns(
        input_tokens=floor("input_tokens") + instruction,
        output_tokens=floor("output_tokens"),
        cache_read_tokens=pl.when(~rewrites).then("context").otherwise(0),
        cache_write_5m_tokens=pl.when(rewrites).then("context").otherwise(0),
        cache_write_1h_tokens=pl.lit(0, pl.Int64),
        web_searches=pl.when(pl.col("kind") == "web_search").then("calls").otherwise(0),
    ).with_columns(total_tokens=pl.sum_horizontal(_COUNTS))


def _priced(calls: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    plain: dict[str, Any] = dict.fromkeys(("speed", "inference_geo", "service_tier"))
    asked = calls.with_columns(
        *(pl.lit(value, pl.String).alias(name) for name, value in plain.items()),
        told="time",
        time="asked_at",
    )
    return price(asked, evidence.ledger.card).select(
        *("kind", "session_id", "path", "line", pl.col("told").alias("time"), "calls", "model"),
        *_COUNTS,
        "total_tokens",
        "web_searches",
        pl.col("cost_usd").cast(USD),
    )
