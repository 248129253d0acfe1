"""What a report is asked: which responses, in which shape, by whom and when."""

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from tokenaudit.model.budgets import Budget
from tokenaudit.reports.selection import Selection

if TYPE_CHECKING:
    from tokenaudit.ledger.frame import Ledger

__all__ = ["Layout", "Request", "discounted"]


class Layout(Struct, frozen=True):
    """How the rows of a report are cut and ordered."""

    sort: str | None = None
    """A column of the report; None for the report's own order."""
    descending: bool | None = None
    """None for the order that fits the column: names and times rising, figures falling."""
    limit: int | None = None
    with_cost: bool = True
    full: bool = False
    """Whether to add the parts of the cost."""
    with_list_cost: bool = False
    """Whether to show the list cost beside: set where a discount is in force."""
    with_estimate: bool = False
    """Whether to show estimates of lost output, and of what it cost, beside what is recorded."""
    breakdown: bool = False
    """Whether to split each row by model."""


class Request(Struct, frozen=True):
    """A question to the ledger; the clock is read by whoever asks."""

    command: str
    version: str
    now: datetime
    selection: Selection = field(default_factory=Selection)
    shape: Layout = field(default_factory=Layout)
    budgets: tuple[Budget, ...] = ()
    """Budgets of the user, for reports that show how much of them is used."""


def discounted(ledger: "Ledger", request: Request) -> Request:
    """Return *request*, asking for the list cost too where a discount makes it another figure.

    And for no estimates of a ledger that has none.
    """
    shape = request.shape
    return replace(
        request,
        shape=replace(
            shape,
            with_list_cost=shape.with_list_cost or bool(ledger.card.discounts),
            with_estimate=shape.with_estimate and ledger.calibration is not None,
        ),
    )
