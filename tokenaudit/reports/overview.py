"""The first thing a user sees: how much in all, today and this week, and where it went."""

from collections.abc import Iterator
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl
from msgspec.structs import replace

from tokenaudit.audit.reconcile.session_claims import plain_sums, stated_costs
from tokenaudit.ledger.frame import Ledger, measures
from tokenaudit.model.units import format_cost
from tokenaudit.reports.budgets import standing
from tokenaudit.reports.report import Column, Report, Section, Unit
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import CUTS, DIMENSIONS, Selection, period_start, select
from tokenaudit.reports.usage import assemble, measure_columns, more, table

__all__ = ["overview"]

_TOP: Final = 5


def overview(ledger: Ledger, request: Request) -> Report:
    """Return today, this week, this month and all of *selection*, and its costliest parts.

    The periods are those in which `request.now` lies; they overlap, so they have no total.
    """
    rows = select(ledger.frame, request.selection).drop(CUTS - {"day"}).collect()
    selection, shape = request.selection, request.shape
    today = request.now.astimezone(ZoneInfo(selection.timezone)).date()
    top = replace(shape, sort=None, descending=None, limit=shape.limit or _TOP, breakdown=False)
    facts = ledger.sessions.select("session_id", "title").join(
        stated_costs(ledger.facts.totals), on="session_id", how="left"
    )
    budgets = standing(ledger, request)
    sections = (
        _periods(rows, selection, today, shape),
        *((budgets,) if budgets is not None else ()),
        table(
            rows,
            [DIMENSIONS["session_id"]],
            top,
            name="sessions",
            title="Top sessions",
            facts=facts,
            fact_columns=(
                Column("title", Unit.TEXT, "Title"),
                Column("stated_usd", Unit.USD, "Claude Code", essential=False, quiet=True),
            ),
        ),
        table(rows, [DIMENSIONS["project"]], top, name="projects", title="Top projects"),
        table(rows, [DIMENSIONS["model"]], top, name="models", title="Top models"),
    )
    report = assemble(ledger, request, rows, sections, title="Overview")
    claims = list(_claims(ledger, rows)) if shape.with_cost else []
    return replace(report, notes=(*claims, *report.notes))


def _claims(ledger: Ledger, rows: pl.DataFrame) -> Iterator[str]:
    """Say what Claude Code says itself of sessions, where it does, beside ours of the same."""
    chosen = ledger.frame.join(rows.select("session_id").unique(), on="session_id", how="semi")
    number, theirs, ours = plain_sums(ledger.facts.totals, chosen)
    if number:
        yield (
            f"Claude Code says itself of {number:,} {'session' if number == 1 else 'sessions'}:"
            f" {format_cost(theirs)}; ours of the same: {format_cost(ours)} (why: sessions --claimed)."
        )


def _periods(rows: pl.DataFrame, selection: Selection, today: date, shape: Layout) -> Section:
    names = ("day", "week", "month")
    starts = {name: period_start(name, today, selection) for name in names}
    frames = [
        rows.filter((pl.col("day") >= starts[name]) & (pl.col("day") <= today)).select(
            pl.lit(label).alias("period"), *measures(*more(shape))
        )
        for name, label in zip(names, ("today", "this week", "this month"), strict=True)
    ]
    everything = rows.select(pl.lit("all time").alias("period"), *measures(*more(shape)))
    columns = (Column("period", Unit.TEXT, "Period"), *measure_columns(shape))
    return Section(
        name="periods",
        title="Overview",
        columns=columns,
        rows=pl.concat([*frames, everything]).select(column.name for column in columns),
        dimensions=("period",),
    )
