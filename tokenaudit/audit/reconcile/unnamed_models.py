"""Totals that name no models, as 1.0.x stated them: two equations, tokens and cost, for two unknowns.

What the small model was asked on the side, and the output that no line tells, are told apart by their
prices. With more than one model of the main loop there are more unknowns: then they are one step.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from tokenaudit.audit.reconcile.bridge import ROUNDING, Cause
from tokenaudit.audit.reconcile.claims import ClaimCounts
from tokenaudit.audit.reconcile.unrecorded_calls import Hidden

__all__ = ["SMALL_MODEL", "Price", "Priced", "solved"]

SMALL_MODEL: Final = "claude-3-5-haiku"
"""The small model of 1.0.x."""


class Price(NamedTuple):
    """US dollars of one token."""

    input: Decimal
    output: Decimal


class Priced(NamedTuple):
    """A part of a residual and its cost in US dollars."""

    part: Hidden
    cost: Decimal


def solved(
    counts: ClaimCounts, cost: Decimal, small: Price, main: Sequence[Price]
) -> Iterator[Priced]:
    """Yield what *counts*, which cost *cost*, are: calls of the *small* model, and lost output.

    *main* has the prices of the models whose output may be lost. Nothing is yielded where no such
    split has that cost, or where the cache was used.
    """
    if counts.cache_read or counts.cache_write or min(counts.input, counts.output) < 0 or not main:
        return
    more = cost - counts.input * small.input - counts.output * small.output
    dearest = max(each.output for each in main) - small.output
    if not -ROUNDING <= more <= counts.output * dearest + ROUNDING:
        return
    if len(main) > 1:
        yield Priced(Hidden(_BOTH, counts, _BOTH_NOTE), cost)
        return
    lost = min(counts.output, max(0, round(more / dearest)))
    asked = ClaimCounts(counts.input, counts.output - lost)
    price = asked.input * small.input + asked.output * small.output
    if asked != ClaimCounts():
        yield Priced(Hidden(f"calls of the small model ({SMALL_MODEL})", asked, _SOLVED), price)
    if lost:
        part = Hidden(
            "output that no line tells", ClaimCounts(output=lost), _SOLVED, Cause.LOST_OUTPUT
        )
        yield Priced(part, cost - (price if asked != ClaimCounts() else 0))


_SOLVED: Final = "The total names no models: worked out from its tokens and its cost, two equations for two unknowns."
_BOTH: Final = "calls of the small model, and output that no line tells"
_BOTH_NOTE: Final = "The total names no models, and several were used: tokens and cost allow it, and do not tell them apart."
