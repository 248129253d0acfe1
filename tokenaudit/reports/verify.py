"""Whether an export is still what its basis gives: identical, or what changed and why."""

from collections.abc import Sequence
from typing import Final

from tokenaudit.audit.verify.provenance import ChangeVerdict, InputChange, frame_of
from tokenaudit.ledger.frame import Ledger
from tokenaudit.reports.report import Column, Meta, Outcome, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import selected

__all__ = ["verified"]

_COLUMNS: Final = (
    Column("part", Unit.TEXT, "Part"),
    Column("verdict", Unit.TEXT, "Verdict"),
    Column("said", Unit.TEXT, "What was compared"),
)
_IDENTICAL: Final = (
    "Identical: the same inputs, rules and rates give the same rows, and no byte of it was changed."
)
_CHANGED: Final = "Not identical: see what is marked as changed."


def verified(ledger: Ledger, request: Request, changes: Sequence[InputChange], path: str) -> Report:
    """Return what *changes* say of the export at *path*."""
    section = Section("verify", f"Verification of {path}", _COLUMNS, frame_of(changes))
    rows = select(ledger.frame, request.selection).collect()
    meta = Meta(
        command=request.command,
        version=request.version,
        generated_at=request.now,
        timezone=request.selection.timezone,
        filters=request.selection.filters(),
        pricing=ledger.pricing,
        intake=ledger.intake,
        selected=selected(rows),
    )
    is_changed = any(change.verdict is ChangeVerdict.CHANGED for change in changes)
    return Report(
        section.title,
        (section,),
        meta,
        notes=(_CHANGED if is_changed else _IDENTICAL,),
        outcome=Outcome.ERROR if is_changed else Outcome.SOUND,
    )
