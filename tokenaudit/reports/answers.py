"""Which report answers to which name: the one list that the command line and the API share."""

from collections.abc import Callable, Mapping
from typing import Final

from tokenaudit.errors import UsageError
from tokenaudit.ledger import Ledger
from tokenaudit.reports.overview import overview
from tokenaudit.reports.periods import PERIODS, over_time
from tokenaudit.reports.report import Report
from tokenaudit.reports.rows import ledger_rows, refused_rows, reject_rows
from tokenaudit.reports.selection import DIMENSIONS, Selection
from tokenaudit.reports.sessions import agents, sessions
from tokenaudit.reports.usage import Context, Shape, by

__all__ = ["REPORTS", "answer"]

Answer = Callable[..., Report]


def _by(*dimensions: str) -> Answer:
    def report(
        ledger: Ledger, selection: Selection, *, context: Context, shape: Shape | None = None
    ) -> Report:
        return by(ledger, selection, dimensions, context=context, shape=shape)

    return report


def _over_time(name: str) -> Answer:
    def report(
        ledger: Ledger, selection: Selection, *, context: Context, shape: Shape | None = None
    ) -> Report:
        return over_time(ledger, selection, name, context=context, shape=shape)

    return report


REPORTS: Final[Mapping[str, Answer]] = {
    "overview": overview,
    **{name: _over_time(name) for name in PERIODS},
    "sessions": sessions,
    "agents": agents,
    "projects": _by("project"),
    "models": _by("model"),
    "branches": _by("project", "branch"),
    "ledger": ledger_rows,
    "refused": refused_rows,
    "rejects": reject_rows,
}


def answer(
    ledger: Ledger, name: str, selection: Selection, *, context: Context, shape: Shape | None = None
) -> Report:
    """Return the report called *name*, or the usage by the dimensions that *name* lists.

    Raises UsageError, with the names there are, for any other name.
    """
    report: Answer | None = REPORTS.get(name)
    if report is None and all(_is_dimension(part) for part in name.split(",")):
        report = _by(*name.split(","))
    if report is None:
        raise UsageError(
            f"no such report: {name}",
            hint=f"There are: {', '.join(REPORTS)}; or dimensions such as project,model.",
        )
    return report(ledger, selection, context=context, shape=shape)


def _is_dimension(name: str) -> bool:
    return name in DIMENSIONS or f"{name}_id" in DIMENSIONS
