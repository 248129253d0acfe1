"""Usage by session and by agent, with what is known of each beside its figures."""

from typing import Final

import polars as pl

from tokenaudit.ledger.frame import Ledger
from tokenaudit.reports.report import Column, Report, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import CUTS, DIMENSIONS, select
from tokenaudit.reports.usage import assemble, grouped, table

__all__ = ["agents", "sessions"]

_START: Final = Column("start", Unit.TIME, "Start", essential=False)
_END: Final = Column("end", Unit.TIME, "Last activity", essential=False)
_TITLE: Final = Column("title", Unit.TEXT, "Title")
_PROJECT: Final = Column("project", Unit.TEXT, "Project", essential=False)


def sessions(ledger: Ledger, request: Request) -> Report:
    """Return the usage of each session that has any in *selection*, the latest first.

    A session's figures are the sum of its agents'; `agents` counts those with usage.
    """
    rows = select(ledger.frame, request.selection).drop(CUTS).collect()
    agents = pl.col("agent_id").n_unique().cast(pl.Int64).alias("agents")
    subagents = grouped(rows, ["session_id"], [agents])
    known = ledger.sessions.select("session_id", "title", "project", "start", "end")
    facts = known.join(subagents, on="session_id", nulls_equal=True)
    section = table(
        rows,
        [DIMENSIONS["session_id"]],
        request.shape,
        name="sessions",
        title="Usage by session",
        facts=facts,
        fact_columns=(
            _TITLE,
            _PROJECT,
            _START,
            _END,
            Column("agents", Unit.COUNT, "Agents", essential=False),
        ),
        order=("end", True),
    )
    return assemble(ledger, request, rows, (section,), title=section.title)


def agents(ledger: Ledger, request: Request) -> Report:
    """Return the usage of each agent: of every session's own (`main`) and of every subagent."""
    rows = select(ledger.frame, request.selection).drop(CUTS).collect()
    facts = ledger.agents.drop("transcripts").join(
        ledger.sessions.select("session_id", "project"), on="session_id", nulls_equal=True
    )
    section = table(
        rows,
        [DIMENSIONS["session_id"], DIMENSIONS["agent_id"]],
        request.shape,
        name="agents",
        title="Usage by agent",
        facts=facts,
        fact_columns=(
            Column("agent_type", Unit.TEXT, "Type"),
            Column("description", Unit.TEXT, "Task", essential=False, quiet=True),
            _PROJECT,
            _START,
            _END,
        ),
    )
    return assemble(ledger, request, rows, (section,), title=section.title)
