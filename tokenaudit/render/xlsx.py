"""A report as a workbook for Excel: numbers as numbers, texts never formulas, what it stands on beside.

A number of Excel is a binary one of 64 bits, of which it shows 15 digits: money beyond them, and counts
beyond 2^53, are exact in every other format.
"""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any, Final

import polars as pl

from tokenaudit.model.errors import ConfigError, OutputError
from tokenaudit.render import frames
from tokenaudit.render.clean import visible
from tokenaudit.render.plain import described, encode, plain
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Column, Report, Section, Unit

__all__ = ["render"]

_MOST_ROWS: Final = 1_048_575
"""Of a sheet, below its heading."""
_LONGEST: Final = 32_767
"""Characters of a cell."""
_LONGEST_NAME: Final = 28
"""Characters of a sheet's name, with room for a number."""
_FEW: Final = 5_000
"""Rows up to which columns are made as wide as what they hold: that looks at every cell."""
_YEARS: Final = (1900, 9999)
"""Those that Excel knows."""
_SHOWN: Final[Mapping[Unit, str]] = {
    Unit.COUNT: "#,##0",
    Unit.TOKENS: "#,##0",
    Unit.USD: "#,##0.00####",
    Unit.PRICE: "#,##0.00##########",
    Unit.DATE: "yyyy-mm-dd",
    Unit.TIME: "yyyy-mm-dd hh:mm:ss.000",
    Unit.DURATION: "#,##0",
    Unit.PERCENT: "0.0",
    Unit.NUMBER: "#,##0.0###",
}
_META: Final = "Meta"
_NOTE: Final = (
    "Numbers are as exact as Excel's: some 15 digits. Every digit is in JSON, CSV and Parquet."
    " Times are in UTC."
)


def render(report: Report, _style: Style, /) -> bytes:
    """Write *report*: its first section, what it stands on, then any other sections.

    Raises ConfigError where xlsxwriter is not installed, OutputError for more rows than a sheet holds.
    """
    try:
        from xlsxwriter import Workbook
    except ImportError:
        raise ConfigError(
            "xlsx: xlsxwriter is not installed", hint="pip install 'tokenaudit-cli[xlsx]'"
        ) from None
    file = BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    workbook = Workbook(file, options)
    workbook.set_properties({"created": report.meta.generated_at.replace(tzinfo=None)})
    first, *others = report.sections
    _write(workbook, first)
    _write_meta(workbook, report)
    for section in others:
        _write(workbook, section)
    workbook.close()
    return file.getvalue()


def _write(workbook: Any, section: Section) -> None:
    columns, frame = frames.flat(section)
    if frame.height > _MOST_ROWS:
        raise OutputError(
            f"xlsx: {frame.height:,} rows are more than the {_MOST_ROWS:,} of a sheet",
            hint="Write CSV or Parquet, or choose fewer days.",
        )
    names = _distinct(column.name for column in columns)
    held = [
        _held(values, column).alias(name)
        for values, column, name in zip(frames.typed(frame, columns), columns, names, strict=True)
    ]
    shown: dict[Any, str] = {
        name: _SHOWN[column.unit]
        for column, name in zip(columns, names, strict=True)
        if column.unit in _SHOWN
    }
    taken = [sheet.get_name() for sheet in workbook.worksheets()]
    sheet = workbook.add_worksheet(_distinct([_META, *taken, section.name[:_LONGEST_NAME]])[-1])
    pl.DataFrame(held).write_excel(
        workbook,
        sheet,
        column_formats=shown,
        freeze_panes=(1, 0),
        autofit=frame.height <= _FEW,
    )


def _distinct(names: Iterable[str]) -> list[str]:
    """Return *names* with numbers behind those that Excel takes for one: it ignores their case."""
    found: dict[str, str] = {}
    for name in names:
        distinct, number = name, 1
        while distinct.lower() in found:
            number += 1
            distinct = f"{name} {number}"
        found[distinct.lower()] = distinct
    return list(found.values())


def _held(values: pl.Series, column: Column) -> pl.Series:
    """Return *values* as Excel can hold them."""
    if values.dtype.is_decimal():
        return values.cast(pl.String).cast(pl.Float64)  # by its digits: the nearest there is
    if values.dtype.is_temporal():
        return _moments(values, column)
    if values.dtype == pl.String:
        return _texts(values)
    return values


def _moments(values: pl.Series, column: Column) -> pl.Series:
    if not values.dt.year().drop_nulls().is_between(*_YEARS).all():
        return frames.plain(values.to_frame(), [column]).to_series()
    return values.dt.replace_time_zone(None) if column.unit is Unit.TIME else values


def _texts(texts: pl.Series) -> pl.Series:
    """Return *texts* visible and not too long; each that occurs is looked at once."""
    distinct = texts.drop_nulls().unique()
    safe = pl.Series([_cut(visible(text)) for text in distinct], dtype=pl.String)
    return texts.replace_strict(distinct, safe, return_dtype=pl.String)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _write_meta(workbook: Any, report: Report) -> None:
    sheet = workbook.add_worksheet(_META)
    bold = workbook.add_format({"bold": True})
    for number, (key, value) in enumerate(_meta(report)):
        sheet.write_string(number, 0, visible(key), bold)
        sheet.write_string(number, 1, _cut(visible(value)))
    sheet.set_column(0, 1, 40)


def _meta(report: Report) -> Iterator[tuple[str, str]]:
    yield "title", report.title
    yield "numbers", _NOTE
    yield from _flat(described(report))
    for section in report.sections:
        for name, value in (section.totals or {}).items():
            yield f"totals.{section.name}.{name}", _word(plain(value))
    for number, note in enumerate(report.notes, 1):
        yield f"notes.{number}", note


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", _word(value)


def _word(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(value)
