"""Compares a claim with the ledger over the same scope, and names what lies between them."""

import dataclasses
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.analysis import vendor_pricing
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import Basis, Bridge, Cause, Figure, Step, bridged, figure_of
from tokenaudit.audit.reconcile.claims import Claim, ClaimKind, Counts, Line
from tokenaudit.audit.reconcile.export_diff import Choose, earlier_bridge
from tokenaudit.audit.reconcile.recount import in_days, merging_bridge
from tokenaudit.audit.reconcile.unrecorded_calls import Hidden, Signs, hidden_calls
from tokenaudit.ledger.frame import TOKENS
from tokenaudit.model.terms import Quality
from tokenaudit.pricing.cost import price

__all__ = ["reconciled"]

_UNSURE: Final = (Quality.PLACEHOLDER.value, Quality.LOWER_BOUND.value)


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
        self.evidence = dataclasses.replace(evidence, rows=self.same)
        self._add_doubts()

    def _add_doubts(self) -> None:
        unpriced = self.rows["cost_usd"].null_count()
        if unpriced and self.claim.cost_usd is not None:
            self.notes.append(f"{unpriced:,} responses of ours are unpriced, and not in our cost.")

    def bridge(self) -> Bridge:
        steps = [*self._without_event(), *self._hidden(), *self._searches(), *self._prices()]
        zone = figure_of(self.rows) - figure_of(self.same)
        steps.append(
            Step(
                "time zone",
                Basis.MEASURED,
                zone,
                "Its days are those of UTC, ours those of your zone.",
                Cause.SCOPE,
            )
        )
        return bridged(self.claim, _theirs(self.claim), steps, figure_of(self.rows), self.notes)

    @property
    def _matched(self) -> pl.DataFrame:
        """The responses that their total is about: those with an event, where it names them."""
        if not self.claim.request_ids:
            return self.same
        return self.same.filter(pl.col("request_id").is_in(list(self.claim.request_ids)))

    def _without_event(self) -> Iterator[Step]:
        if self.claim.request_ids:
            change = figure_of(self.same) - figure_of(self._matched)
            yield Step(
                "responses without an event",
                Basis.MEASURED,
                change,
                "They are in transcripts, but telemetry has no event of their request.",
                Cause.SCOPE,
            )

    def _hidden(self) -> Iterator[Step]:
        rows = self._matched.with_columns(key=self._keys(self._matched))
        named = [line for line in self.claim.lines if line.counts and line.model is not None]
        lines = self._by_key(named)
        compactions = self.evidence.facts.compactions.filter(pl.col("kind") == "compact").join(
            self.evidence.facts.transcripts.filter(
                pl.col("session_id").is_in(self.same["session_id"].unique().implode())
            ),
            on="path",
            how="semi",
        )
        marked = compactions.height
        recaps = self.evidence.traces.filter(pl.col("kind") == "recap").height if lines else 0
        for key, line in lines.items():
            ours = rows.filter(pl.col("key") == key)
            counts = figure_of(ours).counts
            assert line.counts is not None and counts is not None  # noqa: S101, PT018 - both are told
            signs = Signs(
                is_small="haiku" in key,
                is_absent=ours.is_empty(),
                has_lost_output=ours["quality"].is_in(list(_UNSURE)).any(),
                compactions=marked,
                recaps=recaps,
            )
            for hidden in hidden_calls(key, line.counts - counts, signs):
                yield self._step(hidden, key, line, signs)

    def _keys(self, rows: pl.DataFrame) -> pl.Series:
        models = rows["model"].unique().drop_nulls()
        keys = {model: self.card.key_of(model) for model in models}
        return rows["model"].replace_strict(keys, default=None, return_dtype=pl.String)

    def _by_key(self, lines: Sequence[Line]) -> dict[str, Line]:
        from tokenaudit.audit.reconcile.claims.claim import summed

        keyed = [replace(line, model=self.card.key_of(line.model or "")) for line in lines]
        return {str(line.model): line for line in summed(keyed)}

    def _step(self, hidden: Hidden, key: str, line: Line, signs: Signs) -> Step:
        cost = self._cost_of(key, hidden.counts)
        if signs.is_absent and line.cost_usd is not None:
            # all that they say of the model: their own figure of its cost, without the searches
            cost = line.cost_usd - line.web_searches * self.card.web_search_usd
        return Step(
            hidden.name, Basis.INFERRED, -Figure(hidden.counts, cost), hidden.note, hidden.cause
        )

    def _cost_of(self, model: str, counts: Counts) -> Decimal:
        """Price tokens that no line holds: at the last day of the scope, writes as 5-minute ones."""
        at = self.same["time"].max() if self.same.height else self.evidence.now
        row = pl.DataFrame(
            {
                "model": [model],
                "time": [at],
                "speed": [None],
                "inference_geo": [None],
                "service_tier": [None],
                "web_searches": [0],
                "input_tokens": [counts.input],
                "output_tokens": [counts.output],
                "cache_read_tokens": [counts.cache_read],
                "cache_write_5m_tokens": [counts.cache_write],
                "cache_write_1h_tokens": [0],
            },
            {
                **dict.fromkeys(("model", "speed", "inference_geo", "service_tier"), pl.String),
                "time": pl.Datetime("us", "UTC"),
                **dict.fromkeys((*TOKENS, "web_searches"), pl.Int64),
            },
        )
        return price(row, self.card)["cost_usd"].item() or Decimal(0)

    def _searches(self) -> Iterator[Step]:
        ours = self._matched["web_searches"].sum()
        more = self.claim.web_searches - int(ours)
        if more > 0:
            yield Step(
                "web searches",
                Basis.MEASURED,
                Figure(Counts(), -more * self.card.web_search_usd),
                f"{more:,} searches that transcripts do not count, at ${self.card.web_search_usd} each.",
                Cause.UNRECORDED_CALLS,
            )

    def _prices(self) -> Iterator[Step]:
        """Yield what Claude Code's own formula makes of our tokens, against the price list."""
        if not self.claim.is_of_claude_code or self.claim.cost_usd is None:
            return
        listed = vendor_pricing.repriced(self._matched, self.card)
        cheap = vendor_pricing.with_cheap_hours(listed)
        as_cheap = vendor_pricing.repriced(cheap, self.card)
        as_theirs = vendor_pricing.repriced(vendor_pricing.mispriced(cheap), self.card)
        costs = [_cost(each) for each in (listed, as_cheap, as_theirs)]
        yield Step(
            "1-hour cache writes",
            Basis.MEASURED,
            Figure(Counts(), costs[0] - costs[1]),
            "Claude Code up to 2.1.159 priced them at 1.25 times the input; the price list says 2 times.",
            Cause.PRICES,
        )
        yield Step(
            "models that Claude Code mispriced",
            Basis.MEASURED,
            Figure(Counts(), costs[1] - costs[2]),
            "Sonnet 4.5 and 4.6 at $5/$25 in 2.1.38 to 2.1.68, Opus 4.6 at $15/$75 in 2.1.29.",
            Cause.PRICES,
        )
        paid = figure_of(self._matched).cost_usd or Decimal(0)
        yield Step(
            "your own rates and discounts",
            Basis.MEASURED,
            Figure(Counts(), paid - costs[0]),
            "Costs are at your rates; theirs are at list price.",
            Cause.PRICES,
        )


def _cost(rows: pl.DataFrame) -> Decimal:
    return rows["list_cost_usd"].sum() or Decimal(0)  # type: ignore[return-value]
