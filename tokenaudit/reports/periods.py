"""Usage over time: by hour, day, week or month."""

from tokenaudit.ledger import Ledger
from tokenaudit.reports.question import Question
from tokenaudit.reports.report import Report
from tokenaudit.reports.selection import PERIODS
from tokenaudit.reports.usage import by

__all__ = ["over_time"]


def over_time(ledger: Ledger, question: Question, name: str) -> Report:
    """Return the usage per period; *name* is one of PERIODS."""
    return by(ledger, question, [PERIODS[name]], title=f"{name.capitalize()} usage")
