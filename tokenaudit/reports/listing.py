"""The ledger itself, row by row, and what could not be read: for exports."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.ledger.frame import ESTIMATES, SCHEMA, Ledger
from tokenaudit.reports.report import Column, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import assemble, summed

__all__ = ["ledger_rows", "refused_rows", "reject_rows"]

_IDS: Final = frozenset({"response_id", "request_id", "session_id", "agent_id"})
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
            column,
            _unit(column, dtype),
            _label(column),
            essential=column in _ESSENTIAL,
            quiet=column not in _ESSENTIAL,
        )
        for column, dtype in _schema(listed).items()
        if shape.with_cost
        or not column.startswith(
            ("cost_", "est_cost", "list_cost", "price_", "rate_", "recorded_cost")
        )
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


def _schema(listed: pl.DataFrame) -> Mapping[str, Any]:
    """Return the ledger's columns, and those of estimates where they were asked for."""
    return {**SCHEMA, **{name: listed.schema[name] for name in ESTIMATES if name in listed.columns}}


def _unit(column: str, dtype: Any) -> Unit:
    if column in _IDS:
        return Unit.ID
    if column.startswith(("cost_", "est_cost", "list_cost")):
        return Unit.USD
    if column.endswith("_tokens"):
        return Unit.TOKENS
    if isinstance(dtype, pl.Datetime):
        return Unit.TIME
    plain = {pl.Int64: Unit.COUNT, pl.Boolean: Unit.FLAG}
    return plain.get(dtype, Unit.TEXT)


def _label(column: str) -> str:
    return (
        column.removesuffix("_tokens")
        .removesuffix("_usd")
        .removesuffix("_id")
        .replace("_", " ")
        .capitalize()
    )
