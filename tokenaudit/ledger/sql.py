"""Bounds on SQL that users write, before the engine sees it: how long it is, and of how many steps.

The engine descends into an expression by its own stack, one level for each operator of a chain, and
builds tables of as many rows as a function names. What a text cannot tell, such as the size of a
result, is for whoever runs it to bound: the command line does so by a process of its own.
"""

import re
from typing import Final

__all__ = ["LONGEST", "refusal"]

LONGEST: Final = 200_000
_MOST_STEPS: Final = 400
"""Half of what overflows the stack of a thread of the engine."""

_TEXTS: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_STEP: Final = re.compile(
    r"[-+*/%<>=|&^~]+"
    r"|\b(?:and|or|not|like|ilike|rlike|between|join|union|except|intersect|select)\b",
    re.IGNORECASE,
)
_SERIES: Final = re.compile(r"\b(generate_series|range)\s*\(", re.IGNORECASE)


def refusal(sql: str) -> str | None:
    """Return why *sql*, a query or an expression, is not given to the engine; None if it may be."""
    if len(sql) > LONGEST:
        return f"longer than {LONGEST:,} characters"
    bare = _TEXTS.sub(" ", sql)
    if found := _SERIES.search(bare):
        return f"{found[1]}: rows come from the tables alone"
    steps = sum(1 for _ in _STEP.finditer(bare))
    if steps > _MOST_STEPS:
        return f"of {steps:,} operators and parts; {_MOST_STEPS:,} are the most"
    return None
