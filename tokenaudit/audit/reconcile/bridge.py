"""A bridge from another's total to ours: named steps with numbers, which sum exactly.

What no step explains is a step of its own, so that nothing is hidden in a rounding.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts
from tokenaudit.ledger.frame import TOKENS

__all__ = [
    "ROUNDING",
    "Bridge",
    "Cause",
    "Coverage",
    "Figure",
    "Step",
    "StepBasis",
    "bridged",
    "figure_of",
]

ROUNDING: Final = Decimal("1e-6")
"""US dollars: what sums of binary floats, as others keep costs, may be off by."""


class StepBasis(StrEnum):
    """How a row of a bridge is known."""

    STATED = "stated"
    """The other program says it."""
    MEASURED = "measured"
    """It was worked out from the lines of transcripts and the rate card."""
    INFERRED = "inferred"
    """Its shape is that of calls which are known, but no line says so."""
    UNEXPLAINED = "unexplained"
    """The rest."""
    OURS = "ours"


class Cause(StrEnum):
    """Why two totals differ, as far as a step of a bridge tells."""

    UNRECORDED_CALLS = "unrecorded calls"
    """Theirs holds calls that no transcript does."""
    LOST_OUTPUT = "lost output"
    """Lines hold a placeholder, or a part, of what was put out."""
    PRICES = "prices"
    """The same tokens, at another price."""
    SCOPE = "scope"
    """Theirs is about more, or less."""
    COUNTING = "counting"
    """The same lines, counted otherwise."""
    UNEXPLAINED = "unexplained"


class Coverage(StrEnum):
    """What a total is about, beside the session that it names."""

    WHOLE = "the session"
    EARLIER_TOO = "the session and those that /clear ended before it"
    PARENT_TOO = "the session and what it was forked from"
    PART = "a part of the session: that of one process"
    UNKNOWN = "not told"


class Figure(Struct, frozen=True):
    """Tokens by class and US dollars; either is None where one of the two sides does not tell it."""

    counts: ClaimCounts | None
    cost_usd: Decimal | None

    def __add__(self, other: "Figure") -> "Figure":
        """Add what both tell."""
        has_counts = self.counts is not None and other.counts is not None
        has_cost = self.cost_usd is not None and other.cost_usd is not None
        return Figure(
            self.counts + other.counts if has_counts else None,  # type: ignore[operator]
            self.cost_usd + other.cost_usd if has_cost else None,  # type: ignore[operator]
        )

    def __neg__(self) -> "Figure":
        """Return it as what is taken away."""
        return Figure(
            None if self.counts is None else -self.counts,
            None if self.cost_usd is None else -self.cost_usd,
        )

    def __sub__(self, other: "Figure") -> "Figure":
        """Subtract what both tell."""
        return self + -other

    def like(self, other: "Figure") -> "Figure":
        """Return it without what *other* does not tell."""
        return Figure(
            None if other.counts is None else self.counts,
            None if other.cost_usd is None else self.cost_usd,
        )

    @property
    def is_nothing(self) -> bool:
        """Whether it changes nothing."""
        return not self.cost_usd and (self.counts is None or self.counts == ClaimCounts())


def figure_of(rows: pl.DataFrame) -> Figure:
    """Return the sum of *rows* of a ledger; its cost is that of the priced ones."""
    sums = rows.select(
        *(pl.col(name).cast(pl.Int128).sum() for name in TOKENS), cost=pl.col("cost_usd").sum()
    ).row(0, named=True)
    writes = sums["cache_write_5m_tokens"] + sums["cache_write_1h_tokens"]
    counts = ClaimCounts(
        sums["input_tokens"], sums["output_tokens"], sums["cache_read_tokens"], writes
    )
    return Figure(counts, sums["cost"] or Decimal(0))


class Step(Struct, frozen=True):
    """What is added to the figure before it."""

    name: str
    basis: StepBasis
    change: Figure
    note: str
    cause: Cause


class Bridge(Struct, frozen=True):
    """From their figure, by steps, to ours."""

    claim: Claim
    theirs: Figure
    steps: tuple[Step, ...]
    """The last one is the rest that the others do not explain."""
    ours: Figure
    notes: tuple[str, ...] = ()
    coverage: Coverage = Coverage.WHOLE

    @property
    def unexplained(self) -> Figure:
        """The rest."""
        return self.steps[-1].change

    def of(self, cause: Cause) -> Figure:
        """Return the sum of the steps of one *cause*: what to add to theirs for it."""
        nothing = Figure(ClaimCounts(), Decimal(0)).like(self.theirs)
        return sum((step.change for step in self.steps if step.cause is cause), nothing)


def bridged(
    claim: Claim,
    theirs: Figure,
    steps: Sequence[Step],
    ours: Figure,
    notes: Sequence[str] = (),
    *,
    coverage: Coverage = Coverage.WHOLE,
) -> Bridge:
    """Return the bridge from *theirs* by *steps* to *ours*; the rest becomes its last step.

    Every figure is narrowed to what both sides tell; steps that change nothing are left out. A rest of
    less than ROUNDING dollars and of no token is told as what it is: the rounding of their sums.
    """
    both = ours.like(theirs)
    start = theirs.like(both)
    taken = list(_narrowed(steps, both.like(start)))
    rest = both - start
    for step in taken:
        rest = rest - step.change
    if _is_rounding(rest):
        taken.append(
            Step(
                "rounding",
                StepBasis.MEASURED,
                rest,
                "Their costs are sums of binary floats.",
                Cause.PRICES,
            )
        )
        rest = rest - rest
    last = Step(
        "unexplained", StepBasis.UNEXPLAINED, rest, "What no step explains.", Cause.UNEXPLAINED
    )
    return Bridge(claim, start, (*taken, last), both, tuple(notes), coverage)


def _is_rounding(rest: Figure) -> bool:
    is_of_cost = rest.counts is None or rest.counts == ClaimCounts()
    return is_of_cost and bool(rest.cost_usd) and abs(rest.cost_usd or Decimal(0)) < ROUNDING


def _narrowed(steps: Sequence[Step], told: Figure) -> Iterator[Step]:
    for step in steps:
        change = Figure(
            None if told.counts is None else step.change.counts or ClaimCounts(),
            None if told.cost_usd is None else step.change.cost_usd or Decimal(0),
        )
        if not change.is_nothing:
            yield replace(step, change=change)
