"""Bridges as a report: their figure, the steps, ours; rows of a claim sum exactly to its last one."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import PurePath
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import counted
from tokenaudit.audit.reconcile.bridge import Bridge, Cause, Figure, Step, StepBasis, bridged
from tokenaudit.audit.reconcile.claims import Claim, ClaimError, ClaimKind
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.audit.reconcile.export_diff import Choose
from tokenaudit.audit.verify.provenance import Filters
from tokenaudit.ledger.frame import Ledger
from tokenaudit.pricing.cost import USD
from tokenaudit.reports.claimed import claims_of, table_of
from tokenaudit.reports.report import Column, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import Selection, select
from tokenaudit.reports.usage import assemble
from tokenaudit.store.facts import Facts

__all__ = ["bridge_section", "chooser", "reconcile", "reconcile_all"]

_COLUMNS: Final = (
    Column("source", Unit.TEXT, "Source"),
    Column("shape", Unit.TEXT, "Shape", screen=False),
    Column("step", Unit.TEXT, "Step"),
    Column("cause", Unit.TEXT, "Cause", screen=False),
    Column("basis", Unit.TEXT, "Basis"),
    Column("input_tokens", Unit.TOKENS, "Input", quiet=True),
    Column("output_tokens", Unit.TOKENS, "Output", quiet=True),
    Column("cache_read_tokens", Unit.TOKENS, "Cache read", quiet=True),
    Column("cache_write_tokens", Unit.TOKENS, "Cache write", quiet=True),
    Column("cost_usd", Unit.PRICE, "Cost", quiet=True),
    Column("note", Unit.TEXT, "Note", screen=False),
)
_TYPES: Final[Mapping[Unit, Any]] = {
    Unit.TEXT: pl.String,
    Unit.TOKENS: pl.Int128,
    Unit.PRICE: USD,
}
_NOTES: Final = (
    Column("step", Unit.TEXT, "Step"),
    Column("basis", Unit.TEXT, "Basis"),
    Column("note", Unit.TEXT, "What it is"),
)


def reconcile(
    ledger: Ledger,
    facts: Facts,
    request: Request,
    claims: Sequence[Claim],
    others: Sequence[str] = (),
) -> Report:
    """Return the bridge of each of *claims* to the ledger over the same scope.

    *others* says why further files are no claims; it goes to the foot.
    """
    rows = select(ledger.frame, request.selection).collect()
    zone = request.selection.timezone
    evidence = Evidence(facts, ledger, rows, request.now, zone)
    bridges = [reconciled(claim, evidence, chooser(ledger)) for claim in claims]
    title = f"From {claims[0].shape} to ours" if len(claims) == 1 else "From theirs to ours"
    sections = (bridge_section(bridges, name="bridge", title=title), _explained(bridges))
    report = assemble(ledger, request, rows, sections, title=title)
    notes = [
        f"{PurePath(each.claim.source).name}: {note}" for each in bridges for note in each.notes
    ]
    skipped = [f"Not compared: {other}" for other in others]
    return Report(report.title, report.sections, report.meta, (*notes, *skipped, *report.notes))


def reconcile_all(ledger: Ledger, request: Request) -> Report:
    """Return the bridge from all that Claude Code says of sessions to ours over the same, and each claim.

    Raises ClaimError where it says of none of them what it used.
    """
    rows = select(ledger.frame, request.selection).collect()
    found = claims_of(ledger, request, rows)
    if not found:
        raise ClaimError("nothing to reconcile with", hint=_NO_CLAIMS)
    whole = _joined([one.bridge for one in found])
    title = f"From what Claude Code says of {counted(len(found), 'session')} to ours"
    table = table_of(found, ledger, request.shape)
    sections = (bridge_section([whole], name="bridge", title=title), table, _explained([whole]))
    report = assemble(ledger, request, rows, sections, title=title)
    notes = (*dict.fromkeys(whole.notes), *report.notes)
    return replace(report, notes=notes)


_NO_CLAIMS: Final = (
    "Name a file that states a total, or a folder of them. Of none of these sessions does Claude Code say"
    " itself what it used: newer versions do, in cost-state lines and in .claude.json."
)


def _joined(bridges: Sequence[Bridge]) -> Bridge:
    """Return the sum of *bridges*: steps of one name, cause and basis are one; the unexplained stays last.

    What is unexplained where theirs is less stands apart: it must not make up for what they have more.
    Tokens are told where all tell them.
    """
    theirs, ours = (
        reduce(add, (getattr(bridge, name) for bridge in bridges)) for name in ("theirs", "ours")
    )
    steps: dict[tuple[str, Cause, StepBasis], Step] = {}
    for step in (step for bridge in bridges for step in _unmixed(bridge)):
        key = step.name, step.cause, step.basis
        known = steps.get(key)
        steps[key] = step if known is None else replace(known, change=known.change + step.change)
    claim = Claim(ClaimKind.COST_STATE, "Claude Code", (), is_of_claude_code=True)
    return bridged(claim, theirs, list(steps.values()), ours)


def _unmixed(bridge: Bridge) -> Iterator[Step]:
    """Yield the steps of *bridge* but its rest, unless ours is more by it."""
    *steps, rest = bridge.steps
    yield from steps
    if (rest.change.cost_usd or 0) > 0:
        yield replace(rest, name=_LESS, note=_LESS_NOTE)


_LESS: Final = "unexplained, where theirs is less"
_LESS_NOTE: Final = "What no step explains, of sessions of which ours holds more than they state."


def bridge_section(bridges: Sequence[Bridge], *, name: str, title: str) -> Section:
    """Return the steps of *bridges*, one after the other, as a section."""
    found = [row for bridge in bridges for row in _rows(bridge)]
    columns = tuple(_column(each, len(bridges)) for each in _COLUMNS)
    frame = pl.DataFrame(found, {each.name: _TYPES[each.unit] for each in _COLUMNS}, orient="row")
    return Section(name, title, columns, frame)


def _column(column: Column, claims: int) -> Column:
    """Return *column* as it is shown: one claim needs no name, several leave no room for the basis."""
    match column.name:
        case "source" if claims == 1:
            return replace(column, screen=False)
        case "basis" if claims > 1:
            return replace(column, essential=False)
        case _:
            return column


def chooser(ledger: Ledger) -> Choose:
    """Return what finds the responses of *ledger* that the filters of an export choose."""

    def choose(filters: Filters, zone: str) -> pl.DataFrame:
        return select(ledger.frame, Selection.of(filters, zone)).collect()

    return choose


def _rows(bridge: Bridge) -> Iterator[tuple[Any, ...]]:
    claim = bridge.claim
    named = (PurePath(claim.source).name, claim.shape.value)
    yield (*named, "theirs", None, StepBasis.STATED.value, *_figure(bridge.theirs), _scope(claim))
    for step in bridge.steps:
        told = (step.name, step.cause.value, step.basis.value)
        yield (*named, *told, *_figure(step.change), step.note)
    yield (
        *named,
        "ours",
        None,
        StepBasis.OURS.value,
        *_figure(bridge.ours),
        "The ledger, over the same scope.",
    )


def _figure(figure: Figure) -> tuple[Any, ...]:
    counts = figure.counts
    if counts is None:
        return (None, None, None, None, figure.cost_usd)
    return (counts.input, counts.output, counts.cache_read, counts.cache_write, figure.cost_usd)


def _scope(claim: Claim) -> str:
    parts = [claim.shape.value[0].upper() + claim.shape.value[1:]]
    if claim.sessions:
        number = len(claim.sessions)
        parts.append(f"session {min(claim.sessions)}" if number == 1 else f"{number:,} sessions")
    if claim.version:
        parts.append(f"Claude Code {claim.version}")
    if claim.since or claim.until:
        zone = " in UTC" if claim.is_utc else ""
        parts.append(f"{claim.since or 'the beginning'} to {claim.until or 'now'}{zone}")
    return ", ".join(parts) + "."


def _explained(bridges: Sequence[Bridge]) -> Section:
    """Return what the steps are, each once; with their basis, where the bridges have no room for it."""
    claims, rows = len(bridges), [row for bridge in bridges for row in _rows(bridge)]
    ends = {"theirs", "ours"} if claims > 1 else set()
    left_out = {"unexplained", *ends}
    notes = {(row[2], row[4]): row[-1] for row in rows if row[2] not in left_out}
    columns = [column for column in _NOTES if claims > 1 or column.name != "basis"]
    frame = pl.DataFrame(
        [(*key, note) for key, note in notes.items()],
        {column.name: pl.String for column in _NOTES},
        orient="row",
    )
    names = [column.name for column in columns]
    return Section("explained", "What the steps are", tuple(columns), frame.select(names))
