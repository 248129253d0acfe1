"""The audit as a report: what the user should know of the figures, the gravest first."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.audit.check.assertions import Rule
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import Finding, Severity
from tokenaudit.audit.check.registry import findings
from tokenaudit.ledger.frame import Ledger
from tokenaudit.pricing.cost import USD
from tokenaudit.reports.report import Bound, Column, Outcome, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import assemble
from tokenaudit.store.facts import Facts

__all__ = ["check"]

_COLUMNS: Final = (
    Column("severity", Unit.TEXT, "Severity"),
    Column("finding", Unit.TEXT, "Finding"),
    Column("subject", Unit.TEXT, "About", quiet=True),
    Column("count", Unit.COUNT, "Count"),
    Column("tokens", Unit.TOKENS, "Tokens"),
    Column("cost_usd", Unit.USD, "Cost", bound=Bound.LEAST),
    Column("message", Unit.TEXT, "Message", screen=False),
    Column("action", Unit.TEXT, "What to do", screen=False),
    Column("path", Unit.TEXT, "Path", screen=False),
    Column("line", Unit.COUNT, "Line", screen=False),
)
_SCHEMA: Final[Mapping[str, Any]] = {
    "severity": pl.String,
    "finding": pl.String,
    "subject": pl.String,
    "count": pl.Int64,
    "tokens": pl.Int128,
    "cost_usd": USD,
    "message": pl.String,
    "action": pl.String,
    "path": pl.String,
    "line": pl.Int64,
}
_EXPLAINED: Final = (
    Column("finding", Unit.TEXT, "Finding"),
    Column("found", Unit.TEXT, "What was found, where, and what to do"),
)
_SOUND: Final = (
    "Nothing was found: every line was read, every count is final, every response has a price."
)


def check(ledger: Ledger, facts: Facts, request: Request, rules: Sequence[Rule] = ()) -> Report:
    """Return the findings about the responses that *request* selects, and about all that was read.

    One row per finding: what is at stake in tokens and list price, where an example stands.
    """
    rows = select(ledger.frame, request.selection).collect()
    found = findings(Evidence(facts, ledger, rows, request.now, request.selection.timezone), rules)
    frame = pl.DataFrame([_row(finding) for finding in found], _SCHEMA, orient="row")
    first = Section("findings", "Findings", _COLUMNS, frame)
    sections = (first, _explained(found)) if found else (first,)
    report = assemble(ledger, request, rows, sections, title="Findings")
    if not found:
        return replace(report, notes=(_SOUND, *report.notes))
    return replace(report, outcome=max(_OUTCOMES[finding.severity] for finding in found))


_OUTCOMES: Final = {
    Severity.ERROR: Outcome.ERROR,
    Severity.WARNING: Outcome.WARNING,
    Severity.INFO: Outcome.INFO,
}


def _row(finding: Finding) -> tuple[Any, ...]:
    place = finding.place
    return (
        finding.severity.value,
        finding.name,
        finding.subject,
        finding.count,
        finding.tokens,
        finding.cost_usd,
        finding.message,
        finding.action,
        place and place.path,
        place and place.line,
    )


def _explained(found: Sequence[Finding]) -> Section:
    """Return, for each kind of finding, the words about the first of it: the others differ in figures."""
    kinds = {finding.name: finding for finding in reversed(found)}
    rows = [(name, _words(kinds[name])) for name in dict.fromkeys(each.name for each in found)]
    frame = pl.DataFrame(rows, {column.name: pl.String for column in _EXPLAINED}, orient="row")
    return Section("explained", "What they mean", _EXPLAINED, frame)


def _words(finding: Finding) -> str:
    place = finding.place
    where = ""
    if place is not None:
        file = "/".join(PurePath(place.path).parts[-2:])
        at = file if place.line is None else f"{file}:{place.line}"
        where = f" Example: {at}."
    return f"{finding.message}{where} → {finding.action}"
