"""Claims of ccusage, from any of its reports as JSON."""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tokenaudit.audit.reconcile.claims.claim import (
    Claim,
    ClaimCounts,
    ClaimError,
    ClaimKind,
    ClaimLine,
    count,
    money,
    summed,
)

__all__ = ["ccusage"]

Value = Mapping[str, Any]
_REPORTS: Final = ("daily", "weekly", "monthly", "session", "sessions", "blocks")


def ccusage(value: Value, source: str) -> Claim | None:
    """Read a report of ccusage; None where *value* is none.

    Raises ClaimError for one whose rows are not understood.
    """
    found = _report(value)
    if found is None:
        return None
    name, rows = found
    if not all("totalCost" in row or "costUSD" in row for row in rows):
        raise ClaimError(
            f"{source}: looks like ccusage {name} --json, but its rows have no totalCost"
        )
    lines = summed(line for row in rows for line in _lines(row, source))
    nothing = (ClaimLine(None, ClaimCounts(), Decimal(0)),)
    costs = [money(row.get("totalCost", row.get("costUSD")), source) for row in rows]
    spans = [span for row in rows for span in _spans(name, row)]
    times = [time for row in rows for time in _times(name, row)]
    return Claim(
        ClaimKind.CCUSAGE,
        source,
        lines or nothing,
        cost_usd=sum((each for each in costs if each is not None), Decimal(0)),
        sessions=frozenset(_sessions(name, rows)),
        since=min((first for first, _ in spans), default=None),
        until=max((last for _, last in spans), default=None),
        first_time=min(times, default=None),
        last_time=max(times, default=None),
    )


def _report(value: Value) -> tuple[str, list[Value]] | None:
    """Return the name of the report and its rows; None where it is none of ccusage's."""
    by_project = value.get("projects")
    if isinstance(by_project, Mapping) and "totals" in value:
        lists = [each for each in by_project.values() if isinstance(each, list)]
        return "daily", _rows(row for each in lists for row in each)
    name = next((each for each in _REPORTS if isinstance(value.get(each), list)), None)
    if name is None or ("totals" not in value and name != "blocks"):
        return None
    return name, _rows(value[name])


def _rows(values: Any) -> list[Value]:
    return [row for row in values if isinstance(row, Mapping) and not row.get("isGap")]


def _lines(row: Value, source: str) -> list[ClaimLine]:
    parts = row.get("modelBreakdowns")
    if isinstance(parts, list) and parts:
        if not all(isinstance(part, Mapping) for part in parts):
            raise ClaimError(f"{source}: ccusage: modelBreakdowns: is no list of objects")
        return [_line(part, part.get("modelName"), source) for part in parts]
    return [_line(row, None, source)]


def _line(row: Value, model: Any, source: str) -> ClaimLine:
    inner = row.get("tokenCounts")
    counts = inner if isinstance(inner, Mapping) else row
    return ClaimLine(
        None if model is None else _model(str(model)),
        ClaimCounts(
            count(counts, "inputTokens", source),
            count(counts, "outputTokens", source),
            count(counts, "cacheReadTokens", source)
            + count(counts, "cacheReadInputTokens", source),
            count(counts, "cacheCreationTokens", source)
            + count(counts, "cacheCreationInputTokens", source),
        ),
        money(row.get("cost", row.get("totalCost", row.get("costUSD"))), source),
    )


def _model(name: str) -> str:
    """Return the model without the speed, which ccusage puts behind it."""
    return name.removesuffix("-fast") if name.startswith("claude-") else name


# the scope


def _spans(name: str, row: Value) -> Iterator[tuple[date, date]]:
    """Yield the first and the last day of a row, where it is about days, a week or a month."""
    said = (row.get(each) for each in ("period", "date", "week", "month"))
    text = next((str(each) for each in said if each is not None), "")
    try:
        if name == "monthly":
            first = date.fromisoformat(f"{text[:7]}-01")
            yield first, first.replace(day=monthrange(first.year, first.month)[1])
        elif name in {"daily", "weekly"}:
            first = date.fromisoformat(text)
            yield first, first + timedelta(days=6 if name == "weekly" else 0)
    except (ValueError, OverflowError):
        return


def _times(name: str, row: Value) -> Iterator[datetime]:
    """Yield when a block begins and ends."""
    if name == "blocks":
        for each in ("startTime", "endTime"):
            try:
                time = datetime.fromisoformat(str(row.get(each)))
            except ValueError:
                continue
            if time.tzinfo is not None:
                yield time


def _sessions(name: str, rows: list[Value]) -> Iterator[str]:
    if name in {"session", "sessions"}:
        for row in rows:
            found = row.get("sessionId", row.get("period"))
            if isinstance(found, str):
                yield found
