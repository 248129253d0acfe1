"""Claims of earlier exports of ours: their totals, their responses where they hold them, what they stood on."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from tokenaudit.audit.reconcile.claims.claim import (
    Claim,
    ClaimCounts,
    ClaimError,
    ClaimKind,
    ClaimLine,
    Held,
    count,
    money,
    summed,
)
from tokenaudit.model.fields import TOKENS

__all__ = ["COLUMNS", "document", "rows", "table", "whole"]

Value = Mapping[str, Any]
_FORMAT: Final = 1
"""The newest shape of our own JSON that is known here."""
_RESPONSE: Final = frozenset({"response_id", "request_id", "time", "source_path", "source_line"})
COLUMNS: Final = frozenset({*TOKENS, *_RESPONSE, "cost_usd", "responses", "period"})
"""All that is taken of a row."""
_ALL_TIME: Final = "all time"
"""The last period of the overview, whose rows hold one another."""


def document(value: Value, source: str) -> Claim | None:
    """Read a JSON report; None where *value* is none of ours.

    Raises ClaimError for a newer format, and for a report without totals of usage.
    """
    meta = value.get("meta")
    if not isinstance(meta, dict) or meta.get("tool") != "tokenaudit":
        return None
    _check_format(meta, source)
    totals = value.get("totals")
    if not isinstance(totals, dict) or "output_tokens" not in totals:
        raise ClaimError(f"{source}: an export of tokenaudit without totals of usage")
    found = value.get("rows")
    return _claim(source, [totals], found if isinstance(found, list) else [], meta)


def _check_format(meta: Value, source: str) -> None:
    if meta.get("format") != _FORMAT:
        raise ClaimError(
            f"{source}: an export of tokenaudit {meta.get('version')} in format {meta.get('format')};"
            f" known is {_FORMAT}",
            hint="Update tokenaudit.",
        )


def whole(names: Collection[str], values: Sequence[Value], meta: Value, source: str) -> Claim:
    """Read all rows, of columns *names*, of a report that says what it stood on, but not its totals.

    Raises ClaimError for a newer format, for rows without usage, and for rows that do not add up to the
    total, because some were cut.
    """
    _check_format(meta, source)
    if not {*TOKENS} <= {*names}:
        raise ClaimError(f"{source}: an export of tokenaudit without usage in its rows")
    values = _apart(values)
    selected = meta.get("selected")
    number = selected.get("responses") if isinstance(selected, dict) else None
    told = len(values)
    if "responses" in names:
        told = sum(count(row, "responses", source) for row in values)
    if number is not None and number != told:
        raise ClaimError(
            f"{source}: its rows add up to {told:,} of {number} responses",
            hint="Export it without --limit, or as JSON, which carries the totals.",
        )
    nothing: Sequence[Value] = [{**dict.fromkeys(TOKENS, 0), "cost_usd": 0}]
    return _claim(source, values or nothing, values, meta)


def table(text: str, source: str) -> Claim | None:
    """Read a report as CSV; None where *text* is none of ours."""
    return rows(list(csv.DictReader(io.StringIO(text))), source)


def rows(values: Sequence[Value], source: str) -> Claim | None:
    """Read the rows of a report, as CSV and NDJSON hold them; None where they are none of ours."""
    is_ours = bool(values) and all({*TOKENS} <= value.keys() for value in values)
    return _claim(source, _apart(values), values, {}) if is_ours else None


def _apart(values: Sequence[Value]) -> Sequence[Value]:
    """Return rows of which none is part of another one."""
    is_overview = bool(values) and values[-1].get("period") == _ALL_TIME
    return values[-1:] if is_overview else values


def _claim(source: str, summands: Iterable[Value], held: Sequence[Any], meta: Value) -> Claim:
    (line,) = summed(_line(each, source) for each in summands)
    responses = all(isinstance(row, Mapping) and row.keys() >= _RESPONSE for row in held)
    return Claim(
        ClaimKind.EXPORT,
        source,
        (line,),
        cost_usd=line.cost_usd,
        responses=tuple(_held(row, source) for row in held) if responses else (),
        meta=meta,
    )


def _line(row: Value, source: str) -> ClaimLine:
    sent, output, read, short, long = (count(row, name, source) for name in TOKENS)
    counts = ClaimCounts(sent, output, read, short + long)
    return ClaimLine(None, counts, money(row.get("cost_usd"), f"{source}: cost_usd"))


def _held(row: Value, source: str) -> Held:
    sent, output, read, short, long = (count(row, name, source) for name in TOKENS)
    return Held(
        _text(row["response_id"]),
        _text(row["request_id"]),
        _text(row["time"]),
        _text(row["source_path"]),
        count(row, "source_line", source),
        sent,
        output,
        read,
        short,
        long,
        money(row.get("cost_usd"), f"{source}: cost_usd"),
    )


def _text(value: Any) -> str | None:
    return str(value) if value is not None and value != "" else None
