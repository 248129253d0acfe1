"""Usage over time: by hour, day, week or month."""

from tokenaudit.ledger.frame import Ledger
from tokenaudit.reports.report import Report
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import PERIODS
from tokenaudit.reports.usage import by

__all__ = ["over_time"]


def over_time(ledger: Ledger, request: Request, name: str) -> Report:
    """Return the usage per period; *name* is one of PERIODS."""
    return by(ledger, request, [PERIODS[name]], title=f"{name.capitalize()} usage")
