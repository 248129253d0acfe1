"""Which report answers to which name: the one list that the command line and the API share."""

from collections.abc import Callable, Mapping
from typing import Final

from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.errors import UsageError
from tokenaudit.reports.blocks import blocks
from tokenaudit.reports.budgets import forecast
from tokenaudit.reports.cache import cache
from tokenaudit.reports.claimed import claimed
from tokenaudit.reports.context import contexts
from tokenaudit.reports.listing import ledger_rows, refused_rows, reject_rows
from tokenaudit.reports.overview import overview
from tokenaudit.reports.periods import over_time
from tokenaudit.reports.report import Report
from tokenaudit.reports.request import Request, discounted
from tokenaudit.reports.selection import PERIODS, is_dimension
from tokenaudit.reports.sessions import agents, sessions
from tokenaudit.reports.usage import asked, by

__all__ = ["OF_WINDOWS", "REPORTS", "answer", "columns_of"]

Answer = Callable[[Ledger, Request], Report]
Columns = Callable[[Request], frozenset[str]]


def _by(*dimensions: str) -> tuple[Answer, Columns]:
    return (
        lambda ledger, request: by(ledger, request, dimensions),
        lambda request: asked(request, dimensions),
    )


def _over_time(name: str) -> tuple[Answer, Columns]:
    return (
        lambda ledger, request: over_time(ledger, request, name),
        lambda request: asked(request, [PERIODS[name]]),
    )


def _naming(answer: Answer, *dimensions: str) -> tuple[Answer, Columns]:
    return answer, lambda request: asked(request, dimensions)


REPORTS: Final[Mapping[str, tuple[Answer, Columns | None]]] = {
    "overview": _naming(overview, "session_id", "project", "model"),
    **{name: _over_time(name) for name in PERIODS},
    "blocks": _naming(blocks),
    "claimed": (claimed, None),
    "context": (contexts, None),
    "forecast": (forecast, None),
    "sessions": _naming(sessions, "session_id", "agent_id"),
    "agents": _naming(agents, "session_id", "agent_id", "agent_type"),
    "projects": _by("project"),
    "models": _by("model"),
    "branches": _by("project", "branch"),
    "cache": (cache, None),
    "ledger": (ledger_rows, None),
    "refused": (refused_rows, None),
    "rejects": _naming(reject_rows),
}
"""The reports, and the columns of the ledger that each takes; None: all of them."""

OF_WINDOWS: Final = frozenset({"context"})
"""Reports whose columns depend on what is known of models beside their prices."""


def answer(ledger: Ledger, request: Request, name: str) -> Report:
    """Return the report called *name*, or the usage by dimensions: `by project,model`.

    Dimensions may also stand alone. Raises UsageError, with the names there are, for any other name.
    """
    return _named(name)[0](ledger, discounted(ledger, request))


def columns_of(request: Request, name: str) -> frozenset[str] | None:
    """Return the columns of the ledger that the report called *name* takes; None: all of them.

    Raises UsageError as `answer` does.
    """
    columns = _named(name)[1]
    # estimates are made of what every response says
    return None if columns is None or request.shape.with_estimate else columns(request)


def _named(name: str) -> tuple[Answer, Columns | None]:
    if name in REPORTS:
        return REPORTS[name]
    dimensions = _split(name.removeprefix("by "))
    if name.startswith("by ") or all(is_dimension(part) for part in dimensions):
        return _by(*dimensions)
    raise UsageError(
        f"no such report: {name}",
        hint=f"There are: {', '.join(REPORTS)}; or dimensions such as project,model.",
    )


def _split(dimensions: str) -> list[str]:
    return [part.strip() for part in dimensions.split(",") if part.strip()]
