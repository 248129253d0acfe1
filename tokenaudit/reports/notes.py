"""The foot of a report: what it stands on, in a few lines that a person can read (R12)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import PurePath
from typing import Final

import polars as pl

from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.terms import Intake, Quality
from tokenaudit.model.units import format_cost, format_count, format_tokens
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.windows import facts_of
from tokenaudit.reports.report import COST_MEANING, Selected, Warned

__all__ = ["count", "notes", "pricing_line", "quality_line", "unpriced_models"]

_MOST_NAMED = 5
_ALL = 100
_OLD_AFTER_DAYS = 45
_ALIASES: Final = frozenset({"opus", "sonnet", "haiku", "fable", "mythos", "opusplan", "default"})
"""Names that stand for whatever model was the latest: only the user can know which."""


def notes(
    ledger: Ledger,
    rows: pl.DataFrame,
    refused: pl.DataFrame,
    selected: Selected,
    *,
    today: date,
    with_cost: bool,
) -> tuple[str, ...]:
    """Return the lines of the foot for a report over *rows* of *ledger*, and *refused* beside them.

    *today* decides whether the rate card is old.
    """
    lines = [
        _read(ledger.intake),
        *_gone(ledger.intake),
        *_doubts(ledger),
        quality_line(selected),
        *_estimated(ledger, rows),
    ]
    if with_cost:
        lines += [*_unpriced(rows, ledger.card), *_refused(refused), *_repriced(ledger, rows)]
        lines += [pricing_line(ledger.pricing), *_stale(ledger, rows, today)]
    return tuple(lines)


def count(number: int, one: str, several: str | None = None) -> str:
    """Return *number* with its noun, in the right number."""
    return f"{format_count(number)} {one if number == 1 else several or one + 's'}"


def _read(intake: Intake) -> str:
    return (
        f"Read {count(intake.files, 'transcript')}, {count(intake.lines, 'line')}:"
        f" {count(intake.usage_lines, 'usage line')}, {count(intake.responses, 'response')},"
        f" {count(intake.copies, 'copy', 'copies')} merged, {count(intake.rejects, 'reject')}."
    )


def _gone(intake: Intake) -> Iterator[str]:
    if intake.gone:
        are, them = ("is", "it") if intake.gone == 1 else ("are", "them")
        yield (
            f"{format_count(intake.gone)} of {count(intake.files, 'transcript')} {are} no longer on"
            f" disk; --only-present leaves {them} out."
        )


def _doubts(ledger: Ledger) -> Iterator[str]:
    intake = ledger.intake
    if intake.rejects:
        first = ledger.rejects.row(0, named=True)
        file = "/".join(PurePath(first["path"]).parts[-2:])
        place = file if first["line"] is None else f"{file}:{first['line']}"
        yield f"First reject: {place}: {first['reason']} (all: tokenaudit export rejects)."
    parts = [
        count(intake.incomplete, "last line is half-written", "last lines are half-written")
        if intake.incomplete
        else "",
        count(intake.odd_values, "response has odd values", "responses have odd values")
        if intake.odd_values
        else "",
        count(
            intake.undated_responses, "response has no usable time", "responses have no usable time"
        )
        if intake.undated_responses
        else "",
    ]
    if told := ", ".join(part for part in parts if part):
        yield f"Also: {told}."


def quality_line(selected: Selected) -> str:
    """Return how far the output counts of what is *selected* can be trusted."""
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


def _estimated(ledger: Ledger, rows: pl.DataFrame) -> Iterator[str]:
    """Say what estimates stand on, and how wrong they were where the truth is known."""
    calibration = ledger.calibration
    if calibration is None:
        return
    told = [
        f"{each['model']} ({'shipped weights of ' if each['is_shipped'] else ''}{format_count(each['finals'])}"
        f" finals: {_signed(each['total_error'])} in total, {each['median_error']:.0%} in the median response)"
        for each in calibration.iter_rows(named=True)
    ]
    if told:
        yield (
            "Estimates (est.) of lost output, by what was written: the recorded output is the low one,"
            " best is likely, and of twenty finals, or sessions of them, nineteen keep to high. Their"
            f" error on finals held out: {_named(told)}."
        )
    else:
        yield "Estimates: none, for too few output counts are final to learn from; what is recorded stands."
    unknown = rows["est_unknown_responses"].sum()
    if unknown:
        yield (
            "Not to be estimated, for nothing that was written is on disk, or the tokens per character of"
            f" the model are not known: {count(int(unknown), 'response')}, taken as recorded."
        )


def _signed(part: float) -> str:
    return f"{round(100 * part):+d}%" if round(100 * part) else "0%"


def _share(part: int, whole: int) -> str:
    """Write a share in whole per cent; 0 % and 100 % only where they are true."""
    if part == whole:
        return "100%"
    per_cent = round(100 * part / whole)
    return "<1%" if per_cent < 1 else f"{per_cent}%" if per_cent < _ALL else ">99%"


def _unpriced(rows: pl.DataFrame, card: RateCard) -> Iterator[str]:
    models = (
        rows.filter(pl.col("cost_usd").is_null())
        .group_by("model")
        .agg(pl.len().alias("responses"), pl.col("total_tokens").cast(pl.Int128).sum())
        .sort("total_tokens", "model", descending=[True, False])
    )
    yield from unpriced_models(models, card)


def unpriced_models(models: pl.DataFrame, card: RateCard) -> Iterator[str]:
    """Yield the lines that name *models* (`model, responses, total_tokens`), and what would price them."""
    if models.is_empty():
        return
    named = [
        f"{model or 'no model named'} ({count(responses, 'response')}, {format_tokens(tokens)} tokens)"
        for model, responses, tokens in models.head(_MOST_NAMED).iter_rows()
    ]
    if models.height > _MOST_NAMED:
        named.append(count(models.height - _MOST_NAMED, "more model"))
    yield f"Unpriced, not in the cost: {', '.join(named)}."
    # a model that has a price is unpriced only without a day, which no rate would mend
    unknown = [model for model in models["model"] if model and not card.knows(model)]
    remedies = [_remedy(model) for model in unknown[:_MOST_NAMED]]
    if remedies:
        yield f"To price them, write in rates.toml: {'; '.join(remedies)}."


def _remedy(model: str) -> str:
    """Return how a file of rates would price *model*, in short: by an alias, or prices of its own."""
    key = json.dumps(model, ensure_ascii=False)
    name = model.strip(" ").lower().removesuffix("[1m]")
    if name in _ALIASES or name.startswith("arn:"):
        return f'[aliases] {key} = "claude-…"'
    return f"[[price]] model = {key} …"


def _refused(refused: pl.DataFrame) -> Iterator[str]:
    if not refused.is_empty():
        attempts = count(refused.height, "attempt was refused", "attempts were refused")
        yield f"Apart from all totals: {attempts} before a fallback, {_refused_cost(refused)}."


def _refused_cost(refused: pl.DataFrame) -> str:
    if not refused["output_tokens"].sum():
        return "before any output, so not billed"
    return f"{format_cost(refused['cost_usd'].sum())} if billed"


def _repriced(ledger: Ledger, rows: pl.DataFrame) -> Iterator[str]:
    """Say that costs are what another model would have cost, and where that compares unlike counts."""
    model = ledger.pricing.get("as_model")
    if model is None:
        return
    yield f"What if: all responses are priced as {model}, whatever model gave them."
    found = sorted(filter(None, rows["model"].unique()))
    own = _tokenizer(ledger.card, model)
    others = {each: _tokenizer(ledger.card, each) for each in found}
    known = [each for each, tokenizer in others.items() if own and tokenizer not in {own, None}]
    unknown = [each for each, tokenizer in others.items() if own is None or tokenizer is None]
    if known:
        yield (
            f"{model} has another tokenizer than {_named(known)}: its token counts for the same text"
            " would differ by about 30%."
        )
    if unknown:
        yield f"Token counts would differ, by how much is not known, from those of {_named(unknown)}."


def _tokenizer(card: RateCard, model: str) -> str | None:
    facts = facts_of(card.key_of(model))
    return facts.tokenizer if facts else None


def _named(models: Sequence[str]) -> str:
    more = len(models) - _MOST_NAMED
    return ", ".join([*models[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])])


def pricing_line(basis: Mapping[str, str]) -> str:
    """Return what costs mean, and the sources that they stand on."""
    return (
        f"Cost: {COST_MEANING}. Rate card {basis['card']} (sha256 {basis['sha256'][:8]}),"
        f" verified through {basis['verified_through']}{_more_sources(basis)}."
    )


def _more_sources(basis: Mapping[str, str]) -> str:
    parts = []
    if "user_rates" in basis:
        name = PurePath(basis["user_rates"]).name
        parts.append(f"; your rates {name} (sha256 {basis['user_rates_sha256'][:8]})")
    if "library" in basis:
        parts.append(f"; {basis['library']}")
    return "".join(parts)


def _stale(ledger: Ledger, rows: pl.DataFrame, today: date) -> Iterator[str]:
    """Warn of a card that has not been checked for long, where usage is newer than the check."""
    verified = ledger.card.verified_through
    newer = rows.filter(pl.col("time").dt.date() > verified).height
    age = (today - verified).days
    if newer and age > _OLD_AFTER_DAYS:
        yield Warned(
            f"the rate card was verified {age} days ago, and {count(newer, 'response')}"
            f" {'is' if newer == 1 else 'are'} newer: prices may have changed. See: tokenaudit prices"
            " update."
        )
