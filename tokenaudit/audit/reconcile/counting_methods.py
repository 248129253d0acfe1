"""Ways in which other tools count the same lines, each with the steps from its figure to ours.

Ours is one of them. The way that gives their tokens, class by class, is taken for theirs: only its
steps are told. Where none does, the nearest is, and its steps are inferred rather than measured.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import combinations
from operator import le
from typing import Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.analysis.vendor_pricing import repriced
from tokenaudit.audit.reconcile.bridge import ROUNDING, Cause, Figure, Step, StepBasis, figure_of
from tokenaudit.ledger.frame import TOKENS
from tokenaudit.model.terms import Kind, Quality
from tokenaudit.pricing.card import RateCard

__all__ = ["Way", "nearest", "ways"]


class Way(Struct, frozen=True):
    """A way of counting."""

    rows: pl.DataFrame
    """What it adds up, priced."""
    figure: Figure
    steps: tuple[Step, ...]
    """From its figure to ours; those that change nothing are among them."""


def nearest(found: Sequence[Way], theirs: Figure) -> Way:
    """Return the way whose tokens are nearest to *theirs*; of several one of the same cost, of few steps.

    Its steps are measured where it gives the very same tokens. Else they are inferred, and only from a
    way that is no farther from theirs than ours in any class of tokens. The first of *found* is ours.
    """
    ours = _off(found[0].figure, theirs)
    fitting = [way for way in found if all(map(le, _off(way.figure, theirs), ours))]
    way = min(
        fitting,
        key=lambda each: (
            sum(_off(each.figure, theirs)),
            not _has_cost(each.figure, theirs),
            _taken(each),
        ),
    )
    if not any(_off(way.figure, theirs)):
        return way
    guesses = (
        replace(step, basis=StepBasis.INFERRED, note=f"{step.note} The nearest way of counting.")
        for step in way.steps
    )
    return replace(way, steps=tuple(guesses))


def _taken(way: Way) -> int:
    return sum(not step.change.is_nothing for step in way.steps)


def _has_cost(figure: Figure, theirs: Figure) -> bool:
    ours, said = figure.cost_usd or Decimal(0), theirs.cost_usd or Decimal(0)
    return abs(ours - said) < ROUNDING


def _off(figure: Figure, theirs: Figure) -> tuple[int, ...]:
    """Return how far *figure* is from *theirs*, class by class."""
    if figure.counts is None or theirs.counts is None:
        return ()
    off = figure.counts - theirs.counts
    return abs(off.input), abs(off.output), abs(off.cache_read), abs(off.cache_write)


def ways(rows: pl.DataFrame, lines: pl.DataFrame, card: RateCard) -> list[Way]:
    """Return the known ways of counting: ours, ours without its finer parts, and by other rules.

    *rows* are those of the ledger, *lines* all that tell usage over the same scope, with `is_progress`.
    """
    ours = figure_of(rows)
    unrepaired = _unrepaired(rows, lines, card)
    parts = _parts(rows, unrepaired)
    found = [
        Way(
            _without(rows, unrepaired, left_out),
            _less(ours, left_out),
            tuple(part.step for part in left_out),
        )
        for number in range(len(parts) + 1)
        for left_out in combinations(parts, number)
    ]
    for has_progress in (True, False):
        pool = lines if has_progress else lines.filter(~pl.col("is_progress"))
        later = parts[1:] if has_progress else parts
        found += _by_rules(pool, _less(ours, later), [part.step for part in later], card)
    return found


# the finer parts of ours, which others leave out


class _Part(Struct, frozen=True):
    """Part of our figure."""

    step: Step
    is_it: pl.Expr | None
    """Which rows it is; None where it is part of what rows tell."""


def _parts(rows: pl.DataFrame, unrepaired: pl.DataFrame) -> list[_Part]:
    is_progress = pl.col("is_progress") & (pl.col("kind") == Kind.MESSAGE)
    is_apart = pl.col("kind") != Kind.MESSAGE
    return [
        _Part(_measured(*_PROGRESS, figure_of(rows.filter(is_progress))), is_progress),
        _Part(_measured(*_REPAIRS, figure_of(rows) - figure_of(unrepaired)), None),
        _Part(_measured(*_ITERATIONS, figure_of(rows.filter(is_apart))), is_apart),
    ]


def _unrepaired(rows: pl.DataFrame, lines: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return *rows*, the repaired ones with the output that their line tells."""
    is_repaired = (pl.col("quality") == Quality.REPAIRED) & ~pl.col("is_progress")
    said = lines.group_by(source_path="path", source_line="line").agg(
        said=pl.col("output_tokens").max()
    )
    found = rows.filter(is_repaired).join(said, on=["source_path", "source_line"], how="left")
    as_said = found.with_columns(output_tokens=pl.coalesce("said", "output_tokens"))
    names = ("is_progress", "kind", "recorded_cost_usd")
    priced = repriced(as_said, card).with_columns(as_said.select(names))
    return pl.concat([rows.filter(~is_repaired), priced], how="diagonal")


def _without(rows: pl.DataFrame, unrepaired: pl.DataFrame, parts: Sequence[_Part]) -> pl.DataFrame:
    """Return the rows of a way that leaves *parts* out."""
    found = unrepaired if any(part.is_it is None for part in parts) else rows
    for part in parts:
        if part.is_it is not None:
            found = found.filter(~part.is_it)
    return found


def _less(figure: Figure, parts: Sequence[_Part]) -> Figure:
    for part in parts:
        figure = figure - part.step.change
    return figure


# other rules


def _by_rules(
    lines: pl.DataFrame, merged: Figure, later: Sequence[Step], card: RateCard
) -> Iterator[Way]:
    """Yield what each rule makes of *lines*, of which ours makes *merged* before the *later* steps."""
    largest = repriced(_largest(lines), card)
    of_largest = figure_of(largest)
    finer = _measured(*_FINER, merged - of_largest)
    yield Way(largest, of_largest, (finer, *later))
    for (name, note), rule in _RULES:
        kept = repriced(rule(lines), card)
        step = _measured(name, note, of_largest - figure_of(kept))
        yield Way(kept, figure_of(kept), (step, finer, *later))


def _largest(lines: pl.DataFrame) -> pl.DataFrame:
    return _one_each(_by_size(lines))


def _by_size(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.sort(pl.sum_horizontal(TOKENS), descending=True, maintain_order=True)


def _one_each(lines: pl.DataFrame, *more: str) -> pl.DataFrame:
    """Keep the first line of each pair of ids; lines without a message id are all kept."""
    has_ids = pl.col("message_id").is_not_null()
    keys = ["message_id", "request_id", *more]
    once = lines.filter(has_ids).unique(keys, keep="first", maintain_order=True)
    return pl.concat([once, lines.filter(~has_ids)])


def _per_transcript(lines: pl.DataFrame) -> pl.DataFrame:
    return _one_each(_by_size(lines), "path")


def _every(lines: pl.DataFrame) -> pl.DataFrame:
    return lines


def _measured(name: str, note: str, change: Figure) -> Step:
    return Step(name, StepBasis.MEASURED, change, note, Cause.COUNTING)


_PROGRESS: Final = (
    "agents without a transcript",
    "Responses of subagents that only progress lines of their parents tell.",
)
_REPAIRS: Final = (
    "repaired output",
    "Last replies of subagents: their output is what the parents were told of it.",
)
_ITERATIONS: Final = (
    "advisors and compactions",
    "Inferences that stand beside a response in its iterations.",
)
_FINER: Final = (
    "finished lines, joined copies",
    "The last finished line rather than the largest; copies without equal ids joined.",
)
_RULES: Final[Sequence[tuple[tuple[str, str], Callable[[pl.DataFrame], pl.DataFrame]]]] = (
    (
        (
            "final counts instead of first lines",
            "Theirs takes the first line of a response, which is often a placeholder.",
        ),
        _one_each,
    ),
    (
        (
            "copies in other transcripts merged",
            "Theirs counts a response once in each transcript that holds it.",
        ),
        _per_transcript,
    ),
    (("copies merged", "Theirs adds up every line, copies too."), _every),
)
"""By which lines others count, where it is not the largest of each response, and what that is."""
