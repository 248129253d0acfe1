"""Why one period cost more than another: the difference as effects that sum to it, and the sessions behind.

The formulas, and their order, stand in `reports.effects`.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.analysis.cache_rebuilds import write_costs
from tokenaudit.analysis.effects import Effect, Effects, Spent, effects_of
from tokenaudit.ledger.frame import Ledger, measures
from tokenaudit.model.units import format_cost
from tokenaudit.pricing.cost import USD
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import assemble

__all__ = ["ComparedPeriod", "diff"]

_MOST_SHOWN: Final = 10
_GROUP: Final = ("model", "speed")
_COSTS: Final = {
    "input": "cost_input_usd",
    "output": "cost_output_usd",
    "cache_read": "cost_cache_read_usd",
    "cache_write_5m": "write_5m_usd",
    "cache_write_1h": "write_1h_usd",
}
_MEANINGS: Final = {
    Effect.VOLUME: "more or fewer responses",
    Effect.MODEL_MIX: "other models and speeds",
    Effect.CONTEXT_SIZE: "longer or shorter prompts",
    Effect.REPLY_LENGTH: "longer or shorter replies",
    Effect.WEB_SEARCHES: "more or fewer web searches",
    Effect.CACHE: "other shares of prompts read from the cache, written, sent anew",
    Effect.PRICE: "other prices of the same tokens",
}
_LABELS: Final = {
    Effect.VOLUME: "Volume",
    Effect.MODEL_MIX: "Model mix",
    Effect.CONTEXT_SIZE: "Context size",
    Effect.REPLY_LENGTH: "Reply length",
    Effect.WEB_SEARCHES: "Web searches",
    Effect.CACHE: "Cache",
    Effect.PRICE: "Price",
}
_EFFECTS: Final = tuple(
    Column(f"{effect}_usd", Unit.USD, _LABELS[effect], quiet=True) for effect in Effect
)
_CHANGE: Final = Column("change_usd", Unit.USD, "Change")


class ComparedPeriod(Struct, frozen=True):
    """Days from the first to the last, both included, and what the user calls them."""

    name: str
    since: date
    until: date


def diff(ledger: Ledger, request: Request, first: ComparedPeriod, second: ComparedPeriod) -> Report:
    """Return why *second* cost more or less than *first*, of the responses that *request* selects.

    Sections: the effects, which sum exactly to the difference; the two periods in figures; the models
    and the sessions behind, each with its part of every effect. Unpriced responses have no part in it.
    """
    before, after = (_rows(ledger, request, period) for period in (first, second))
    effects = effects_of(_spent(ledger, before), _spent(ledger, after))
    titles = ledger.sessions.select("session_id", "title")
    session = Column("session_id", Unit.ID, "Session")
    sessions = _parts(effects, "session_id")
    models = _parts(effects, "model")
    limit = request.shape.limit or _MOST_SHOWN
    words = _words(effects.difference, first, second)
    sections = (
        _effects(effects, sessions, words),
        _periods((first, before), (second, after)),
        _table(models, "models", "Models behind it", (Column("model", Unit.TEXT, "Model"),), limit),
        _table(
            sessions.join(titles, on="session_id", how="left", nulls_equal=True),
            "sessions",
            "Sessions behind it",
            (session, Column("title", Unit.TEXT, "Title", essential=False)),
            limit,
        ),
    )
    both = pl.concat([before, after]).unique(
        ["response_id", "request_id", "source_path", "source_line"], maintain_order=True
    )
    return assemble(ledger, request, both, sections, title=words)


def _words(difference: Decimal, first: ComparedPeriod, second: ComparedPeriod) -> str:
    if not difference:
        return f"{second.name} cost the same as {first.name}"
    more = "more" if difference > 0 else "less"
    return f"Why {second.name} cost {format_cost(abs(difference))} {more} than {first.name}"


def _rows(ledger: Ledger, request: Request, period: ComparedPeriod) -> pl.DataFrame:
    selection = replace(request.selection, since=period.since, until=period.until)
    return select(ledger.frame, selection).collect()


def _spent(ledger: Ledger, rows: pl.DataFrame) -> list[Spent]:
    """Sum the priced *rows* by session, model and speed."""
    priced = write_costs(rows.filter(pl.col("cost_usd").is_not_null()), ledger.card)
    sums = priced.group_by("session_id", *_GROUP).agg(
        pl.len().alias("responses"),
        *(pl.col(f"{name}_tokens").cast(pl.Int128).sum() for name in _COSTS),
        *(pl.col(name).sum() for name in (*_COSTS.values(), "cost_web_search_usd")),
    )
    return [
        Spent(
            session_id=row["session_id"],
            group=tuple(row[name] for name in _GROUP),
            responses=row["responses"],
            tokens={name: row[f"{name}_tokens"] for name in _COSTS},
            costs={name: row[cost] for name, cost in _COSTS.items()},
            searches=row["cost_web_search_usd"],
        )
        for row in sums.sort("session_id", *_GROUP, nulls_last=True).iter_rows(named=True)
    ]


# the sections


def _parts(effects: Effects, key: str) -> pl.DataFrame:
    """Sum the parts of the effects by session or model, the largest change first."""
    of: list[dict[str, Any]] = [
        {
            key: spent.session_id if key == "session_id" else spent.group[0],
            **{f"{effect}_usd": part for effect, part in parts.items()},
        }
        for spent, parts in effects.parts
    ]
    names = [column.name for column in _EFFECTS]
    schema: dict[str, Any] = {key: pl.String, **dict.fromkeys(names, USD)}
    return (
        pl.DataFrame(of, schema=schema)
        .group_by(key)
        .agg(pl.col(names).sum())
        .with_columns(change_usd=pl.sum_horizontal(names))
        .sort(pl.col("change_usd").abs(), key, descending=[True, False], nulls_last=True)
    )


def _effects(effects: Effects, sessions: pl.DataFrame, title: str) -> Section:
    columns = (
        Column("effect", Unit.TEXT, "Effect"),
        _CHANGE,
        Column("session_id", Unit.ID, "Most from"),
        Column("session_change_usd", Unit.USD, "of which"),
        Column("meaning", Unit.TEXT, "What changed", essential=False),
    )
    rows = [
        (effect.value, effects.totals[effect], *_largest(sessions, effect, total), meaning)
        for effect, meaning in _MEANINGS.items()
        if (total := effects.totals[effect]) or effect is not Effect.WEB_SEARCHES
    ]
    schema: dict[str, Any] = dict.fromkeys((column.name for column in columns), pl.String)
    schema |= {"change_usd": USD, "session_change_usd": USD}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return Section("effects", title, columns, frame, totals={"change_usd": effects.difference})


def _largest(
    sessions: pl.DataFrame, effect: Effect, total: Decimal
) -> tuple[str | None, Decimal | None]:
    """Return the session that moved the cost most in the direction of the *total* of *effect*."""
    name = f"{effect}_usd"
    if sessions.is_empty() or not total:
        return None, None
    row = sessions.sort(name, "session_id", descending=[total > 0, False]).row(0, named=True)
    return row["session_id"], row[name]


def _periods(*periods: tuple[ComparedPeriod, pl.DataFrame]) -> Section:
    columns = (
        Column("period", Unit.TEXT, "Period"),
        Column("since", Unit.DATE, "From", essential=False),
        Column("until", Unit.DATE, "To", essential=False),
        Column("sessions", Unit.COUNT, "Sessions", essential=False),
        Column("responses", Unit.COUNT, "Resp."),
        Column("prompt_per_response", Unit.TOKENS, "Prompt each"),
        Column("output_per_response", Unit.TOKENS, "Output each"),
        Column("hit_percent", Unit.PERCENT, "Hit rate"),
        Column("total_tokens", Unit.TOKENS, "Total"),
        Column("cost_usd", Unit.USD, "Cost", bound=Bound.LEAST),
        Column("unpriced_responses", Unit.COUNT, "Unpriced", essential=False, quiet=True),
    )
    prompt = pl.col("prompt_tokens").cast(pl.Int128).sum()
    read = pl.col("cache_read_tokens").cast(pl.Float64).sum() / prompt.cast(pl.Float64)
    count = pl.max_horizontal(pl.len(), pl.lit(1))
    frames = [
        rows.select(
            *measures(),
            period=pl.lit(period.name),
            since=pl.lit(period.since),
            until=pl.lit(period.until),
            sessions=pl.col("session_id").n_unique().cast(pl.Int64),
            prompt_per_response=prompt // count,
            output_per_response=pl.col("output_tokens").cast(pl.Int128).sum() // count,
            hit_percent=pl.when(prompt > 0).then((100 * read).round(4)),
        )
        for period, rows in periods
    ]
    frame = pl.concat(frames).select(column.name for column in columns)
    return Section("periods", "The two periods", columns, frame)


def _table(
    frame: pl.DataFrame, name: str, title: str, keys: Sequence[Column], limit: int
) -> Section:
    columns = (*keys, *_EFFECTS, _CHANGE)
    shown = frame.head(limit)
    return Section(
        name,
        title,
        columns,
        shown.select(column.name for column in columns),
        totals=frame.select(pl.col(each.name).sum() for each in (*_EFFECTS, _CHANGE)).row(
            0, named=True
        ),
        cut_rows=frame.height - shown.height,
    )
