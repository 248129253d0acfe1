"""A report as CSV, for spreadsheets and for tools that cut columns; a text never becomes a formula."""

import polars as pl

from tokenaudit.render import frames
from tokenaudit.render.clean import defuse, visible
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Column, Report, Unit

__all__ = ["render"]


def render(report: Report, style: Style, /) -> bytes:
    """Write the first section of *report*, by model where it is broken down.

    Lines end in LF: every spreadsheet opens that right, and `cut`, `awk` and `sort` would take a CR
    for a part of the last value. No byte-order mark, which most readers take for a part of the header.
    """
    columns, frame = frames.flat(report.sections[0])
    plain = frames.plain(frame, columns)
    if not style.raw_csv:
        plain = plain.with_columns(_safe(plain.get_column(name)) for name in _texts(columns))
    return plain.write_csv(line_terminator="\n").encode()


def _texts(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns if column.unit in (Unit.TEXT, Unit.ID)]


def _safe(texts: pl.Series) -> pl.Series:
    """Return *texts* defused and visible; each that occurs is looked at once."""
    distinct = texts.drop_nulls().unique()
    safe = [visible(defuse(text)) for text in distinct]
    return texts.replace_strict(distinct, pl.Series(safe, dtype=pl.String), return_dtype=pl.String)
