"""Claims of ccusage, from any of its reports as JSON."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from tokenaudit.claims.claim import Claim, ClaimError, Counts, Line, Shape, count, money, summed

__all__ = ["ccusage"]

Value = Mapping[str, Any]
_REPORTS: Final = ("daily", "weekly", "monthly", "session", "sessions", "blocks")


def ccusage(value: Value, source: str) -> Claim | None:
    """Read a report of ccusage; None where *value* is none.

    Raises ClaimError for one whose rows are not understood.
    """
    name = next((each for each in _REPORTS if isinstance(value.get(each), list)), None)
    if name is None or ("totals" not in value and name != "blocks"):
        return None
    rows = [row for row in value[name] if isinstance(row, Mapping) and not row.get("isGap")]
    if not all("totalCost" in row or "costUSD" in row for row in rows):
        raise ClaimError(
            f"{source}: looks like ccusage {name} --json, but its rows have no totalCost"
        )
    lines = summed(line for row in rows for line in _lines(row, source))
    costs = [money(row.get("totalCost", row.get("costUSD")), source) for row in rows]
    days = _days(name, rows)
    return Claim(
        Shape.CCUSAGE,
        source,
        lines,
        cost_usd=sum((each for each in costs if each is not None), Decimal(0)),
        since=min(days, default=None),
        until=max(days, default=None),
    )


def _lines(row: Value, source: str) -> list[Line]:
    parts = row.get("modelBreakdowns")
    if isinstance(parts, list) and parts:
        if not all(isinstance(part, Mapping) for part in parts):
            raise ClaimError(f"{source}: ccusage: modelBreakdowns: is no list of objects")
        return [_line(part, part.get("modelName"), source) for part in parts]
    return [_line(row, None, source)]


def _line(row: Value, model: Any, source: str) -> Line:
    inner = row.get("tokenCounts")
    counts = inner if isinstance(inner, Mapping) else row
    return Line(
        None if model is None else str(model),
        Counts(
            count(counts, "inputTokens", source),
            count(counts, "outputTokens", source),
            count(counts, "cacheReadTokens", source)
            + count(counts, "cacheReadInputTokens", source),
            count(counts, "cacheCreationTokens", source)
            + count(counts, "cacheCreationInputTokens", source),
        ),
        money(row.get("cost", row.get("totalCost", row.get("costUSD"))), source),
    )


def _days(name: str, rows: list[Value]) -> list[date]:
    """Return the days of a daily report; the others do not say where their last period ends."""
    if name != "daily":
        return []
    found = (str(row.get("date", row.get("period", ""))) for row in rows)
    return [date.fromisoformat(each) for each in found if _is_day(each)]


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
