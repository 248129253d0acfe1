"""Bridges from an earlier export of ours: what came, went, or counts and costs otherwise since then.

Where it holds single responses they are compared one by one; else its totals are with those of the same
filters and days, as far as what it says of itself allows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import polars as pl

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import counted
from tokenaudit.audit.reconcile.bridge import (
    Bridge,
    Cause,
    Figure,
    Step,
    StepBasis,
    bridged,
    figure_of,
)
from tokenaudit.audit.reconcile.claims import Claim, ClaimError, Held
from tokenaudit.audit.verify.provenance import Filters, Provenance, changes_of_pricing
from tokenaudit.ledger.frame import RULES, TOKENS
from tokenaudit.pricing.cost import USD
from tokenaudit.transcripts.file_digest import lines_in

__all__ = ["Choose", "earlier_bridge"]

Choose = Callable[[Filters, str], pl.DataFrame]
"""Returns the responses of the ledger that filters choose, with days cut in a zone."""

_HELD: Final[Mapping[str, Any]] = {
    **dict.fromkeys(Held._fields, pl.Int64),
    **dict.fromkeys(("response_id", "request_id", "time", "source_path"), pl.String),
    "cost_usd": USD,
}
_KEY: Final = ("response_id", "request_id", "number")


class _Stood(msgspec.Struct, frozen=True):
    """What an export says that it stood on; a report that is no export says less, a CSV nothing."""

    generated_at: datetime | None = None
    timezone: str = "UTC"
    filters: Filters = Filters()
    pricing: dict[str, Any] = {}
    provenance: Provenance | None = None

    @property
    def inputs(self) -> Mapping[str, int] | None:
        """The transcripts that were read, with how many bytes; None where it does not say."""
        if self.provenance is None:
            return None
        return {file.path: file.bytes for file in self.provenance.inputs.files}


def earlier_bridge(claim: Claim, evidence: Evidence, choose: Choose) -> Bridge:
    """Return the bridge from the export *claim* to the responses that were asked for now.

    Raises ClaimError where what it says of itself cannot be used.
    """
    try:
        stood = msgspec.convert(claim.meta, _Stood)
        zone = stood.timezone if claim.meta else evidence.zone
        scope = _Scope(stood.filters, zone, evidence.zone, choose)
        scope.of_days(zone)
    except (msgspec.ValidationError, pl.exceptions.PolarsError) as error:
        said = str(error).splitlines()[0]
        raise ClaimError(f"{claim.source}: its metadata cannot be used: {said}") from None
    theirs = Figure(claim.counts, claim.cost_usd)
    held = _numbered(pl.DataFrame(claim.responses, _HELD, orient="row"))
    if claim.responses and figure_of(held).counts == claim.counts:
        steps = list(_by_response(held, evidence, stood, scope))
    else:
        steps = list(_by_sum(theirs, evidence, stood, scope))
    return bridged(claim, theirs, steps, figure_of(evidence.rows), tuple(_notes(stood, evidence)))


class _Scope:
    """What an export was about."""

    def __init__(self, filters: Filters, zone: str, now: str, choose: Choose) -> None:
        self.filters, self.zone, self.now, self.choose = filters, zone, now, choose

    def of_days(self, zone: str) -> pl.DataFrame:
        """Return what its filters choose, with its days cut in *zone*."""
        return self.choose(self.filters, zone)

    def of_any_day(self) -> pl.DataFrame:
        """Return what its filters would choose without its days."""
        return self.choose(msgspec.structs.replace(self.filters, since=None, until=None), self.zone)


# response by response


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Tell rows of the same ids apart by their order in time."""
    ordered = rows.sort("time", "source_path", "source_line", nulls_last=True)
    return ordered.with_columns(number=pl.int_range(pl.len()).over("response_id", "request_id"))


def _by_response(
    held: pl.DataFrame, evidence: Evidence, stood: _Stood, scope: _Scope
) -> Iterator[Step]:
    known, ours = _numbered(evidence.ledger.frame), _of(evidence.rows, evidence)
    gone = _outside(held, known)
    is_here = pl.col("source_path").is_in(evidence.facts.transcripts["path"].implode())
    yield _less("transcripts that are not here", gone.filter(~is_here), _GONE)
    yield _less("lines that are gone", gone.filter(is_here), _REWRITTEN)
    yield _less("filters of today", _outside(_inside(held, known), ours), _HIDDEN)
    yield from _told_otherwise(_inside(held, ours), _inside(ours, held), stood)
    new = _outside(ours, held)
    chosen = _of(scope.of_any_day(), evidence)
    yield _more("filters of the export", _outside(new, chosen), _FILTERED)
    new = _inside(new, chosen)
    then = _of(scope.of_days(scope.zone), evidence)
    here = _of(scope.of_days(scope.now), evidence)
    other_days = _outside(new, then)
    yield _more("time zone", _inside(other_days, here), f"of other days: its {_days(scope)}")
    yield _more("days of the export", _outside(other_days, here), _DAYS)
    yield from _since(_inside(new, then), stood, pl.lit(value=True))


def _told_otherwise(then: pl.DataFrame, now: pl.DataFrame, stood: _Stood) -> Iterator[Step]:
    """Yield what became of the responses that both hold."""
    pairs = then.select(*_KEY, *TOKENS).join(
        now.select(*_KEY, *TOKENS), on=_KEY, suffix="_now", nulls_equal=True
    )
    same = pairs.filter(pl.col(name) == pl.col(f"{name}_now") for name in TOKENS)
    change = figure_of(_outside(now, same)) - figure_of(_outside(then, same))
    note = (
        f"{_responses(_outside(then, same).height)} {_RULED if _has_other_rules(stood) else _AGAIN}"
    )
    yield Step(_counted_name(stood), StepBasis.MEASURED, change, note, Cause.COUNTING)
    change = figure_of(_inside(now, same)) - figure_of(_inside(then, same))
    yield Step("rates", StepBasis.MEASURED, change, _RATES, Cause.PRICES)


def _has_other_rules(stood: _Stood) -> bool:
    return stood.provenance is not None and stood.provenance.rules != RULES


def _counted_name(stood: _Stood) -> str:
    if stood.provenance is None or not _has_other_rules(stood):
        return "responses that count otherwise"
    return f"accounting rules, version {stood.provenance.rules} to {RULES}"


def _since(rows: pl.DataFrame, stood: _Stood, is_appended: pl.Expr) -> Iterator[Step]:
    """Yield what of *rows* came after the export: in new transcripts, or where *is_appended* says so."""
    if stood.inputs is not None:
        is_read = pl.col("source_path").is_in(list(stood.inputs))
        yield _more("transcripts that are new", rows.filter(~is_read), _NEW)
        yield _more("lines since then", rows.filter(is_read & is_appended), _APPENDED)
    elif stood.generated_at is not None:
        is_later = pl.col("time") > stood.generated_at
        yield _more("lines since then", rows.filter(is_later), _APPENDED)


def _of(rows: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    """Return *rows* of the ledger with their numbers among all of it."""
    names = ("response_id", "request_id", "source_path", "source_line", "kind")
    return _numbered(evidence.ledger.frame).join(
        rows.select(names), on=names, how="semi", nulls_equal=True
    )


def _inside(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return rows.join(others, on=_KEY, how="semi", nulls_equal=True)


def _outside(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return rows.join(others, on=_KEY, how="anti", nulls_equal=True)


def _more(name: str, rows: pl.DataFrame, note: str) -> Step:
    return Step(
        name, StepBasis.MEASURED, figure_of(rows), f"{_responses(rows.height)} {note}", Cause.SCOPE
    )


def _less(name: str, rows: pl.DataFrame, note: str) -> Step:
    return Step(
        name, StepBasis.MEASURED, -figure_of(rows), f"{_responses(rows.height)} {note}", Cause.SCOPE
    )


def _responses(number: int) -> str:
    return counted(number, "response")


# by totals


def _by_sum(theirs: Figure, evidence: Evidence, stood: _Stood, scope: _Scope) -> Iterator[Step]:
    """Yield what tells two totals apart, where single responses are not told."""
    then, here = scope.of_days(scope.zone), scope.of_days(scope.now)
    since = list(_since(then, stood, _is_appended(stood, evidence)))
    before = figure_of(then)
    for step in since:
        before = before - step.change
    rest = before - theirs
    if rest.counts is not None and not any(_classes(rest)):
        yield Step("rates", StepBasis.MEASURED, rest, _RATES, Cause.PRICES)
    elif _has_other_rules(stood):
        yield Step(_counted_name(stood), StepBasis.INFERRED, rest, _RULES, Cause.COUNTING)
    elif _gone(stood, evidence):
        yield Step(
            "transcripts that are not here", StepBasis.INFERRED, rest, _GONE_BY_SUM, Cause.SCOPE
        )
    yield from since
    zones = figure_of(here) - figure_of(then)
    yield Step("time zone", StepBasis.MEASURED, zones, f"Its {_days(scope)}", Cause.SCOPE)
    others = figure_of(evidence.rows) - figure_of(here)
    yield Step(
        "filters",
        StepBasis.MEASURED,
        others,
        "Its filters and days are not those of today.",
        Cause.SCOPE,
    )


def _is_appended(stood: _Stood, evidence: Evidence) -> pl.Expr:
    """Return which rows stand behind what was read of their transcript then."""
    sizes = dict(evidence.facts.transcripts.select("path", "bytes").iter_rows())
    grown = {path: size for path, size in (stood.inputs or {}).items() if sizes.get(path, 0) > size}
    read = {path: lines_in(path, size) for path, size in grown.items()}
    last = pl.col("source_path").replace_strict(read, default=None, return_dtype=pl.Int64)
    return (pl.col("source_line") > last).fill_null(value=False)


def _classes(figure: Figure) -> Sequence[int]:
    counts = figure.counts
    assert counts is not None  # noqa: S101 - asked by those who know
    return counts.input, counts.output, counts.cache_read, counts.cache_write


def _gone(stood: _Stood, evidence: Evidence) -> set[str]:
    return set(stood.inputs or ()) - set(evidence.facts.transcripts["path"])


def _days(scope: _Scope) -> str:
    return f"days are those of {scope.zone}, yours those of {scope.now}."


def _notes(stood: _Stood, evidence: Evidence) -> Iterator[str]:
    if stood.pricing:
        for change in changes_of_pricing(stood.pricing, evidence.ledger.pricing):
            if change.verdict != "same":
                yield f"Its rates: {change.said}"
    if stood.provenance is not None and stood.provenance.rules != RULES:
        yield f"It was counted by version {stood.provenance.rules} of the rules; now {RULES}."
    gone = sorted(_gone(stood, evidence))
    if gone:
        yield f"{counted(len(gone), 'transcript')} of it not here any more, such as {gone[0]}."


_GONE: Final = "of transcripts that were read then."
_GONE_BY_SUM: Final = "The rest, where some of its transcripts are not here any more."
_REWRITTEN: Final = "of transcripts that are here, but hold them no more: rewritten since, or cut."
_HIDDEN: Final = "that the filters of today leave out."
_AGAIN: Final = "whose lines were finished, joined by copies or repaired since."
_RULED: Final = "that the rules of today count otherwise, or whose lines say more since."
_RULES: Final = "The rest, for its responses are not told one by one."
_RATES: Final = "The same tokens at the rates of today, against those of then."
_FILTERED: Final = "that its filters left out."
_DAYS: Final = "of days that it was not about."
_NEW: Final = "of transcripts that were not there when it was written."
_APPENDED: Final = "written behind what it read."
