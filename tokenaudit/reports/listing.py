"""The ledger itself, row by row, and what could not be read: for exports."""

from typing import Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.ledger.frame import ESTIMATES, Ledger
from tokenaudit.model.fields import FIELDS, Dtype, Field, In, Origin
from tokenaudit.pricing.cost import PRICED
from tokenaudit.reports.report import UNITS, Bound, Column, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import assemble, summed

__all__ = ["ledger_rows", "refused_rows", "reject_rows"]

_MONEY: Final = frozenset({Dtype.USD, Dtype.USD_TEXT})
_ESSENTIAL: Final = frozenset(
    {
        "response_id",
        "time",
        "session_id",
        "agent_id",
        "model",
        "prompt_tokens",
        "output_tokens",
        "cost_usd",
        "quality",
    }
)


def ledger_rows(ledger: Ledger, request: Request) -> Report:
    """Return every response of *selection*, with all columns of the ledger."""
    rows = select(ledger.frame, request.selection).collect()
    return _listing(ledger, request, rows, rows, name="ledger", title="Responses")


def refused_rows(ledger: Ledger, request: Request) -> Report:
    """Return the attempts that were refused before a fallback: in no total, priced apart (R6)."""
    rows = select(ledger.frame, request.selection).collect()
    refused = select(ledger.refused, request.selection).collect()
    return _listing(ledger, request, rows, refused, name="refused", title="Refused attempts")


def reject_rows(ledger: Ledger, request: Request) -> Report:
    """Return what could not be read: path, line and reason of every reject."""
    rows = select(ledger.frame, request.selection).collect()
    columns = (
        Column("path", Unit.TEXT, "Path"),
        Column("line", Unit.COUNT, "Line"),
        Column("reason", Unit.TEXT, "Reason"),
    )
    limit = request.shape.limit
    rejects = ledger.rejects if limit is None else ledger.rejects.head(limit)
    section = Section(
        "rejects",
        "Rejects",
        columns,
        rejects.select(column.name for column in columns),
        cut_rows=ledger.rejects.height - rejects.height,
    )
    return assemble(ledger, request, rows, (section,), title="Rejects")


def _listing(
    ledger: Ledger,
    request: Request,
    rows: pl.DataFrame,
    listed: pl.DataFrame,
    *,
    name: str,
    title: str,
) -> Report:
    shape = request.shape
    if shape.with_estimate and ESTIMATES[0] not in listed.columns:
        shape = replace(shape, with_estimate=False)
    columns = tuple(
        Column(
            field.name,
            UNITS[field.dtype],
            _label(field.name),
            essential=field.name in _ESSENTIAL,
            quiet=field.name not in _ESSENTIAL,
            bound=Bound.LEAST if field.name in PRICED else None,
        )
        for field in FIELDS
        if field.tables & (In.LEDGER | In.ESTIMATES) and field.name in listed.columns
        if shape.with_cost or not _is_of_cost(field)
    )
    shown = listed if shape.limit is None else listed.head(shape.limit)
    section = Section(
        name=name,
        title=title,
        columns=columns,
        rows=shown.select(column.name for column in columns),
        totals=summed(listed, replace(shape, full=False)),
        dimensions=("response_id",),
        cut_rows=listed.height - shown.height,
    )
    return assemble(ledger, request, rows, (section,), title=title)


def _is_of_cost(field: Field) -> bool:
    """Tell whether *field* is money, or says how it came about."""
    return field.origin is Origin.PRICE or field.dtype in _MONEY


def _label(column: str) -> str:
    return (
        column.removesuffix("_tokens")
        .removesuffix("_usd")
        .removesuffix("_id")
        .replace("_", " ")
        .capitalize()
    )
