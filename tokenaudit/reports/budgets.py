"""How much of each budget is used, and what a day or month comes to at the pace so far."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from msgspec.structs import replace

from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.budgets import Budget, Period
from tokenaudit.pricing.cost import USD
from tokenaudit.reports.blocks import active_pace, with_blocks
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import Selection, period_start, select
from tokenaudit.reports.usage import assemble

__all__ = ["forecast", "standing"]

_NEAR_PERCENT: Final = 80
_PAST_DAYS: Final = 28
_LEAST_DAYS: Final = 7
_PICO: Final = 10**12
_TIME: Final = pl.Datetime("us", "UTC")

_BUDGETS: Final = (
    Column("budget", Unit.TEXT, "Budget"),
    Column("project", Unit.TEXT, "Project", quiet=True),
    Column("since", Unit.TIME, "Since", essential=False),
    Column("amount_usd", Unit.USD, "Amount"),
    Column("cost_usd", Unit.USD, "Used", bound=Bound.LEAST),
    Column("used_percent", Unit.PERCENT, "Share", bound=Bound.LEAST),
    Column("left_usd", Unit.USD, "Left", bound=Bound.MOST),
    Column("unpriced_responses", Unit.COUNT, "Unpriced", essential=False, quiet=True),
    Column("state", Unit.TEXT, "State"),
)


def standing(ledger: Ledger, request: Request) -> Section | None:
    """Return how much of each budget of *request* is used at its `now`; None without budgets.

    Budgets are those of everything that was read: no filter but their own project narrows them. The
    session is the one that was active last.
    """
    if not request.budgets:
        return None
    rows = [_row(ledger, request, budget) for budget in request.budgets]
    schema: Mapping[str, Any] = {
        "budget": pl.String,
        "project": pl.String,
        "since": _TIME,
        "amount_usd": USD,
        "cost_usd": USD,
        "used_percent": pl.Float64,
        "left_usd": USD,
        "unpriced_responses": pl.Int64,
        "state": pl.String,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return Section("budgets", "Budgets", _BUDGETS, frame)


def _row(ledger: Ledger, request: Request, budget: Budget) -> tuple[Any, ...]:
    rows, since = _rows_of(ledger, request, budget)
    used = Decimal(rows["cost_usd"].sum() or 0)
    percent = float(100 * used / budget.amount_usd)
    state = "over" if used > budget.amount_usd else "within"
    if state == "within" and percent >= _NEAR_PERCENT:
        state = "near"
    return (
        f"{budget.amount_usd:f}/{budget.period}",
        budget.project,
        since,
        budget.amount_usd,
        used,
        percent,
        budget.amount_usd - used,
        rows["cost_usd"].null_count(),
        state,
    )


def _rows_of(
    ledger: Ledger, request: Request, budget: Budget
) -> tuple[pl.DataFrame, datetime | None]:
    """Return the responses that a budget is about, and since when; no time where there are none."""
    mine, now = request.selection, request.now
    narrowed = Selection(
        timezone=mine.timezone,
        start_of_week=mine.start_of_week,
        projects=(budget.project,) if budget.project else (),
    )
    frame = with_blocks(ledger.frame).filter(pl.col("time") <= now)
    rows = select(frame, narrowed).collect()
    match budget.period:
        case Period.SESSION:
            last = rows.sort("time").tail(1)
            session = last["session_id"].to_list()
            rows = rows.filter(pl.col("session_id").is_in(session, nulls_equal=True))
            return rows, rows["time"].min()  # type: ignore[return-value]
        case Period.BLOCK:
            pace = active_pace(frame, now)
            start = pace.start if pace else None
            is_open = pl.lit(value=False) if start is None else pl.col("block") == start
            return rows.filter(is_open), start
        case Period.DAY | Period.WEEK | Period.MONTH:
            zone = ZoneInfo(mine.timezone)
            day = period_start(budget.period, now.astimezone(zone).date(), narrowed)
            return rows.filter(pl.col("day") >= day), _midnight(day, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


_FORECAST: Final = (
    Column("period", Unit.TEXT, "Period"),
    Column("until", Unit.TIME, "Until", essential=False),
    Column("elapsed_percent", Unit.PERCENT, "Elapsed"),
    Column("cost_usd", Unit.USD, "Used", bound=Bound.LEAST),
    Column("projected_cost_usd", Unit.USD, "At this pace", bound=Bound.LEAST),
    Column("low_cost_usd", Unit.USD, "Low", bound=Bound.LEAST),
    Column("high_cost_usd", Unit.USD, "High", bound=Bound.LEAST),
    Column("unpriced_responses", Unit.COUNT, "Unpriced", essential=False, quiet=True),
)
_BASIS: Final = (
    "Forecast: at this pace is what was used, over the time that has passed, times the whole period."
    f" Low and high add the lower and upper quartile of what the last {_PAST_DAYS} days used in the"
    " same rest of a day, or in whole days, and hold the pace; none with less than a week of history."
)


def forecast(ledger: Ledger, request: Request) -> Report:
    """Return what this day and this month will have cost at the pace so far, with a range.

    Rows overlap, so they have no total. Costs are those of the selected responses, filters included.
    """
    rows = select(ledger.frame, request.selection).filter(pl.col("time") <= request.now).collect()
    zone = ZoneInfo(request.selection.timezone)
    today = request.now.astimezone(zone).date()
    month = today.replace(day=1)
    following = (month + timedelta(days=32)).replace(day=1)
    past = _past(rows, today, request.now, zone)
    spans = [("today", today, today + timedelta(days=1)), ("this month", month, following)]
    found = [
        _forecast(rows, name, (_midnight(first, zone), _midnight(last, zone)), request.now, past)
        for name, first, last in spans
    ]
    schema: Mapping[str, Any] = {
        "period": pl.String,
        "until": _TIME,
        "elapsed_percent": pl.Float64,
        "cost_usd": USD,
        "projected_cost_usd": USD,
        "low_cost_usd": USD,
        "high_cost_usd": USD,
        "unpriced_responses": pl.Int64,
    }
    frame = pl.DataFrame(found, schema=schema, orient="row")
    section = Section("forecast", "Forecast", _FORECAST, frame, dimensions=("period",))
    report = assemble(ledger, request, rows, (section,), title="Forecast")
    return replace(report, notes=(_BASIS, *report.notes))


class _Past:
    """What past days used: whole ones, and after the time of day that it is now; in picodollars."""

    def __init__(self, whole: Sequence[int], rest: Sequence[int]) -> None:
        self.whole = sorted(whole)
        self.rest = sorted(rest)


def _past(rows: pl.DataFrame, today: date, now: datetime, zone: ZoneInfo) -> _Past | None:
    """Return the last days before *today*, those without usage too; None for a short history."""
    first = rows["day"].min()
    if not isinstance(first, date) or (today - first).days < _LEAST_DAYS:
        return None
    count = min((today - first).days, _PAST_DAYS)
    days = [today - timedelta(days=back) for back in range(1, count + 1)]
    clock = now.astimezone(zone).time()
    local = pl.col("time").dt.convert_time_zone(zone.key).dt.time()
    recent = rows.filter(pl.col("day").is_in(days)).with_columns(is_rest=local > clock)
    return _Past(_by_day(recent, days), _by_day(recent.filter("is_rest"), days))


def _by_day(rows: pl.DataFrame, days: Sequence[date]) -> list[int]:
    sums = dict(rows.group_by("day").agg(pl.col("cost_usd").sum()).iter_rows())
    return [_picodollars(sums.get(day)) for day in days]


def _picodollars(usd: Decimal | None) -> int:
    return 0 if usd is None else int(usd.scaleb(12))


def _usd(picodollars: int | None) -> Decimal | None:
    return None if picodollars is None else Decimal(picodollars).scaleb(-12)


def _forecast(
    rows: pl.DataFrame,
    name: str,
    span: tuple[datetime, datetime],
    now: datetime,
    past: _Past | None,
) -> tuple[Any, ...]:
    start, end = span
    within = rows.filter((pl.col("time") >= start) & (pl.col("time") < end))
    used = _picodollars(Decimal(within["cost_usd"].sum() or 0))
    whole_s, elapsed_s = ((moment - start) // timedelta(seconds=1) for moment in (end, now))
    projected = used * whole_s // max(elapsed_s, 60)
    low = high = None
    if past is not None:
        full_days = max((whole_s - elapsed_s) // 86400, 0)
        lower, upper = (
            used + _quantile(past.rest, quarter) + full_days * _quantile(past.whole, quarter)
            for quarter in (1, 3)
        )
        low, high = min(lower, projected), max(upper, projected)
    return (
        name,
        end,
        100 * elapsed_s / whole_s,
        _usd(used),
        _usd(projected),
        _usd(low),
        _usd(high),
        within["cost_usd"].null_count(),
    )


def _quantile(values: Sequence[int], quarter: int) -> int:
    """Return the quartile of sorted *values*: the one at that place, rounded down."""
    return values[quarter * (len(values) - 1) // 4]
