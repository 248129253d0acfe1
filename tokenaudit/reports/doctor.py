"""The doctor's report: where it looked, what it found, and the next step, in plain language."""

from typing import Final

import polars as pl

from tokenaudit.audit.doctor.diagnosis import Environment, State, diagnoses
from tokenaudit.model.terms import Intake, Quality
from tokenaudit.pricing.card import RateCard
from tokenaudit.reports.report import Column, Meta, Outcome, Report, Section, Selected, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.usage import selected

__all__ = ["doctor"]

_COLUMNS: Final = (
    Column("topic", Unit.TEXT, "Topic"),
    Column("state", Unit.TEXT, "State"),
    Column("found", Unit.TEXT, "Found"),
    Column("next_step", Unit.TEXT, "Next step", quiet=True),
)
_WELL: Final = "No problem; notes say what may be less than you expect. `tokenaudit check` doubts single figures."
_ILL: Final = "What is marked as a problem explains why nothing, or less than there is, is seen."


def doctor(environment: Environment, card: RateCard, request: Request) -> Report:
    """Return what *environment* say of why there is nothing, or less than expected."""
    found = diagnoses(environment)
    rows = [(each.topic, each.state.value, each.found, each.next_step) for each in found]
    is_ill = any(each.state is State.PROBLEM for each in found)
    frame = pl.DataFrame(rows, {column.name: pl.String for column in _COLUMNS}, orient="row")
    ledger, chosen = environment.ledger, environment.rows
    meta = Meta(
        command=request.command,
        version=request.version,
        generated_at=request.now,
        timezone=request.selection.timezone,
        filters=request.selection.filters(),
        pricing=card.basis,
        intake=Intake() if ledger is None else ledger.intake,
        selected=Selected(0, 0, {quality.value: 0 for quality in Quality})
        if chosen is None
        else selected(chosen),
    )
    section = Section("doctor", "Why do I see nothing, or less than I expect?", _COLUMNS, frame)
    return Report(
        section.title,
        (section,),
        meta,
        notes=(_ILL if is_ill else _WELL,),
        outcome=Outcome.ERROR if is_ill else Outcome.SOUND,
    )
