"""How well prompt caching worked: what it saved, what was built again and why, which time to live paid.

What a rebuild is, and how its cost and its cause are told, stands in `analysis.cache_rebuilds`.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from tokenaudit.analysis.cache_rebuilds import FIVE_MINUTES_S, HOUR_S, RebuildCause, studied
from tokenaudit.ledger.frame import Ledger
from tokenaudit.reports.report import Column, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import assemble

__all__ = ["cache"]

_MOST_SHOWN: Final = 10

_WHY: Final = {
    RebuildCause.NEW_SESSION: "a new session found nothing of the last one cached",
    RebuildCause.COMPACTION: "the context was compacted, or old results cleared",
    RebuildCause.MODEL_SWITCH: "another model or speed, which has a cache of its own",
    RebuildCause.IDLE: "a break longer than the cache lives",
    RebuildCause.TOOLS_OR_SYSTEM: "tools, system prompt or version changed, in front of all messages",
    RebuildCause.UNKNOWN: "messages changed, or the cache was gone early",
}
_MEASURES: Final = (
    Column("responses", Unit.COUNT, "Resp."),
    Column("prompt_tokens", Unit.TOKENS, "Prompt", essential=False),
    Column("cache_read_tokens", Unit.TOKENS, "Cache read"),
    Column("cache_write_5m_tokens", Unit.TOKENS, "Write 5m"),
    Column("cache_write_1h_tokens", Unit.TOKENS, "Write 1h"),
    Column("hit_percent", Unit.PERCENT, "Hit rate"),
    Column("saved_usd", Unit.USD, "Saved"),
    Column("rebuilds", Unit.COUNT, "Rebuilds"),
    Column("rebuilt_tokens", Unit.TOKENS, "Rebuilt", essential=False),
    Column("rebuild_usd", Unit.USD, "Extra cost"),
)
_TOKENS: Final = (
    "prompt_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)


def cache(ledger: Ledger, request: Request) -> Report:
    """Return how caching worked for the responses that *request* selects.

    Sections: by model, with the totals of all; the causes of rebuilds; five-minute against one-hour
    writes; the sessions and the agents where rebuilds cost most; and the costliest rebuilds, one by
    one. What stands before a response is found before filters apply.
    """
    rows = select(studied(ledger), request.selection).collect()
    limit = request.shape.limit or _MOST_SHOWN
    titles = ledger.sessions.select("session_id", "title")
    types = ledger.agents.select("session_id", "agent_id", "agent_type")
    session, agent = Column("session_id", Unit.ID, "Session"), Column("agent_id", Unit.ID, "Agent")
    sections = (
        _by(rows, (Column("model", Unit.TEXT, "Model"),), "cache", "Prompt caching"),
        _causes(rows),
        _lives(rows),
        _by(
            *(rows, (session,), "sessions", "Sessions, the costliest rebuilds first"),
            facts=titles,
            more=(Column("title", Unit.TEXT, "Title", essential=False),),
            limit=limit,
        ),
        _by(
            *(rows, (session, agent), "agents", "Agents, the costliest rebuilds first"),
            facts=types,
            more=(Column("agent_type", Unit.TEXT, "Type", essential=False),),
            limit=limit,
        ),
        _rebuilds(rows, limit),
    )
    return assemble(ledger, request, rows, sections, title="Prompt caching")


def _sums() -> list[pl.Expr]:
    return [
        pl.len().cast(pl.Int64).alias("responses"),
        *(pl.col(name).cast(pl.Int128).sum() for name in _TOKENS),
        _money("saved_usd"),
        _is_rebuild().sum().cast(pl.Int64).alias("rebuilds"),
        pl.col("rebuilt_tokens").cast(pl.Int128).sum(),
        _money("rebuild_usd"),
    ]


def _is_rebuild() -> pl.Expr:
    return pl.col("cause").is_not_null()


def _money(name: str) -> pl.Expr:
    """Sum what is priced; null where nothing is."""
    column = pl.col(name)
    return pl.when((column.count() > 0) | (pl.len() == 0)).then(column.sum()).alias(name)


def _with_rate(sums: pl.DataFrame) -> pl.DataFrame:
    """Add the share of the prompts that was read from the cache; null where nothing was sent."""
    prompt = pl.col("prompt_tokens")
    share = pl.col("cache_read_tokens").cast(pl.Float64) / prompt.cast(pl.Float64)
    return sums.with_columns(hit_percent=pl.when(prompt > 0).then((100 * share).round(4)))


def _by(
    rows: pl.DataFrame,
    keys: Sequence[Column],
    name: str,
    title: str,
    *,
    facts: pl.DataFrame | None = None,
    more: Sequence[Column] = (),
    limit: int | None = None,
) -> Section:
    """Return the measures of *rows* by *keys*, where rebuilds cost most first."""
    by = [column.name for column in keys]
    grouped = _with_rate(rows.group_by(by).agg(_sums()))
    if facts is not None:
        grouped = grouped.join(facts, on=by, how="left", nulls_equal=True)
    order = ["rebuild_usd", "prompt_tokens", *by]
    falling = [True, True, *(False for _ in by)]
    ordered = grouped.sort(order, descending=falling, nulls_last=True)
    shown = ordered if limit is None else ordered.head(limit)
    columns = (*keys, *more, *_MEASURES)
    totals = _with_rate(rows.select(_sums())).row(0, named=True)
    return Section(
        name,
        title,
        columns,
        shown.select(column.name for column in columns),
        totals={column.name: totals[column.name] for column in _MEASURES},
        cut_rows=ordered.height - shown.height,
    )


def _causes(rows: pl.DataFrame) -> Section:
    columns = (
        Column("cause", Unit.TEXT, "Likely cause"),
        Column("rebuilds", Unit.COUNT, "Rebuilds"),
        Column("rebuilt_tokens", Unit.TOKENS, "Rebuilt"),
        Column("rebuild_usd", Unit.USD, "Extra cost"),
        Column("meaning", Unit.TEXT, "What happened", essential=False),
    )
    sums = [each for each in _sums() if each.meta.output_name() in {c.name for c in columns}]
    found = rows.filter(_is_rebuild())
    meanings = {cause.value: meaning for cause, meaning in _WHY.items()}
    frame = (
        found.group_by("cause")
        .agg(sums)
        .sort("rebuild_usd", "cause", descending=[True, False], nulls_last=True)
        .with_columns(meaning=pl.col("cause").replace_strict(meanings, return_dtype=pl.String))
    )
    return Section(
        "causes",
        "Why caches were built again",
        columns,
        frame.select(column.name for column in columns),
        totals=found.select(sums).row(0, named=True),
    )


def _lives(rows: pl.DataFrame) -> Section:
    """Return five-minute against one-hour writes: each with what the other would have changed.

    One-hour writes cost more and outlive breaks of five to sixty minutes; the other way round, writes
    for five minutes are built again after such a break.
    """
    columns = (
        Column("ttl", Unit.TEXT, "Cache lives"),
        Column("written_tokens", Unit.TOKENS, "Written"),
        Column("write_usd", Unit.USD, "Cost"),
        Column("breaks", Unit.COUNT, "Breaks of 5-60 min"),
        Column("over_breaks_tokens", Unit.TOKENS, "Kept or rebuilt"),
        Column("other_ttl_usd", Unit.USD, "Other TTL would add"),
    )
    gap = pl.col("gap_s")
    is_break = ((gap > FIVE_MINUTES_S) & (gap <= HOUR_S)).fill_null(value=False)
    short, long = (pl.col("ttl_s") == seconds for seconds in (FIVE_MINUTES_S, HOUR_S))
    is_idle = (pl.col("cause") == RebuildCause.IDLE).fill_null(value=False)
    is_kept, is_lost = is_break & long & ~_is_rebuild(), is_break & short & is_idle
    frame = pl.concat(
        [
            rows.select(
                ttl=pl.lit("5 minutes"),
                written_tokens=pl.col("cache_write_5m_tokens").cast(pl.Int128).sum(),
                write_usd=_money("write_5m_usd"),
                breaks=is_lost.sum().cast(pl.Int64),
                over_breaks_tokens=_sum_of("rebuilt_tokens", is_lost).cast(pl.Int128),
                other_ttl_usd=_money("premium_5m_usd") - _sum_of("rebuild_usd", is_lost),
            ),
            rows.select(
                ttl=pl.lit("1 hour"),
                written_tokens=pl.col("cache_write_1h_tokens").cast(pl.Int128).sum(),
                write_usd=_money("write_1h_usd"),
                breaks=is_kept.sum().cast(pl.Int64),
                over_breaks_tokens=_sum_of("cache_read_tokens", is_kept).cast(pl.Int128),
                other_ttl_usd=_sum_of("reread_usd", is_kept) - _money("premium_1h_usd"),
            ),
        ]
    )
    return Section(
        "ttl",
        "Five minutes against one hour",
        columns,
        frame.select(column.name for column in columns),
    )


def _sum_of(name: str, condition: pl.Expr) -> pl.Expr:
    return pl.col(name).filter(condition.fill_null(value=False)).sum()


def _rebuilds(rows: pl.DataFrame, limit: int) -> Section:
    columns = (
        Column("time", Unit.TIME, "Time"),
        Column("session_id", Unit.ID, "Session"),
        Column("agent_id", Unit.ID, "Agent", essential=False),
        Column("cause", Unit.TEXT, "Likely cause"),
        Column("gap_s", Unit.DURATION, "Break"),
        Column("cached_tokens", Unit.TOKENS, "Was cached", essential=False),
        Column("cache_read_tokens", Unit.TOKENS, "Read"),
        Column("rebuilt_tokens", Unit.TOKENS, "Rebuilt"),
        Column("rebuild_usd", Unit.USD, "Extra cost"),
        Column("model", Unit.TEXT, "Model", essential=False),
        Column("response_id", Unit.TEXT, "Response", essential=False),
    )
    found = rows.filter(_is_rebuild()).sort(
        "rebuild_usd", "time", "response_id", descending=[True, False, False], nulls_last=True
    )
    totals: dict[str, Any] = found.select(
        pl.col("rebuilt_tokens").cast(pl.Int128).sum(), _money("rebuild_usd")
    ).row(0, named=True)
    shown = found.head(limit)
    return Section(
        "rebuilds",
        "The costliest rebuilds",
        columns,
        shown.select(column.name for column in columns),
        totals=totals,
        cut_rows=found.height - shown.height,
    )
