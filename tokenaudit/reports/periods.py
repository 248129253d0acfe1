"""Usage over time: by hour, day, week or month."""

from collections.abc import Sequence
from typing import Final

from tokenaudit.ledger import Ledger
from tokenaudit.reports.report import Report
from tokenaudit.reports.selection import Selection
from tokenaudit.reports.usage import Context, Shape, by

__all__ = ["PERIODS", "over_time"]

PERIODS: Final = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}
"""The period of each report over time."""


def over_time(
    ledger: Ledger,
    selection: Selection,
    name: str,
    *,
    context: Context,
    shape: Shape | None = None,
    within: Sequence[str] = (),
) -> Report:
    """Return the usage per period; *name* is one of PERIODS, *within* splits periods further."""
    return by(
        ledger,
        selection,
        [PERIODS[name], *within],
        context=context,
        shape=shape,
        title=f"{name.capitalize()} usage",
    )
