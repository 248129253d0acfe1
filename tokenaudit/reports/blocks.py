"""Usage by block, the five-hour windows that plans count: past ones, gaps, and the pace of this one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import Ledger
from tokenaudit.limits import Limit
from tokenaudit.model import blocks as cuts
from tokenaudit.model.terms import Usage
from tokenaudit.pricing.cost import USD
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import CUTS, Dimension, select
from tokenaudit.reports.usage import assemble, table

__all__ = ["RECENT_DAYS", "Pace", "active_pace", "blocks", "with_blocks"]

RECENT_DAYS: Final = 3

_LENGTH: Final = timedelta(hours=cuts.HOURS)
_HOUR_S: Final = 3600
_HOUR_US: Final = _HOUR_S * 10**6
_TIME: Final = pl.Datetime("us", "UTC")
_BLOCK: Final = Dimension("block", Unit.TIME, "Block from")
_END: Final = Column("block_end", Unit.TIME, "Until", essential=False)
_STATE: Final = Column("state", Unit.TEXT, "State")


class Pace(Struct, frozen=True):
    """A block that is still open: what was used in it, how fast, and what that comes to."""

    start: datetime
    end: datetime
    usage: Usage
    elapsed_s: int
    """Since its first response, not since the full hour at which it is counted from."""
    remaining_s: int

    @property
    def tokens_per_minute(self) -> int:
        """Tokens of all classes."""
        return cuts.per(self.usage.total_tokens, self.elapsed_s, 60)

    @property
    def cost_usd_per_hour(self) -> Decimal | None:
        """Of the priced responses; None when none is priced."""
        return _as_money(_picodollars(self.usage), cuts.per, self.elapsed_s, _HOUR_S)

    @property
    def projected_tokens(self) -> int:
        """Tokens at the end of the block."""
        return cuts.projected(self.usage.total_tokens, self.elapsed_s, self.remaining_s)

    @property
    def projected_cost_usd(self) -> Decimal | None:
        """Cost at the end of the block; None when none of it is priced."""
        return _as_money(_picodollars(self.usage), cuts.projected, self.elapsed_s, self.remaining_s)


def _picodollars(usage: Usage) -> int | None:
    return None if usage.cost_usd is None else int(usage.cost_usd.scaleb(12))


def _as_money(amount: int | None, reckon: Callable[..., int], *seconds: int) -> Decimal | None:
    return None if amount is None else Decimal(reckon(amount, *seconds)).scaleb(-12)


def with_blocks(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a ledger's whole *frame* with `block`, the start of each response's block, in UTC.

    Blocks are those of the account: cut before any filter, so that none can move them. Null where
    the response has no usable time.
    """
    hour = pl.col("time").dt.timestamp("us").floordiv(_HOUR_US)
    hours = frame.select(hour.unique().drop_nulls()).to_series().to_list()
    starts = pl.Series(cuts.starts(hours), dtype=pl.Int64)
    if starts.is_empty():
        return frame.with_columns(block=pl.lit(None, _TIME))
    at = pl.lit(starts).search_sorted(hour.fill_null(starts[0]), side="right") - 1
    start = (pl.lit(starts).gather(at) * _HOUR_US).cast(_TIME)
    return frame.with_columns(block=pl.when(pl.col("time").is_not_null()).then(start))


def active_pace(frame: pl.DataFrame, now: datetime) -> Pace | None:
    """Return the pace of the block that is open at *now*; None if none is.

    *frame* has a column `block`, and may be filtered: the pace is then that of what is left.
    """
    rows = frame.filter((pl.col("block") <= now) & (pl.col("block") + _LENGTH > now))
    rows = rows.filter(pl.col("time") <= now)
    usage = ledgers.totals(rows)
    if usage.first_time is None:
        return None
    start: datetime = rows["block"].item(0)  # blocks do not overlap: all rows have this one
    end = start + _LENGTH
    return Pace(
        start=start,
        end=end,
        usage=usage,
        elapsed_s=_seconds(now - usage.first_time),
        remaining_s=_seconds(end - now),
    )


def _is_open(pace: Pace | None) -> pl.Expr:
    return pl.lit(value=False) if pace is None else pl.col("block") == pace.start


def _seconds(span: timedelta) -> int:
    return span // timedelta(seconds=1)


def blocks(
    ledger: Ledger,
    request: Request,
    limits: Sequence[Limit] = (),
    *,
    only_active: bool = False,
    only_recent: bool = False,
) -> Report:
    """Return the usage by block, the latest last, with gaps between; the pace of the open one below.

    *limits* are official ones, shown apart. *only_active* keeps the open block, *only_recent* those
    of the last days. Rows add up to the totals; gaps hold nothing.
    """
    now = request.now
    rows = select(with_blocks(ledger.frame), request.selection).drop(CUTS).collect()
    pace = active_pace(rows, now)
    if only_active:
        rows = rows.filter(_is_open(pace))
    elif only_recent:
        rows = rows.filter(pl.col("block") + _LENGTH > now - timedelta(days=RECENT_DAYS))
    sections = [_usage(rows, request.shape, pace)]
    if pace is not None:
        sections.append(_pace(pace, request.shape))
    if limits:
        sections.append(_limits(limits, now))
    report = assemble(ledger, request, rows, tuple(sections), title="Usage by block of 5 hours")
    return replace(report, notes=(*_basis(limits, pace), *report.notes))


def _basis(limits: Sequence[Limit], pace: Pace | None) -> Iterator[str]:
    if pace is None:
        yield "No block is open now."
    ours = "Blocks are our reckoning: 5 hours from the full UTC hour of the first response after the last."
    if limits:
        yield f"{ours} Official limits are what Claude Code last told the status line."
    else:
        yield f"{ours} Official limits are not known: tokenaudit statusline records them."


def _usage(rows: pl.DataFrame, shape: Layout, pace: Pace | None) -> Section:
    spans = (
        rows.group_by("block")
        .agg(first=pl.col("time").min(), last=pl.col("time").max())
        .with_columns(block_end=(pl.col("block") + _LENGTH).cast(_TIME))
        .with_columns(
            state=pl.when(_is_open(pace))
            .then(pl.lit("active"))
            .when(pl.col("block").is_not_null())
            .then(pl.lit("closed"))
        )
    )
    section = table(
        rows,
        [_BLOCK],
        shape,
        name="blocks",
        title="Usage by block of 5 hours",
        facts=spans,
        fact_columns=(_END, _STATE),
    )
    if shape.limit is not None or shape.sort is not None:  # between such rows there are no gaps
        return section
    return replace(section, rows=_with_gaps(section.rows, spans, descending=bool(shape.descending)))


def _with_gaps(rows: pl.DataFrame, spans: pl.DataFrame, *, descending: bool) -> pl.DataFrame:
    """Put a row that holds nothing between blocks with a gap between them."""
    hours = [(pl.col(name).dt.timestamp("us") / _HOUR_US) for name in ("first", "last")]
    start = pl.col("block").dt.timestamp("us").floordiv(_HOUR_US)
    known = spans.drop_nulls("block").sort("block").select(start, *hours)
    found = list(cuts.gaps(known.iter_rows()))
    if not found:
        return rows
    moments = [tuple(datetime.fromtimestamp(hour * _HOUR_S, UTC) for hour in gap) for gap in found]
    gaps = pl.DataFrame(
        {"block": [gap[0] for gap in moments], "block_end": [gap[1] for gap in moments]},
        {"block": _TIME, "block_end": _TIME},
    ).with_columns(state=pl.lit("gap"))
    figures = [name for name in rows.columns if name not in gaps.columns]
    empty = gaps.with_columns(pl.lit(0).cast(rows.schema[name]).alias(name) for name in figures)
    both = pl.concat([rows, empty.select(rows.columns)])
    return both.sort("block", descending=descending, nulls_last=True)


_PACE: Final = (
    Column("block", Unit.TIME, "Block from"),
    Column("block_end", Unit.TIME, "Until"),
    Column("elapsed_s", Unit.DURATION, "Active for", essential=False),
    Column("remaining_s", Unit.DURATION, "Left"),
    Column("tokens_per_minute", Unit.TOKENS, "Tokens per minute"),
    Column("projected_tokens", Unit.TOKENS, "Tokens at its end"),
)
_PACE_COST: Final = (
    Column("cost_usd_per_hour", Unit.USD, "Cost per hour", bound=Bound.LEAST),
    Column("projected_cost_usd", Unit.USD, "Cost at its end", bound=Bound.LEAST),
    Column("unpriced_responses", Unit.COUNT, "Unpriced", essential=False, quiet=True),
)


def _pace(pace: Pace, shape: Layout) -> Section:
    columns = (*_PACE, *(_PACE_COST if shape.with_cost else ()))
    types: Mapping[str, Any] = {
        "block": _TIME,
        "block_end": _TIME,
        "elapsed_s": pl.Int64,
        "remaining_s": pl.Int64,
        "tokens_per_minute": pl.Int64,
        "projected_tokens": pl.Int64,
        "cost_usd_per_hour": USD,
        "projected_cost_usd": USD,
        "unpriced_responses": pl.Int64,
    }
    row = [getattr(pace, name) for name in list(types)[2:-1]]
    unpriced = pace.usage.unpriced_responses
    frame = pl.DataFrame([(pace.start, pace.end, *row, unpriced)], schema=types, orient="row")
    return Section(
        "pace",
        "The block that is open, at its pace so far",
        columns,
        frame.select(column.name for column in columns),
    )


_LIMITS: Final = (
    Column("limit", Unit.TEXT, "Limit"),
    Column("used_percent", Unit.PERCENT, "Used", bound=Bound.LEAST),
    Column("resets_at", Unit.TIME, "Resets"),
    Column("recorded_at", Unit.TIME, "Told at"),
    Column("state", Unit.TEXT, "State"),
)


def _limits(limits: Sequence[Limit], now: datetime) -> Section:
    """Return the official limits; one that has been reset since it was told says so."""
    rows = []
    for limit in limits:
        resets = _moment(limit.resets_at)
        state = "reset since" if resets and resets <= now else "in force"
        told = _moment(limit.recorded_at)
        rows.append((limit.name, limit.used_percent, resets, told, state))
    schema: Mapping[str, Any] = {
        "limit": pl.String,
        "used_percent": pl.Float64,
        "resets_at": _TIME,
        "recorded_at": _TIME,
        "state": pl.String,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return Section("limits", "Official limits, as Claude Code told them", _LIMITS, frame)


def _moment(seconds: int | None) -> datetime | None:
    """Return the moment that lies *seconds* after 1970; None where the calendar has none."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
