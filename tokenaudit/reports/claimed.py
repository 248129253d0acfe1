"""What Claude Code says itself that sessions used, beside what we count, and why the two differ."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import Cause, Coverage
from tokenaudit.audit.reconcile.claims import ClaimCounts
from tokenaudit.audit.reconcile.session_claims import SessionBridge, session_bridges
from tokenaudit.ledger.frame import Ledger
from tokenaudit.pricing.cost import USD
from tokenaudit.reports.report import Column, Report, Section, Unit
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import DIMENSIONS, select
from tokenaudit.reports.usage import assemble, column_named

__all__ = ["CLAIMED", "claimed", "claims_of", "evidence_of", "row_of", "table_of"]

_CAUSES: Final[Mapping[str, frozenset[Cause]]] = {
    "unrecorded_usd": frozenset({Cause.UNRECORDED_CALLS}),
    "lost_output_usd": frozenset({Cause.LOST_OUTPUT}),
    "price_difference_usd": frozenset({Cause.PRICES}),
    "scope_difference_usd": frozenset({Cause.SCOPE, Cause.COUNTING}),
    "unexplained_usd": frozenset({Cause.UNEXPLAINED}),
}
"""Which causes each column of the difference sums up."""

CLAIMED: Final = (
    DIMENSIONS["session_id"].column,
    Column("title", Unit.TEXT, "Title", essential=False, quiet=True),
    Column("source", Unit.TEXT, "Said in", essential=False),
    Column("scope", Unit.TEXT, "About", essential=False),
    Column("stated_usd", Unit.USD, "Stated", screen=False),
    Column("claimed_usd", Unit.USD, "Claude Code"),
    Column("counted_usd", Unit.USD, "Ours"),
    Column("unrecorded_usd", Unit.USD, "On no line", quiet=True),
    Column("lost_output_usd", Unit.USD, "Lost output", quiet=True),
    Column("price_difference_usd", Unit.USD, "Prices", quiet=True),
    Column("scope_difference_usd", Unit.USD, "Scope", quiet=True),
    Column("unexplained_usd", Unit.USD, "Unexplained"),
    Column("unexplained_percent", Unit.PERCENT, "%", essential=False),
    Column("claimed_tokens", Unit.TOKENS, "Tokens stated", screen=False),
    Column("counted_tokens", Unit.TOKENS, "Tokens counted", screen=False),
    Column("unexplained_tokens", Unit.TOKENS, "Tokens unexplained", screen=False),
    Column("note", Unit.TEXT, "Note", screen=False),
)
_TYPES: Final[Mapping[Unit, Any]] = {
    Unit.USD: USD,
    Unit.TOKENS: pl.Int128,
    Unit.PERCENT: pl.Float64,
}
_SUMMED: Final = ("claimed_usd", "counted_usd", *_CAUSES)
_NOTHING: Final = (
    "Claude Code says of none of these sessions what it used: versions from some time after 2.1.232 write it"
    " into the transcript (cost-state lines), .claude.json holds it of the last session of each project."
)
_MEANING: Final = (
    "Claude Code's own total = ours + calls that are on no line + output that no line tells + its other"
    " prices + what is unexplained."
)


def claims_of(ledger: Ledger, request: Request, rows: pl.DataFrame) -> list[SessionBridge]:
    """Return what Claude Code says of each session of *rows*, or of all where all were chosen."""
    return session_bridges(evidence_of(ledger, request, rows))


def evidence_of(ledger: Ledger, request: Request, rows: pl.DataFrame) -> Evidence:
    """Return what claims are compared with, where *rows* were chosen."""
    return Evidence(ledger.facts, ledger, rows, request.now, request.selection.timezone)


def claimed(ledger: Ledger, request: Request) -> Report:
    """Return what Claude Code says of each session that has any in *selection*, and the difference to ours.

    Filters choose sessions: a claim is about all that a session used. Sessions of which it says nothing
    are counted at the foot.
    """
    rows = select(ledger.frame, request.selection).collect()
    found = claims_of(ledger, request, rows)
    section = table_of(found, ledger, request.shape)
    report = assemble(ledger, request, rows, (section,), title=section.title)
    return replace(report, notes=(*_notes(found, rows), *report.notes))


def _notes(found: Sequence[SessionBridge], rows: pl.DataFrame) -> Iterator[str]:
    if not found:
        yield _NOTHING
        return
    yield _MEANING
    silent = set(rows["session_id"].unique()) - {one.claim.session_id for one in found}
    if silent:
        sessions = "session has" if len(silent) == 1 else "sessions have"
        yield f"{len(silent):,} more {sessions} usage here, of which Claude Code says nothing."
    unknown = [one for one in found if one.coverage is Coverage.UNKNOWN]
    if unknown:
        claims = "claim is" if len(unknown) == 1 else "claims are"
        yield (
            f"What {len(unknown):,} {claims} about cannot be told: less than transcripts hold, or more."
        )


def table_of(found: Sequence[SessionBridge], ledger: Ledger, shape: Layout) -> Section:
    """Return the claims as a section, the largest unexplained first; its rows add up to its totals."""
    schema = {column.name: _TYPES.get(column.unit, pl.String) for column in CLAIMED}
    titles = dict(ledger.sessions.select("session_id", "title").iter_rows())
    values = [row_of(one, titles.get(one.claim.session_id)) for one in found]
    frame = pl.DataFrame(values, schema, orient="row")
    ordered = _ordered(frame, shape)
    shown = ordered if shape.limit is None else ordered.head(shape.limit)
    sums = frame.select(pl.col(name).sum() for name in _SUMMED).row(0, named=True)
    percent = _percent(sums["unexplained_usd"], sums["claimed_usd"])
    return Section(
        name="claimed",
        title="What Claude Code says of sessions, and why ours is another figure",
        columns=CLAIMED,
        rows=shown,
        totals={**sums, "unexplained_percent": percent},
        dimensions=("session_id",),
        cut_rows=ordered.height - shown.height,
    )


def _ordered(frame: pl.DataFrame, shape: Layout) -> pl.DataFrame:
    if shape.sort is None:
        size = pl.col("unexplained_usd").abs()
        return frame.sort(size, "session_id", descending=[True, False], nulls_last=True)
    name = column_named(shape.sort, CLAIMED)
    is_text = frame.schema[name] == pl.String
    falling = not is_text if shape.descending is None else shape.descending
    return frame.sort(name, "session_id", descending=[falling, False], nulls_last=True)


def row_of(one: SessionBridge, title: str | None) -> tuple[Any, ...]:
    """Return the values of CLAIMED for *one* session."""
    claim, bridge = one.claim, one.bridge
    differences = [one.difference_usd(causes) for causes in _CAUSES.values()]
    return (
        claim.session_id,
        title,
        claim.claim.shape.value,
        one.coverage.value,
        claim.stated_usd,
        bridge.theirs.cost_usd,
        bridge.ours.cost_usd,
        *differences,
        _percent(differences[-1], bridge.theirs.cost_usd),
        _tokens(bridge.theirs.counts),
        _tokens(bridge.ours.counts),
        _tokens(bridge.unexplained.counts, sign=-1),
        " ".join(bridge.notes) or None,
    )


def _percent(part: Decimal | None, whole: Decimal | None) -> float | None:
    return None if part is None or not whole else float(100 * part / whole)


def _tokens(counts: ClaimCounts | None, sign: int = 1) -> int | None:
    if counts is None:
        return None
    return sign * (counts.input + counts.output + counts.cache_read + counts.cache_write)
