"""Bridges from totals of the same transcripts: what lies between is how lines are merged and priced."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.analysis import vendor_pricing
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import (
    ROUNDING,
    Bridge,
    Cause,
    Figure,
    Step,
    StepBasis,
    bridged,
    figure_of,
)
from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, ClaimKind, ClaimLine
from tokenaudit.audit.reconcile.counting_methods import Way, nearest, ways
from tokenaudit.ledger.frame import TOKENS
from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.cost import USD, price
from tokenaudit.transcripts.usage_lines import as_columns

__all__ = ["in_days", "merging_bridge", "usage_lines"]

_USAGE_LINES: Final[Mapping[str, Any]] = {
    "path": pl.String,
    "line": pl.Int64,
    "message_id": pl.String,
    "request_id": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "model": pl.String,
    "stop_reason": pl.String,
    "speed": pl.String,
    "inference_geo": pl.String,
    "service_tier": pl.String,
    "web_searches": pl.Int64,
    **dict.fromkeys(TOKENS, pl.Int64),
    "is_progress": pl.Boolean,
}


def in_days(rows: pl.DataFrame, claim: Claim, day: pl.Expr) -> pl.DataFrame:
    """Return the *rows* of the days that *claim* is about."""
    if claim.since is not None:
        rows = rows.filter(day >= claim.since)
    if claim.until is not None:
        rows = rows.filter(day <= claim.until)
    return rows


def merging_bridge(claim: Claim, evidence: Evidence) -> Bridge:
    """Return the bridge from *claim*, which another tool worked out from the same transcripts."""
    views = list(_views(claim, evidence))
    theirs = Figure(claim.counts, claim.cost_usd)
    card = evidence.ledger.card
    if claim.shape is ClaimKind.STATS_CACHE:
        whole = views[-1] if evidence.is_filtered else views[0]
        steps = [*_stats_steps(whole.rows, whole.lines, card), *whole.steps]
    else:
        steps = list(_steps(claim, theirs, views, card))
    return bridged(claim, theirs, steps, figure_of(views[0].rows), claim.notes)


class _View(Struct, frozen=True):
    """What theirs may be about."""

    rows: pl.DataFrame
    lines: pl.DataFrame
    steps: tuple[Step, ...] = ()
    """From it to what was asked for."""


def _views(claim: Claim, evidence: Evidence) -> Iterator[_View]:
    """Yield what was asked for; the same with days of UTC; and both without the filters of today."""
    own = evidence.zone
    chosen = evidence.rows.drop("day", strict=False)
    lines = usage_lines(evidence)
    told = _lines_of(chosen, lines) if evidence.is_filtered else lines
    asked = _view(claim, chosen, told, own)
    yield asked
    has_days = claim.since is not None or claim.until is not None
    zones = [own, "UTC"] if has_days and own != "UTC" else [own]
    for zone in zones[1:]:
        other = _view(claim, chosen, told, zone)
        yield replace(other, steps=(_between(other, asked, *_ZONE),))
    if evidence.is_filtered:
        whole = _view(claim, evidence.ledger.frame, lines, own)
        unfiltered = _between(whole, asked, *_FILTERS)
        for zone in reversed(zones):
            other = _view(claim, evidence.ledger.frame, lines, zone)
            yield replace(other, steps=(_between(other, whole, *_ZONE), unfiltered))


def _view(claim: Claim, rows: pl.DataFrame, lines: pl.DataFrame, zone: str) -> _View:
    return _View(_in_scope(rows, claim, zone), _in_scope(lines, claim, zone))


def _between(one: _View, other: _View, name: str, note: str) -> Step:
    return Step(
        name, StepBasis.MEASURED, figure_of(other.rows) - figure_of(one.rows), note, Cause.SCOPE
    )


def _lines_of(rows: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Return those of *lines* that say the responses *rows*."""
    is_named = pl.col("message_id").is_in(rows["response_id"].drop_nulls().unique().implode())
    places = rows.select(path="source_path", line="source_line", is_source=pl.lit(value=True))
    return (
        lines.join(places.unique(), on=["path", "line"], how="left", maintain_order="left")
        .filter(is_named.fill_null(value=False) | pl.col("is_source"))
        .drop("is_source")
    )


def usage_lines(evidence: Evidence) -> pl.DataFrame:
    """Return all lines that tell usage, with whose transcript they stand in."""
    known = evidence.facts.transcripts.select("path", "session_id", "agent_id")
    lines = pl.DataFrame(as_columns(known["path"].sort()), _USAGE_LINES)
    return lines.join(known, on="path", maintain_order="left")


def _in_scope(rows: pl.DataFrame, claim: Claim, zone: str) -> pl.DataFrame:
    rows = in_days(rows, claim, pl.col("time").dt.convert_time_zone(zone).dt.date())
    if claim.first_time is not None:
        rows = rows.filter(pl.col("time") >= claim.first_time)
    if claim.last_time is not None:
        rows = rows.filter(pl.col("time") <= claim.last_time)
    return rows


_ZONE: Final = ("time zone", "Its days are those of UTC, ours those of your zone.")
_FILTERS: Final = ("filters of today", "What theirs tells, and your filters leave out.")


def _stats_steps(rows: pl.DataFrame, lines: pl.DataFrame, card: RateCard) -> Iterator[Step]:
    is_main = pl.col("agent_id") == MAIN_AGENT
    every = figure_of(price(lines.filter(is_main & ~pl.col("is_progress")), card))
    ours = figure_of(rows.filter(is_main))
    yield Step(
        "copies merged",
        StepBasis.MEASURED,
        ours - every,
        "It adds up every line of the sessions' own files: a response of three lines counts three times.",
        Cause.COUNTING,
    )
    yield Step(
        "subagents",
        StepBasis.MEASURED,
        figure_of(rows) - ours,
        "It leaves the files of subagents out.",
        Cause.COUNTING,
    )


def _steps(claim: Claim, theirs: Figure, views: Sequence[_View], card: RateCard) -> Iterator[Step]:
    """Yield what is not of these transcripts, then their prices, then their way of counting."""
    for foreign in _foreign(claim, views[-1].rows, card):
        yield foreign
        theirs = theirs + foreign.change
    known = [
        replace(way, steps=(*way.steps, *view.steps))
        for view in views
        for way in (
            *ways(view.rows, view.lines, card),
            *_of_listed(claim, view.rows, view.lines, card),
        )
    ]
    way = nearest(known, theirs)
    yield from _prices(claim, theirs, way, card)
    yield from way.steps


def _of_listed(
    claim: Claim, rows: pl.DataFrame, lines: pl.DataFrame, card: RateCard
) -> Iterator[Way]:
    """Yield the ways of counting the sessions alone that theirs lists, where these are not all."""
    is_listed = pl.col("session_id").is_in(list(claim.sessions))
    listed = rows.filter(is_listed)
    if rows.height > listed.height > 0:
        others = Step(
            "sessions that theirs does not list",
            StepBasis.MEASURED,
            figure_of(rows) - figure_of(listed),
            "They are in these transcripts, within the same days.",
            Cause.SCOPE,
        )
        for way in ways(listed, lines.filter(is_listed), card):
            yield replace(way, steps=(*way.steps, others))


def _foreign(claim: Claim, rows: pl.DataFrame, card: RateCard) -> Iterator[Step]:
    """Yield the models that theirs names and these transcripts do not."""
    known = {card.key_of(model) for model in rows["model"].unique().drop_nulls()}
    for line in claim.lines:
        if line.model is not None and card.key_of(line.model) not in known and line.counts:
            yield Step(
                f"usage of {line.model}",
                StepBasis.STATED,
                -Figure(line.counts, line.cost_usd or Decimal(0)),
                "No response of it is in these transcripts: another program's, perhaps, or another root's.",
                Cause.SCOPE,
            )


# prices


def _prices(claim: Claim, theirs: Figure, way: Way, card: RateCard) -> Iterator[Step]:
    """Yield what the same tokens cost at the price list, against their prices, by model.

    Without the same tokens a difference of cost says nothing of prices.
    """
    if theirs.cost_usd is None or theirs.counts != way.figure.counts:
        return
    found: dict[tuple[str, StepBasis], Step] = {}
    for line, rows in _by_model(claim, theirs, way, card):
        for step in _prices_of(line, rows, card):
            same = found.get((step.name, step.basis))
            both = step.change if same is None else same.change + step.change
            found[step.name, step.basis] = replace(step, change=both)
    yield from found.values()


def _by_model(
    claim: Claim, theirs: Figure, way: Way, card: RateCard
) -> list[tuple[ClaimLine, pl.DataFrame]]:
    """Return their lines by model with our rows of it; all as one where theirs does not tell models."""
    whole = [(ClaimLine(None, theirs.counts, theirs.cost_usd), way.rows)]
    models = way.rows["model"].unique().drop_nulls()
    keys = {model: card.key_of(model) for model in models}
    rows = way.rows.with_columns(
        key=pl.col("model").replace_strict(keys, default=None, return_dtype=pl.String)
    )
    lines = _keyed(claim.lines, card)
    pairs = [(line, rows.filter(pl.col("key") == key)) for key, line in lines.items()]
    told = [(line, found) for line, found in pairs if found.height]
    is_told = all(
        line.counts == figure_of(found).counts and line.cost_usd is not None for line, found in told
    )
    return told if told and is_told else whole


def _keyed(lines: Sequence[ClaimLine], card: RateCard) -> dict[str, ClaimLine]:
    from tokenaudit.audit.reconcile.claims.claim import summed

    named = [
        replace(line, model=card.key_of(line.model)) for line in lines if line.model is not None
    ]
    return {str(line.model): line for line in summed(named)}


def _prices_of(line: ClaimLine, rows: pl.DataFrame, card: RateCard) -> Iterator[Step]:
    ours, theirs = _cost(rows), line.cost_usd or Decimal(0)
    of_model = "" if line.model is None else f" ({line.model})"
    if abs(ours - theirs) < ROUNDING:
        return
    if rows["cost_usd"].null_count() == rows.height:
        note = "They price it; no rate is known here, and nothing of it is in our cost."
        yield _price_step(f"unpriced here{of_model}", StepBasis.STATED, -theirs, note)
        return
    if not theirs:
        note = "They have no price of it, and count it as free."
        yield _price_step(f"unpriced there{of_model}", StepBasis.STATED, ours, note)
        return
    recorded = _recorded(rows)
    if recorded is not None and abs(recorded - theirs) < ROUNDING:
        note = "They take the cost that old transcripts recorded; ours is the price list's."
        yield _price_step("recorded costs", StepBasis.MEASURED, ours - theirs, note)
        return
    short = _cost(vendor_pricing.repriced(vendor_pricing.with_cheap_hours(rows, always=True), card))
    is_nearer = 2 * abs(short - theirs) <= abs(ours - theirs)
    if is_nearer:
        basis = StepBasis.MEASURED if abs(short - theirs) < ROUNDING else StepBasis.INFERRED
        note = (
            "Theirs are priced as 5-minute ones; the price list says 2 times the input for an hour."
        )
        yield _price_step("1-hour cache writes", basis, ours - short, note)
    rest = (short if is_nearer else ours) - theirs
    if abs(rest) >= ROUNDING:
        note = "The same tokens at the price list of their days, against their prices."
        yield _price_step(f"prices{of_model}", StepBasis.MEASURED, rest, note)


def _price_step(name: str, basis: StepBasis, change: Decimal, note: str) -> Step:
    return Step(name, basis, Figure(ClaimCounts(), change), note, Cause.PRICES)


def _cost(rows: pl.DataFrame) -> Decimal:
    return figure_of(rows).cost_usd or Decimal(0)


def _recorded(rows: pl.DataFrame) -> Decimal | None:
    """Return the sum of the costs that lines recorded, and of ours where they did not."""
    if "recorded_cost_usd" not in rows.columns or not rows["recorded_cost_usd"].count():
        return None
    recorded = pl.col("recorded_cost_usd").cast(USD, strict=False)
    found = rows.select(pl.coalesce(recorded, "cost_usd").sum()).item()
    return Decimal(found)
