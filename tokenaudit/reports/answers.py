"""Which report answers to which name: the one list that the command line and the API share."""

from collections.abc import Callable, Mapping
from typing import Final

from tokenaudit.errors import UsageError
from tokenaudit.ledger import Ledger
from tokenaudit.reports.blocks import blocks
from tokenaudit.reports.budgets import forecast
from tokenaudit.reports.cache import cache
from tokenaudit.reports.context import contexts
from tokenaudit.reports.overview import overview
from tokenaudit.reports.periods import over_time
from tokenaudit.reports.question import Question, discounted
from tokenaudit.reports.report import Report
from tokenaudit.reports.rows import ledger_rows, refused_rows, reject_rows
from tokenaudit.reports.selection import PERIODS, is_dimension
from tokenaudit.reports.sessions import agents, sessions
from tokenaudit.reports.usage import by

__all__ = ["REPORTS", "answer"]

Answer = Callable[[Ledger, Question], Report]


def _by(*dimensions: str) -> Answer:
    return lambda ledger, question: by(ledger, question, dimensions)


def _over_time(name: str) -> Answer:
    return lambda ledger, question: over_time(ledger, question, name)


REPORTS: Final[Mapping[str, Answer]] = {
    "overview": overview,
    **{name: _over_time(name) for name in PERIODS},
    "blocks": blocks,
    "context": contexts,
    "forecast": forecast,
    "sessions": sessions,
    "agents": agents,
    "projects": _by("project"),
    "models": _by("model"),
    "branches": _by("project", "branch"),
    "cache": cache,
    "ledger": ledger_rows,
    "refused": refused_rows,
    "rejects": reject_rows,
}


def answer(ledger: Ledger, question: Question, name: str) -> Report:
    """Return the report called *name*, or the usage by dimensions: `by project,model`.

    Dimensions may also stand alone. Raises UsageError, with the names there are, for any other name.
    """
    report: Answer | None = REPORTS.get(name)
    if report is None and name.startswith("by "):
        report = _by(*_split(name.removeprefix("by ")))
    if report is None and all(is_dimension(part) for part in _split(name)):
        report = _by(*_split(name))
    if report is None:
        raise UsageError(
            f"no such report: {name}",
            hint=f"There are: {', '.join(REPORTS)}; or dimensions such as project,model.",
        )
    return report(ledger, discounted(ledger, question))


def _split(dimensions: str) -> list[str]:
    return [part.strip() for part in dimensions.split(",") if part.strip()]
