"""One session in full: what it is, and apart from that what its agents used."""

from collections.abc import Iterable, Iterator

import polars as pl
from msgspec.structs import replace

from tokenaudit.audit.reconcile.session_claims import session_bridges
from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.errors import UsageError
from tokenaudit.reports.claimed import evidence_of
from tokenaudit.reports.reconcile import bridge_section
from tokenaudit.reports.report import Column, Report, Section, Unit
from tokenaudit.reports.request import Layout, Request, discounted
from tokenaudit.reports.selection import DIMENSIONS, select
from tokenaudit.reports.usage import assemble, table

__all__ = ["find_session", "session"]

_MOST_CANDIDATES = 5
_CLAIMED = "From what Claude Code says itself to ours"


def find_session(ledger: Ledger, start: str) -> str:
    """Return the id of the one session whose id begins with *start*.

    Raises UsageError, naming candidates, when there is none or more than one.
    """
    ids = [found for found in ledger.sessions["session_id"] if found is not None]
    matching = [found for found in ids if found.startswith(start)]
    if start in matching or len(matching) == 1:
        return start if start in matching else matching[0]
    if not matching:
        latest = _named(reversed(ids))
        raise UsageError(
            f"no session begins with {start!r}",
            hint=f"The latest are {latest}." if latest else "There are no sessions.",
        )
    raise UsageError(
        f"{len(matching)} sessions begin with {start!r}", hint=f"Among them {_named(matching)}."
    )


def _named(ids: Iterable[str]) -> str:
    return ", ".join(list(ids)[:_MOST_CANDIDATES])


def session(ledger: Ledger, request: Request, start: str) -> Report:
    """Return the report of the session whose id begins with *start*.

    Its sections: its agents, whose rows add up to the session; its models; its hours, with the
    compactions in each; what Claude Code says itself that it used, with a bridge to ours; and its facts,
    which are not usage.
    """
    session_id = find_session(ledger, start)
    rows = (
        select(ledger.frame, request.selection).filter(pl.col("session_id") == session_id).collect()
    )
    facts = ledger.sessions.filter(pl.col("session_id") == session_id)
    request = discounted(ledger, request)
    shape = request.shape
    plain = replace(shape, sort=None, descending=None, limit=None, breakdown=False)
    sections = (
        _agents(ledger, rows, session_id, shape),
        table(rows, [DIMENSIONS["model"]], plain, name="models", title="By model"),
        _timeline(ledger, rows, request.selection.timezone, session_id, plain),
        *_claimed(ledger, request, session_id),
        _facts(facts),
    )
    title = facts["title"].item() or "untitled"
    return assemble(ledger, request, rows, sections, title=f"Session {session_id}: {title}")


def _agents(ledger: Ledger, rows: pl.DataFrame, session_id: str, shape: Layout) -> Section:
    facts = ledger.agents.filter(pl.col("session_id") == session_id).drop(
        "session_id", "transcripts"
    )
    return table(
        rows,
        [DIMENSIONS["agent_id"]],
        shape,
        name="agents",
        title="By agent",
        facts=facts,
        fact_columns=(
            Column("agent_type", Unit.TEXT, "Type"),
            Column("description", Unit.TEXT, "Task", essential=False, quiet=True),
        ),
    )


def _timeline(
    ledger: Ledger, rows: pl.DataFrame, timezone: str, session_id: str, shape: Layout
) -> Section:
    compactions = (
        ledger.compactions.filter(
            (pl.col("session_id") == session_id) & (pl.col("kind") == "compact")
        )
        .with_columns(hour=pl.col("time").dt.convert_time_zone(timezone).dt.truncate("1h"))
        .group_by("hour")
        .agg(compactions=pl.len().cast(pl.Int64))
    )
    return table(
        rows,
        [DIMENSIONS["hour"]],
        shape,
        name="timeline",
        title="By hour",
        facts=compactions,
        fact_columns=(
            Column("compactions", Unit.COUNT, "Compactions", essential=False, quiet=True),
        ),
    )


def _claimed(ledger: Ledger, request: Request, session_id: str) -> Iterator[Section]:
    """Yield the bridge from what Claude Code says of the session to ours, where it says anything."""
    evidence = evidence_of(ledger, request, ledger.frame)
    for found in session_bridges(evidence, {session_id}):
        yield bridge_section([found.bridge], name="claimed", title=_CLAIMED)


def _facts(facts: pl.DataFrame) -> Section:
    """Return what is known of the session: a row of its own, with nothing that it used."""
    columns = (
        Column("session_id", Unit.TEXT, "Session"),
        Column("project", Unit.TEXT, "Project"),
        Column("title", Unit.TEXT, "Title"),
        Column("start", Unit.TIME, "Start"),
        Column("end", Unit.TIME, "Last activity"),
        Column("duration_s", Unit.DURATION, "Duration"),
        Column("forked_from", Unit.TEXT, "Forked from"),
        Column("branches", Unit.TEXT, "Branches"),
        Column("versions", Unit.TEXT, "Claude Code"),
    )
    rows = facts.with_columns(
        pl.col("branches", "versions").list.join(", "),
        duration_s=(pl.col("end") - pl.col("start")).dt.total_seconds(),
    )
    return Section(
        "session", "About the session", columns, rows.select(column.name for column in columns)
    )
