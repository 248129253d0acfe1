"""A report as one JSON document, for programs: `meta`, `rows`, `totals`; nothing is rounded."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tokenaudit.files.seal import UNSEALED, sealed
from tokenaudit.render import frames
from tokenaudit.render.plain import described, encode, plain
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Report, Section

__all__ = ["render"]


def render(report: Report, _style: Style, /) -> bytes:
    """Write *report* as JSON: its first section at the top, any others by name in `sections`."""
    first, *others = report.sections
    meta = described(report)
    if report.meta.provenance is not None:
        meta = {"seal": UNSEALED, **meta}
    document: dict[str, Any] = {"meta": meta, **_section(first)}
    if others:
        document["sections"] = {section.name: _section(section) for section in others}
    data = msgspec.json.format(encode(document), indent=2).encode() + b"\n"
    return data if report.meta.provenance is None else sealed(data)


def _section(section: Section) -> dict[str, Any]:
    answer = {"rows": _rows(section), "totals": _totals(section)}
    return {**answer, "cut_rows": section.cut_rows} if section.cut_rows else answer


def _rows(section: Section) -> list[dict[str, Any]]:
    rows = frames.plain(section.rows, section.columns).to_dicts()
    if section.breakdown is None:
        return rows
    # A part stands inside its row, which says the dimensions already.
    columns = [
        each
        for each in frames.part_columns(section, section.breakdown)
        if each.name not in section.dimensions
    ]
    parts = frames.plain(section.breakdown, columns).to_dicts()
    split = frames.parts_of_rows(section, parts)
    return [{**row, "breakdown": of_row} for row, of_row in zip(rows, split, strict=True)]


def _totals(section: Section) -> Mapping[str, Any] | None:
    totals = section.totals
    if totals is None:
        return None
    in_order = [column.name for column in section.columns if column.name in totals]
    others = [name for name in totals if name not in in_order]
    return {name: plain(totals[name]) for name in (*in_order, *others)}
