"""Budgets as values: so many dollars in a day, week, month, block or session, perhaps of one project.

How they are written is the same on the command line, in the environment and in the settings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

__all__ = ["Budget", "Period", "amount", "parse", "texts"]

_FORM: Final = re.compile(r"(?:(?P<project>.+)=)?\s*\$?(?P<amount>[^/]+)/(?P<period>\w+)\s*")
_AMOUNT: Final = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)


class Period(StrEnum):
    """What a budget is for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    BLOCK = "block"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount in US dollars that a period should not cost more than."""

    amount_usd: Decimal
    period: Period
    project: str | None = None
    """A glob of projects; None for all of them."""

    def __str__(self) -> str:
        """Return it as it is written: `25/day`, `webshop=10/month`."""
        plain = f"{self.amount_usd:f}/{self.period}"
        return f"{self.project}={plain}" if self.project else plain


def amount(text: str) -> Decimal:
    """Read an amount of US dollars: `25`, `25.50`, `$25`. Raises ValueError for anything else."""
    plain = text.strip().removeprefix("$")
    if not _AMOUNT.fullmatch(plain):
        raise ValueError(f"not an amount of US dollars: {text}")
    return Decimal(plain)


def parse(text: str) -> Budget:
    """Read a budget: `25/day`, or of a project `webshop=10/month`. Raises ValueError for others."""
    match = _FORM.fullmatch(text)
    periods = ", ".join(Period)
    if match is None:
        raise ValueError(f"not a budget: {text} (write 25/day, or PROJECT=10/month)")
    if match["period"] not in set(Period):
        raise ValueError(f"not a period of a budget: {match['period']} (there are: {periods})")
    found = amount(match["amount"])
    if not found:
        raise ValueError(f"a budget of nothing: {text}")
    return Budget(found, Period(match["period"]), match["project"])


def texts(table: Mapping[str, Any]) -> list[str]:
    """Return the budgets of a `[budget]` table of the settings, each as it is written elsewhere.

    `day = 25` and the other periods; `[budget.project]` with `webshop = "10/day"`. Raises ValueError
    for what is neither.
    """
    found = []
    for key, value in table.items():
        if key == "project" and isinstance(value, Mapping):
            found += [f"{project}={said}" for project, said in value.items()]
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            found.append(f"{value}/{key}")
        else:
            raise ValueError(f"{key}: not an amount of US dollars")
    return found
