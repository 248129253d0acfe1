"""A section as words for people: its rows, their parts by model, its totals; no widths, no looks."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.model.units import (
    format_bytes,
    format_cost,
    format_count,
    format_number,
    format_percent,
    format_price,
    format_tokens,
)
from tokenaudit.render.clean import ascii_only, visible
from tokenaudit.render.frames import parts_of_rows
from tokenaudit.reports.report import Bound, Column, Section, Unit

__all__ = [
    "NO_ROWS",
    "NUMBERS",
    "CellLine",
    "Role",
    "Words",
    "Writing",
    "cut_rows",
    "format_duration",
    "telling",
]

NUMBERS: Final = frozenset(
    {
        Unit.COUNT,
        Unit.BYTES,
        Unit.TOKENS,
        Unit.USD,
        Unit.PRICE,
        Unit.DURATION,
        Unit.NUMBER,
        Unit.PERCENT,
    }
)
"""What stands at the right of its column."""

NO_ROWS: Final = "nothing in this selection"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_Row = Mapping[str, Any]
_Writer = Callable[[_Row], str]


def telling(section: Section) -> Section:
    """Return *section* without what no screen shows and without quiet columns in which no row says anything."""
    shown = tuple(
        column
        for column in section.columns
        if column.screen
        and (not column.quiet or _says_something(section.rows.get_column(column.name)))
    )
    return replace(section, columns=shown)


def _says_something(values: pl.Series) -> bool:
    if values.dtype.is_numeric():
        return bool((values != 0).any())
    return values.count() > 0


class Role(StrEnum):
    """What a line of a table is."""

    ROW = "row"
    PART = "part"
    """What one model has of the row above."""
    TOTALS = "totals"


class CellLine(Struct, frozen=True):
    """One line of a table: a cell for each column."""

    role: Role
    cells: tuple[str, ...]


class Writing(Struct, frozen=True):
    """How values become words: in which zone, with which signs, how exactly."""

    zone: ZoneInfo
    unicode: bool = True
    exact: bool = True
    """Whether tokens are written in full (`1,234,567`) or in short (`1.2M`)."""

    def text(self, text: str) -> str:
        """Return *text*, which may be anything, as it may be shown."""
        return visible(text) if self.unicode else ascii_only(visible(text))

    @property
    def nothing(self) -> str:
        """What stands where there is no value."""
        return self.text("—")


def format_duration(seconds: Decimal | float) -> str:
    """Write a duration by its two largest units: `45s`, `12m 05s`, `5h 07m`, `3d 04h`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR:02}h"


def cut_rows(section: Section, writing: Writing) -> str | None:
    """Say how many rows a limit left out; None where it left out none."""
    if not section.cut_rows:
        return None
    rows = "1 more row" if section.cut_rows == 1 else f"{format_count(section.cut_rows)} more rows"
    counted = "" if section.totals is None else ", counted in the totals"
    return writing.text(f"… {rows}{counted}")


class Words:
    """A section in words, each row followed by its parts, the totals last.

    Columns are written when they are asked for: a narrow screen shows few of many.
    """

    def __init__(self, section: Section, writing: Writing) -> None:
        """Prepare to write *section* as *writing* says."""
        self._section = section
        self._writing = writing
        self._rows = list(_rows(section))
        self._columns: dict[int, list[str]] = {}
        self.roles = [role for role, _ in self._rows]

    def column(self, at: int) -> list[str]:
        """Return the cells of the column at that place."""
        if at not in self._columns:
            write = {role: self._cell(at, role) for role in Role}
            self._columns[at] = [write[role](row) for role, row in self._rows]
        return self._columns[at]

    def lines(self) -> list[CellLine]:
        """Return the cells of all columns, line by line."""
        columns = [self.column(at) for at in range(len(self._section.columns))]
        return [
            CellLine(role, cells)
            for role, cells in zip(self.roles, zip(*columns, strict=True), strict=True)
        ]

    def _cell(self, at: int, role: Role) -> _Writer:
        """Return what writes the cells of a column in lines of that role."""
        column = self._section.columns[at]
        if role is Role.PART and at == 0:
            return self._part
        if role is Role.PART and not _is_split(column, self._section):
            return _blank
        if role is Role.TOTALS and not _has_total(column, self._section.totals or {}):
            return _total if at == 0 else _blank
        return _writer(column, self._section, self._writing)

    def _part(self, row: _Row) -> str:
        return self._writing.text(f"└ {row['model'] or 'no model named'}")


def _rows(section: Section) -> Iterator[tuple[Role, _Row]]:
    """Yield what the lines of a table are about."""
    parts = () if section.breakdown is None else section.breakdown.iter_rows(named=True)
    split = parts_of_rows(section, list(parts))
    for row, of_row in zip(section.rows.iter_rows(named=True), split, strict=True):
        yield Role.ROW, row
        yield from ((Role.PART, part) for part in of_row)
    if section.totals is not None:
        yield Role.TOTALS, section.totals


def _is_split(column: Column, section: Section) -> bool:
    """Tell whether the parts of a row have values of their own in *column*."""
    parts = section.breakdown
    return parts is not None and column.name in set(parts.columns) - {*section.dimensions, "model"}


def _has_total(column: Column, totals: _Row) -> bool:
    """Tell whether a total is to be shown: a missing sum says something, a missing name does not."""
    is_number = column.unit in NUMBERS
    return column.name in totals and (is_number or totals[column.name] is not None)


def _blank(_row: _Row) -> str:
    return ""


def _total(_row: _Row) -> str:
    return "Total"


_SIGNS: Final[Mapping[Bound, str]] = {Bound.LEAST: "≥ ", Bound.MOST: "≤ "}


def _writer(column: Column, section: Section, writing: Writing) -> _Writer:
    """Return what writes the value of *column* in a row."""
    name = column.name
    is_undated = column.unit in {Unit.DATE, Unit.TIME} and name in section.dimensions
    absent = "undated" if is_undated else writing.nothing
    write = _words(column.unit, writing)

    def cell(row: _Row) -> str:
        value = row[name]
        return absent if value is None else write(value)

    if column.bound is None:
        return cell
    sign = writing.text(_SIGNS[column.bound])

    def bounded_cell(row: _Row) -> str:
        is_partial = row[name] is not None and row.get("unpriced_responses")
        return f"{sign}{cell(row)}" if is_partial else cell(row)

    return bounded_cell


def _words(unit: Unit, writing: Writing) -> Callable[[Any], str]:
    match unit:
        case Unit.TEXT | Unit.ID | Unit.DATE:
            return partial(_text, writing=writing)
        case Unit.TOKENS:
            return format_count if writing.exact else format_tokens
        case Unit.TIME:
            return partial(_local_time, zone=writing.zone)
        case (
            Unit.FLAG
            | Unit.COUNT
            | Unit.NUMBER
            | Unit.PERCENT
            | Unit.BYTES
            | Unit.USD
            | Unit.PRICE
            | Unit.DURATION
        ):
            return _WORDS[unit]
        case _:
            assert_never(unit)


def _text(value: object, writing: Writing) -> str:
    return writing.text(str(value))


def _yes_or_no(value: object) -> str:
    return "yes" if value else "no"


def _local_time(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


_WORDS: Final[Mapping[Unit, Callable[[Any], str]]] = {
    Unit.FLAG: _yes_or_no,
    Unit.COUNT: format_count,
    Unit.NUMBER: format_number,
    Unit.PERCENT: format_percent,
    Unit.BYTES: format_bytes,
    Unit.USD: format_cost,
    Unit.PRICE: format_price,
    Unit.DURATION: format_duration,
}
"""How the units are written that look alike everywhere."""
