"""The store itself: what it holds, what only it still knows, and what it was made to forget."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from tokenaudit.merge import merge
from tokenaudit.model.terms import Intake, Quality
from tokenaudit.model.units import format_bytes, format_count
from tokenaudit.reports.report import Column, Meta, Report, Section, Selected, Unit, Warned
from tokenaudit.reports.request import Request
from tokenaudit.store import PRESENT, Version
from tokenaudit.store.rows import written
from tokenaudit.store.status import StoreStatus

__all__ = ["forgotten", "status", "told"]

_STORE: Final = (
    Column("folder", Unit.TEXT, "Folder"),
    Column("format", Unit.COUNT, "Format"),
    Column("bytes", Unit.BYTES, "Size"),
    Column("segments", Unit.COUNT, "Segments"),
    Column("transcripts", Unit.COUNT, "Transcripts"),
    Column("records", Unit.COUNT, "Records"),
    Column("responses", Unit.COUNT, "Responses"),
    Column("first_day", Unit.DATE, "First day"),
    Column("last_day", Unit.DATE, "Last day"),
    Column("gone", Unit.COUNT, "Gone"),
    Column("rewritten", Unit.COUNT, "Rewritten"),
    Column("shrank", Unit.COUNT, "Shrank"),
)
_VERSIONS: Final = (
    Column("path", Unit.TEXT, "Transcript"),
    Column("fate", Unit.TEXT, "Fate"),
    Column("found_day", Unit.DATE, "Found out", quiet=True),
    Column("last_day", Unit.DATE, "Last day"),
    Column("bytes", Unit.BYTES, "Size"),
    Column("records", Unit.COUNT, "Records"),
)
_TYPES: Final[Mapping[Unit, Any]] = {
    Unit.TEXT: pl.String,
    Unit.COUNT: pl.Int64,
    Unit.BYTES: pl.Int64,
    Unit.DATE: pl.Date,
}
_KEPT: Final = (
    "Kept are counts, times, titles, names and paths: never the text of a message, never a cost."
)


def status(
    holdings: StoreStatus, request: Request, notes: Sequence[str], *, most: int | None
) -> Report:
    """Return what the store holds; below it, what became of transcripts, the latest first.

    Of those at *most* so many are listed. *notes* say what of the store cannot be used.
    """
    former = [version for version in holdings.versions if version.fate != PRESENT]
    sections = [_table("store", "Store", _STORE, [_summary(holdings, request)])]
    said = _warnings(notes)
    if holdings.is_damaged:
        said.append("The next report sets it aside, and reads anew what is on disk.")
    if not holdings.is_there:
        said.append("There is no store yet: the first report makes it.")
    if former:
        sections.append(_versions(former, request, "Known from the store alone", most))
        said.append(
            "Reports count what is gone or was rewritten, unless --only-present leaves it out;"
            " tokenaudit store forget lets go of it."
        )
    return _report(request, sections, [*said, _KEPT])


def forgotten(
    versions: Sequence[Version], request: Request, notes: Sequence[str], *, most: int | None
) -> Report:
    """Return which *versions* of transcripts are no longer known."""
    title = "Forgotten" if versions else "Nothing was forgotten"
    said = [f"Forgotten: {told(versions)}."] if versions else []
    if any(version.fate == PRESENT for version in versions):
        said.append("What is on disk is read anew by the next report.")
    section = _versions(versions, request, title, most)
    return _report(request, [section], [*_warnings(notes), *said])


def _warnings(notes: Sequence[str]) -> list[str]:
    return [Warned(f"{written(note)}.") for note in notes]


def told(versions: Sequence[Version]) -> str:
    """Return in words how much *versions*, at least one, are."""
    fates = Counter(version.fate for version in versions)
    parts = [
        f"{format_count(fates[fate])} {words if fates[fate] == 1 else several}"
        for fate, words, several in (
            (PRESENT, "transcript on disk", "transcripts on disk"),
            ("gone", "transcript that is gone", "transcripts that are gone"),
            ("rewritten", "version before it was rewritten", "versions before they were rewritten"),
            ("shrank", "version before it shrank", "versions before they shrank"),
        )
        if fates[fate]
    ]
    records = sum(version.records for version in versions)
    return (
        f"{', '.join(parts)}; {format_count(records)} {'record' if records == 1 else 'records'}"
        f" of {format_bytes(sum(version.bytes for version in versions))}"
    )


def _summary(holdings: StoreStatus, request: Request) -> tuple[Any, ...]:
    """Return the row of _STORE; what a damaged index leaves unknown is null."""
    place = written(str(holdings.folder))
    if holdings.is_damaged:
        return (place, None, holdings.bytes, *[None] * (len(_STORE) - 3))
    fates = Counter(version.fate for version in holdings.versions)
    firsts = [version.first_time for version in holdings.versions if version.first_time]
    lasts = [version.last_time for version in holdings.versions if version.last_time]
    return (
        place,
        holdings.format if holdings.is_there else None,
        holdings.bytes,
        holdings.segments,
        fates[PRESENT] + fates["gone"],
        holdings.facts.records.height,
        merge(holdings.facts).responses.height,
        _day(min(firsts, default=None), request),
        _day(max(lasts, default=None), request),
        *(fates[fate] for fate in ("gone", "rewritten", "shrank")),
    )


def _versions(
    versions: Sequence[Version], request: Request, title: str, most: int | None
) -> Section:
    latest = sorted(versions, key=lambda version: (-(version.found_ns or 0), version.path))
    rows = [
        (
            version.path,
            version.fate,
            _day(_moment(version.found_ns), request),
            _day(version.last_time, request),
            version.bytes,
            version.records,
        )
        for version in latest[:most]
    ]
    return _table("versions", title, _VERSIONS, rows, cut_rows=len(latest) - len(rows))


def _moment(nanoseconds: int | None) -> datetime | None:
    return None if nanoseconds is None else datetime.fromtimestamp(nanoseconds // 10**9, UTC)


def _day(moment: datetime | None, request: Request) -> date | None:
    """Return the day of *moment* in the user's zone (R8)."""
    return moment and moment.astimezone(ZoneInfo(request.selection.timezone)).date()


def _table(
    name: str,
    title: str,
    columns: tuple[Column, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    cut_rows: int = 0,
) -> Section:
    schema = {column.name: _TYPES[column.unit] for column in columns}
    frame = pl.DataFrame(rows, schema, orient="row")
    return Section(name, title, columns, frame, cut_rows=cut_rows)


def _report(request: Request, sections: Sequence[Section], notes: Sequence[str]) -> Report:
    """Put a report together that is about the store alone: it prices nothing."""
    meta = Meta(
        command=request.command,
        version=request.version,
        generated_at=request.now,
        timezone=request.selection.timezone,
        filters={},
        pricing={},
        intake=Intake(),
        selected=Selected(0, 0, {quality.value: 0 for quality in Quality}),
    )
    return Report(sections[0].title, tuple(sections), meta, tuple(notes))
