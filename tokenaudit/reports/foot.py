"""The foot of a report: what it stands on, in a few lines that a person can read (R12)."""

from collections.abc import Iterator
from pathlib import PurePath

import polars as pl

from tokenaudit.ledger import Ledger
from tokenaudit.model import Intake, Quality
from tokenaudit.reports.report import COST_MEANING, Selected
from tokenaudit.units import format_cost, format_count, format_tokens

__all__ = ["notes"]

_MOST_NAMED = 5
_ALL = 100


def notes(
    ledger: Ledger,
    rows: pl.DataFrame,
    refused: pl.DataFrame,
    selected: Selected,
    *,
    with_cost: bool,
) -> tuple[str, ...]:
    """Return the lines of the foot for a report over *rows* of *ledger*, and *refused* beside them."""
    lines = [_read(ledger.intake), *_doubts(ledger), _quality(selected)]
    if with_cost:
        lines += [*_unpriced(rows), *_refused(refused), _pricing(ledger)]
    return tuple(lines)


def _count(number: int, one: str, several: str | None = None) -> str:
    return f"{format_count(number)} {one if number == 1 else several or one + 's'}"


def _read(intake: Intake) -> str:
    return (
        f"Read {_count(intake.files, 'transcript')}, {_count(intake.lines, 'line')}:"
        f" {_count(intake.usage_lines, 'usage line')}, {_count(intake.responses, 'response')},"
        f" {_count(intake.copies, 'copy', 'copies')} merged, {_count(intake.rejects, 'reject')}."
    )


def _doubts(ledger: Ledger) -> Iterator[str]:
    intake = ledger.intake
    if intake.rejects:
        first = ledger.rejects.row(0, named=True)
        file = "/".join(PurePath(first["path"]).parts[-2:])
        place = file if first["line"] is None else f"{file}:{first['line']}"
        yield f"First reject: {place}: {first['reason']} (all: tokenaudit export rejects)."
    parts = [
        _count(intake.incomplete, "last line is half-written", "last lines are half-written")
        if intake.incomplete
        else "",
        _count(intake.odd_values, "response has odd values", "responses have odd values")
        if intake.odd_values
        else "",
        _count(
            intake.undated_responses, "response has no usable time", "responses have no usable time"
        )
        if intake.undated_responses
        else "",
    ]
    if told := ", ".join(part for part in parts if part):
        yield f"Also: {told}."


def _quality(selected: Selected) -> str:
    total = selected.responses
    if not total:
        return "Output counts: none."
    named = [
        f"{_share(number, total)} {quality.replace('_', ' ')}"
        for quality, number in selected.quality.items()
        if number
    ]
    sure = selected.quality[Quality.FINAL] + selected.quality[Quality.REPAIRED]
    doubt = "" if sure == total else "; the true output and cost are higher"
    return f"Output counts: {', '.join(named)}{doubt}."


def _share(part: int, whole: int) -> str:
    """Write a share in whole per cent; 0 % and 100 % only where they are true."""
    if part == whole:
        return "100%"
    per_cent = round(100 * part / whole)
    return "<1%" if per_cent < 1 else f"{per_cent}%" if per_cent < _ALL else ">99%"


def _unpriced(rows: pl.DataFrame) -> Iterator[str]:
    models = (
        rows.filter(pl.col("cost_usd").is_null())
        .group_by("model")
        .agg(pl.len().alias("responses"), pl.col("total_tokens").cast(pl.Int128).sum())
        .sort("total_tokens", "model", descending=[True, False])
    )
    if models.is_empty():
        return
    named = [
        f"{model or 'no model named'} ({_count(responses, 'response')}, {format_tokens(tokens)} tokens)"
        for model, responses, tokens in models.head(_MOST_NAMED).iter_rows()
    ]
    if models.height > _MOST_NAMED:
        named.append(_count(models.height - _MOST_NAMED, "more model"))
    yield f"Unpriced, not in the cost: {', '.join(named)}."


def _refused(refused: pl.DataFrame) -> Iterator[str]:
    if not refused.is_empty():
        attempts = _count(refused.height, "attempt was refused", "attempts were refused")
        cost = format_cost(refused["cost_usd"].sum())
        yield f"Apart from all totals: {attempts} before a fallback, {cost} if billed."


def _pricing(ledger: Ledger) -> str:
    basis = ledger.pricing
    return (
        f"Cost: {COST_MEANING}. Rate card {basis['card']} (sha256 {basis['sha256'][:8]}),"
        f" verified through {basis['verified_through']}."
    )
