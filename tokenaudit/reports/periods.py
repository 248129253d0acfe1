"""Usage over time: by hour, day, week or month."""

from typing import Final

from tokenaudit.ledger import Ledger
from tokenaudit.reports.question import Question
from tokenaudit.reports.report import Report
from tokenaudit.reports.usage import by

__all__ = ["PERIODS", "over_time"]

PERIODS: Final = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}
"""The period of each report over time."""


def over_time(ledger: Ledger, question: Question, name: str) -> Report:
    """Return the usage per period; *name* is one of PERIODS."""
    return by(ledger, question, [PERIODS[name]], title=f"{name.capitalize()} usage")
