"""Claims of the API's own reports, the Admin API's JSON and the Console's CSV: days in UTC."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
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

__all__ = ["console_csv", "report"]

Value = Mapping[str, Any]
_CENTS: Final = 100
_MORE_PAGES: Final = "has_more is true: further pages are missing from this file."
_ALL_CLIENTS: Final = (
    "It is about the whole organisation or key: other programs and machines are in it."
)


def report(values: Sequence[Value], source: str) -> Claim | None:
    """Read pages of a usage report or a cost report."""
    pages = [value for value in values if _is_page(value)]
    if not pages:
        return None
    buckets = [bucket for page in pages for bucket in page["data"] if isinstance(bucket, Mapping)]
    results = [(bucket, each) for bucket in buckets for each in _results(bucket)]
    notes = [_ALL_CLIENTS]
    if pages[-1].get("has_more"):
        notes.append(_MORE_PAGES)
    is_cost = any("amount" in each for _, each in results)
    read = _cost_line if is_cost else _usage_line
    return _claim(
        ClaimKind.ADMIN_COST if is_cost else ClaimKind.ADMIN_USAGE,
        source,
        [read(each, source) for _, each in results],
        [*_days(buckets, source)],
        notes,
    )


def _is_page(value: Value) -> bool:
    data = value.get("data")
    return isinstance(data, list) and any(
        isinstance(each, Mapping) and {"starting_at", "results"} <= each.keys() for each in data
    )


def _results(bucket: Value) -> Iterator[Value]:
    results = bucket.get("results")
    for each in results if isinstance(results, list) else ():
        if isinstance(each, Mapping):
            yield each


def _days(buckets: Sequence[Value], source: str) -> Iterator[date]:
    for bucket in buckets:
        start, end = (_moment(bucket.get(name), source) for name in ("starting_at", "ending_at"))
        if start is not None:
            yield start.date()
        if end is not None:
            yield (end - timedelta(microseconds=1)).date()


def _moment(value: Any, source: str) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise ClaimError(f"{source}: is no time: {value}") from None


def _usage_line(each: Value, source: str) -> ClaimLine:
    split = each.get("cache_creation")
    writes = split if isinstance(split, Mapping) else {}
    tools = each.get("server_tool_use")
    return ClaimLine(
        _model(each),
        ClaimCounts(
            count(each, "uncached_input_tokens", source),
            count(each, "output_tokens", source),
            count(each, "cache_read_input_tokens", source),
            sum(count(writes, name, source) for name in writes)
            + count(each, "cache_creation_5m_input_tokens", source)
            + count(each, "cache_creation_1h_input_tokens", source),
        ),
        None,
        count(tools, "web_search_requests", source) if isinstance(tools, Mapping) else 0,
    )


def _model(each: Value) -> str | None:
    return None if each.get("model") is None else str(each["model"])


def _cost_line(each: Value, source: str) -> ClaimLine:
    currency = each.get("currency", "USD")
    if currency != "USD":
        raise ClaimError(f"{source}: a cost report in {currency}; only USD can be compared")
    amount = money(each.get("amount"), f"{source}: amount")
    return ClaimLine(_model(each), None, None if amount is None else amount / _CENTS)


def _claim(
    shape: ClaimKind,
    source: str,
    lines: Sequence[ClaimLine],
    days: Sequence[date],
    notes: Sequence[str],
) -> Claim:
    merged = summed(lines)
    costs = [line.cost_usd for line in merged if line.cost_usd is not None]
    return Claim(
        shape,
        source,
        merged,
        cost_usd=sum(costs, Decimal(0)) if shape is ClaimKind.ADMIN_COST else None,
        since=min(days, default=None),
        until=max(days, default=None),
        is_utc=True,
        notes=tuple(notes),
    )


_USAGE: Final = {
    "input": ("usage_input_tokens_no_cache",),
    "output": ("usage_output_tokens",),
    "cache_read": ("usage_input_tokens_cache_read",),
    "cache_write": ("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"),
}


def console_csv(text: str, source: str) -> Claim | None:
    """Read a CSV that the Console exports: usage by day and model, or cost."""
    reader = csv.DictReader(io.StringIO(text))
    names = set(reader.fieldnames or ())
    if "usage_date_utc" not in names:
        return None
    is_cost = "cost_usd" in names
    if not is_cost and not set(_USAGE["output"]) <= names:
        raise ClaimError(
            f"{source}: a CSV of the Console with days, but neither usage_output_tokens nor cost_usd",
            hint=f"Its columns: {', '.join(sorted(names))}.",
        )
    rows = list(reader)
    try:
        days = [date.fromisoformat(str(row["usage_date_utc"])[:10]) for row in rows]
    except ValueError as error:
        raise ClaimError(f"{source}: usage_date_utc: {error}") from None
    lines = [_csv_line(row, source, is_cost=is_cost) for row in rows]
    return _claim(
        ClaimKind.ADMIN_COST if is_cost else ClaimKind.ADMIN_USAGE,
        source,
        lines,
        days,
        [_ALL_CLIENTS],
    )


def _csv_line(row: Mapping[str, str], source: str, *, is_cost: bool) -> ClaimLine:
    model = row.get("model_version") or row.get("model") or None
    if is_cost:
        return ClaimLine(model, None, money(row["cost_usd"], f"{source}: cost_usd"))
    given = {name: row.get(name) or 0 for names in _USAGE.values() for name in names}
    counts = {
        each: sum(count(given, name, source) for name in names) for each, names in _USAGE.items()
    }
    searches = {"web_search_count": row.get("web_search_count") or 0}
    return ClaimLine(
        model, ClaimCounts(**counts), None, count(searches, "web_search_count", source)
    )
