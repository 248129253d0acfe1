"""The roll-up of a lake as a report: any dimensions, with what it stands on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from tokenaudit.export.lake.rollup import Rollup
from tokenaudit.ledger.frame import resummed
from tokenaudit.model.errors import UsageError
from tokenaudit.model.terms import Intake, Quality
from tokenaudit.reports import notes as foot
from tokenaudit.reports.report import Meta, Outcome, Report, Selected, Unit, Warned
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import DIMENSIONS, PERIODS, Dimension
from tokenaudit.reports.usage import table

__all__ = ["REPORTS", "dimensions", "is_report", "report"]

REPORTS: Final[Mapping[str, tuple[str, ...]]] = {
    "hosts": ("host",),
    **{name: (period,) for name, period in PERIODS.items()},
    "sessions": ("host", "session_id"),
    "agents": ("host", "session_id", "agent_id"),
    "projects": ("project",),
    "models": ("model",),
    "branches": ("project", "branch"),
}
"""The dimensions of each report of a lake."""

_DIMENSIONS: Final[Mapping[str, Dimension]] = {
    "host": Dimension("host", Unit.TEXT, "Host"),
    "person": Dimension("person", Unit.TEXT, "Person"),
    "team": Dimension("team", Unit.TEXT, "Team"),
    "cost_centre": Dimension("cost_centre", Unit.TEXT, "Cost centre"),
    **DIMENSIONS,
}
_MOST_NAMED: Final = 3


def dimensions(name: str) -> tuple[str, ...]:
    """Return the dimensions of the report called *name*, or those that it lists.

    Raises UsageError, with the names there are, for any other.
    """
    if name in REPORTS:
        return REPORTS[name]
    listed = [part.strip() for part in name.removeprefix("by ").split(",") if part.strip()]
    found = [part if part in _DIMENSIONS else f"{part}_id" for part in listed]
    unknown = [
        part for part, column in zip(listed, found, strict=True) if column not in _DIMENSIONS
    ]
    if unknown or not listed:
        raise UsageError(
            f"no such report of a lake: {', '.join(unknown) or name}",
            hint=f"There are: {', '.join(REPORTS)}; or dimensions: {', '.join(_DIMENSIONS)}.",
        )
    return tuple(dict.fromkeys(found))


def is_report(name: str) -> bool:
    """Tell whether *name* is that of a report, or lists dimensions."""
    try:
        dimensions(name)
    except UsageError:
        return False
    return True


def report(rollup: Rollup, request: Request, keys: Sequence[str]) -> Report:
    """Return the usage by *keys* that *rollup* holds, rows adding up exactly to the totals (R11)."""
    named = [_DIMENSIONS[name] for name in keys]
    title = f"Usage by {', '.join(entry.label.lower() for entry in named)}"
    sums = rollup.sums
    section = table(sums, named, request.shape, name="usage", title=title, measured=resummed)
    selected = _selected(sums)
    return Report(
        title=title,
        sections=(section,),
        meta=Meta(
            command=request.command,
            version=request.version,
            generated_at=request.now,
            timezone=request.selection.timezone,
            filters=request.selection.filters(),
            pricing=rollup.asked.card.basis,
            intake=_intake(rollup),
            selected=selected,
            lake=_lake(rollup),
        ),
        notes=tuple(_notes(rollup, selected, with_cost=request.shape.with_cost)),
        outcome=Outcome.WARNING if rollup.damages else Outcome.SOUND,
    )


def _selected(sums: pl.DataFrame) -> Selected:
    return Selected(
        int(sums["responses"].sum()), int(sums["unpriced_responses"].sum()), _qualities(sums)
    )


def _qualities(frame: pl.DataFrame) -> dict[str, int]:
    found = frame.group_by("quality").agg(pl.col("responses").sum())
    said = {name: int(number) for name, number in found.iter_rows()}
    return {quality.value: said.get(quality.value, 0) for quality in Quality}


def _intake(rollup: Rollup) -> Intake:
    responses = int(rollup.counts["responses"].sum())
    undated = rollup.counts.filter(pl.col("date").is_null())["responses"].sum()
    return Intake(
        files=rollup.parts,
        lines=rollup.rows,
        usage_lines=rollup.rows,
        responses=responses,
        rejects=len(rollup.damages),
        undated_responses=int(undated),
        unpriced_responses=int(rollup.sums["unpriced_responses"].sum()),
        quality=_qualities(rollup.counts),
    )


def _lake(rollup: Rollup) -> dict[str, Any]:
    return {
        "parts": rollup.parts,
        "hosts": rollup.hosts,
        "days": rollup.days,
        "rows": rollup.rows,
        "responses": int(rollup.counts["responses"].sum()),
        "digest": rollup.digest,
        "damages": [{"name": damage.name, "reason": damage.reason} for damage in rollup.damages],
    }


def _notes(rollup: Rollup, selected: Selected, *, with_cost: bool) -> Iterator[str]:
    responses = int(rollup.counts["responses"].sum())
    yield (
        f"Read {foot.count(rollup.parts, 'part')} of {foot.count(rollup.hosts, 'host')} and"
        f" {foot.count(rollup.days, 'day')}: {foot.count(rollup.rows, 'row')},"
        f" {foot.count(responses, 'response')}; digest {rollup.digest[:8]}."
    )
    yield from _damages(rollup)
    yield foot.quality_line(selected)
    if with_cost:
        yield from foot.unpriced_models(_unpriced(rollup.sums), rollup.asked.card)
        yield foot.pricing_line(rollup.asked.card.basis)


def _damages(rollup: Rollup) -> Iterator[str]:
    found = rollup.damages
    if not found:
        return
    files = foot.count(len(found), "file is", "files are")
    yield Warned(f"{files} not counted.")
    for damage in found[:_MOST_NAMED]:
        yield f"{damage.name}: {damage.reason}."
    if len(found) > _MOST_NAMED:
        yield f"{foot.count(len(found) - _MOST_NAMED, 'more')}: see meta.lake in --json."


def _unpriced(sums: pl.DataFrame) -> pl.DataFrame:
    return (
        sums.filter(pl.col("unpriced_responses") > 0)
        .group_by("model")
        .agg(pl.col("unpriced_responses").sum().alias("responses"), pl.col("total_tokens").sum())
        .cast({"responses": pl.Int64})
        .sort("total_tokens", "model", descending=[True, False])
    )
