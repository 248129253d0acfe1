"""Compares a claim with the ledger over the same scope, and names what lies between them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import polars as pl

from tokenaudit.analysis import vendor_pricing
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import (
    Bridge,
    Cause,
    Figure,
    Step,
    StepBasis,
    bridged,
    figure_of,
)
from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, ClaimKind
from tokenaudit.audit.reconcile.export_diff import Choose, earlier_bridge
from tokenaudit.audit.reconcile.recount import in_days, merging_bridge
from tokenaudit.audit.reconcile.scoping import compared

__all__ = ["reconciled"]


def reconciled(claim: Claim, evidence: Evidence, choose: Choose) -> Bridge:
    """Return the bridge from *claim* to the ledger's total over the same scope.

    *choose* finds what the filters of an earlier export of ours would find today. Raises ClaimError
    where such an export says of itself what cannot be used.
    """
    match claim.shape:
        case ClaimKind.STATS_CACHE | ClaimKind.CCUSAGE:
            return merging_bridge(claim, evidence)
        case ClaimKind.EXPORT:
            return earlier_bridge(claim, evidence, choose)
        case _:
            return _Calls(claim, evidence).bridge()


def _theirs(claim: Claim) -> Figure:
    return Figure(claim.counts, claim.cost_usd)


_UTC_DAY: Final = pl.col("time").dt.date()


class _Calls:
    """Totals that hold every call which was made: what transcripts lack is told by its shape."""

    def __init__(self, claim: Claim, evidence: Evidence) -> None:
        self.claim = claim
        self.card = evidence.ledger.card
        rows = evidence.rows
        self.notes = list(claim.notes)
        if claim.sessions:
            rows = rows.filter(pl.col("session_id").is_in(list(claim.sessions)))
            gone = claim.sessions - set(rows["session_id"].unique())
            if gone:
                self.notes.append(
                    f"{len(gone):,} of its {len(claim.sessions):,} sessions have no usage in these"
                    f" transcripts, such as {min(gone)}."
                )
        self.rows = in_days(rows, claim, pl.col("day"))
        self.same = in_days(rows, claim, _UTC_DAY) if claim.is_utc else self.rows
        self.matched = self._matched()
        self.found = compared(claim, self.matched, evidence)
        self.notes += self.found.notes
        self._add_doubts()

    def _matched(self) -> pl.DataFrame:
        """Return the responses that their total is about: those with an event, where it names them."""
        if not self.claim.request_ids:
            return self.same
        return self.same.filter(pl.col("request_id").is_in(list(self.claim.request_ids)))

    def _add_doubts(self) -> None:
        unpriced = self.rows["cost_usd"].null_count()
        if unpriced and self.claim.cost_usd is not None:
            self.notes.append(f"{unpriced:,} responses of ours are unpriced, and not in our cost.")

    def bridge(self) -> Bridge:
        steps = [*self._hidden(), *self._searches(), *self._prices(), *self._scope()]
        return bridged(
            self.claim,
            _theirs(self.claim),
            steps,
            figure_of(self.rows),
            self.notes,
            coverage=self.found.scope.coverage,
        )

    @property
    def _compared(self) -> pl.DataFrame:
        return self.found.scope.rows

    def _hidden(self) -> Iterator[Step]:
        for residual in self.found.residuals:
            yield from residual.steps()

    def _searches(self) -> Iterator[Step]:
        more = self.claim.web_searches - int(self._compared["web_searches"].sum())
        if more > 0:
            yield Step(
                "web searches",
                StepBasis.MEASURED,
                Figure(ClaimCounts(), -more * self.card.web_search_usd),
                f"{more:,} searches that transcripts do not count, at ${self.card.web_search_usd} each.",
                Cause.UNRECORDED_CALLS,
            )

    def _prices(self) -> Iterator[Step]:
        """Yield what Claude Code's own formula makes of our tokens, against the price list."""
        if not self.claim.is_of_claude_code or self.claim.cost_usd is None:
            return
        listed = vendor_pricing.with_prompts(self._compared)
        cheap = vendor_pricing.with_cheap_hours(listed)
        flat = vendor_pricing.with_flat_prompts(cheap)
        as_model = vendor_pricing.mispriced(flat)
        as_theirs = vendor_pricing.with_foreign(as_model)
        ways = (listed, cheap, flat, as_model, as_theirs)
        costs = vendor_pricing.list_costs(ways, self.card)
        costs[4] += sum((each.stated_usd for each in self.found.residuals), Decimal(0))
        for name, change, note in (
            ("1-hour cache writes", costs[0] - costs[1], _HOURS),
            ("long prompts", costs[1] - costs[2], _FLAT),
            ("models that Claude Code mispriced", costs[2] - costs[3], _MISPRICED),
            ("models that Claude Code has no price for", costs[3] - costs[4], _FOREIGN),
        ):
            yield Step(name, StepBasis.MEASURED, Figure(ClaimCounts(), change), note, Cause.PRICES)
        paid = figure_of(self._compared).cost_usd or Decimal(0)
        yield Step(
            "your own rates and discounts",
            StepBasis.MEASURED,
            Figure(ClaimCounts(), paid - costs[0]),
            "Costs are at your rates; theirs are at list price.",
            Cause.PRICES,
        )

    def _scope(self) -> Iterator[Step]:
        """Yield what lies between the responses that were compared and those of the claim's scope."""
        matched, same = figure_of(self.matched), figure_of(self.same)
        uncounted = self.found.scope.uncounted
        left_out = figure_of(self.matched.clear() if uncounted is None else uncounted)
        beside = matched - left_out - figure_of(self._compared)
        for name, change, note, cause in (
            ("responses that Claude Code does not count", left_out, _UNCOUNTED, Cause.COUNTING),
            (self.found.name, beside, self.found.note, Cause.SCOPE),
            ("responses without an event", same - matched, _EVENTLESS, Cause.SCOPE),
            ("time zone", figure_of(self.rows) - same, _ZONE, Cause.SCOPE),
        ):
            yield Step(name, StepBasis.MEASURED, change, note, cause)


_HOURS: Final = (
    "Claude Code up to 2.1.159 priced them at 1.25 times the input; the price list says 2 times."
)
_MISPRICED: Final = (
    "Sonnet 4.5 and 4.6 at $5/$25 in 2.1.33 to 2.1.68, Opus 4.6 at $15/$75 in 2.1.29."
)
_FLAT: Final = "Sonnet 4 and 4.5 beyond 200,000 tokens: Claude Code has no premium for them."
_FOREIGN: Final = (
    "Of other vendors, or behind a gateway: it went by $3/$15 up to 2.1.23, by $5/$25 from 2.1.71 on; for"
    " versions between, what it says of them stands."
)
_UNCOUNTED: Final = (
    "Interrupted ones, and up to 2.1.77 those that were asked for again: they are in transcripts, and in no"
    " total of its."
)
_EVENTLESS: Final = "They are in transcripts, but telemetry has no event of their request."
_ZONE: Final = "Its days are those of UTC, ours those of your zone."
