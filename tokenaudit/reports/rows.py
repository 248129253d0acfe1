"""The ledger itself, row by row, and what could not be read: for exports."""

from typing import Any, Final

import polars as pl

from tokenaudit.ledger import SCHEMA, Ledger
from tokenaudit.reports.report import Column, Report, Section, Unit
from tokenaudit.reports.selection import Selection, select
from tokenaudit.reports.usage import Context, Shape, assemble, summed

__all__ = ["ledger_rows", "refused_rows", "reject_rows"]

_IDS: Final = frozenset({"response_id", "request_id", "session_id", "agent_id"})
_ESSENTIAL: Final = frozenset(
    {"response_id", "time", "session_id", "agent_id", "model", "prompt_tokens", "output_tokens", "cost_usd", "quality"}
)


def ledger_rows(
    ledger: Ledger, selection: Selection, *, context: Context, shape: Shape | None = None
) -> Report:
    """Return every response of *selection*, with all columns of the ledger."""
    shape = shape or Shape()
    rows = select(ledger, selection).collect()
    return _listing(ledger, selection, rows, rows, context, shape, name="ledger", title="Responses")


def refused_rows(
    ledger: Ledger, selection: Selection, *, context: Context, shape: Shape | None = None
) -> Report:
    """Return the attempts that were refused before a fallback: in no total, priced apart (R6)."""
    shape = shape or Shape()
    rows = select(ledger, selection).collect()
    return _listing(
        ledger, selection, rows, ledger.refused, context, shape, name="refused", title="Refused attempts"
    )


def reject_rows(
    ledger: Ledger, selection: Selection, *, context: Context, shape: Shape | None = None
) -> Report:
    """Return what could not be read: path, line and reason of every reject."""
    shape = shape or Shape()
    rows = select(ledger, selection).collect()
    columns = (
        Column("path", Unit.TEXT, "Path"),
        Column("line", Unit.COUNT, "Line"),
        Column("reason", Unit.TEXT, "Reason"),
    )
    rejects = ledger.rejects if shape.limit is None else ledger.rejects.head(shape.limit)
    section = Section(
        "rejects",
        "Rejects",
        columns,
        rejects.select(column.name for column in columns),
        cut_rows=ledger.rejects.height - rejects.height,
    )
    return assemble(ledger, selection, rows, (section,), context, shape, title="Rejects")


def _listing(
    ledger: Ledger,
    selection: Selection,
    rows: pl.DataFrame,
    listed: pl.DataFrame,
    context: Context,
    shape: Shape,
    *,
    name: str,
    title: str,
) -> Report:
    columns = tuple(
        Column(column, _unit(column, dtype), _label(column), essential=column in _ESSENTIAL)
        for column, dtype in SCHEMA.items()
        if shape.with_cost or not column.startswith(("cost_", "price_", "rate_", "recorded_cost"))
    )
    shown = listed if shape.limit is None else listed.head(shape.limit)
    section = Section(
        name=name,
        title=title,
        columns=columns,
        rows=shown.select(column.name for column in columns),
        totals=summed(listed, Shape(with_cost=shape.with_cost)),
        dimensions=("response_id",),
        cut_rows=listed.height - shown.height,
    )
    return assemble(ledger, selection, rows, (section,), context, shape, title=title)


def _unit(column: str, dtype: Any) -> Unit:
    if column in _IDS:
        return Unit.ID
    if column.startswith("cost_"):
        return Unit.USD
    if column.endswith("_tokens"):
        return Unit.TOKENS
    if isinstance(dtype, pl.Datetime):
        return Unit.TIME
    return Unit.COUNT if dtype == pl.Int64 else Unit.TEXT


def _label(column: str) -> str:
    return column.removesuffix("_tokens").removesuffix("_usd").removesuffix("_id").replace("_", " ").capitalize()
