"""The frames of a section as machine formats want them: columns that are asked for, of known types."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, TypeVar, assert_never

import polars as pl

from tokenaudit.reports.report import Column, Section, Unit

__all__ = ["flat", "part_columns", "parts_of_rows", "plain", "typed"]

_T = TypeVar("_T")

_MONEY: Final = pl.Decimal(38, 12)
_MOMENT: Final = pl.Datetime("us", "UTC")
_MODEL: Final = Column("model", Unit.TEXT, "Model")


def part_columns(section: Section, breakdown: pl.DataFrame) -> tuple[Column, ...]:
    """Return the columns of the *breakdown* of *section*: its dimensions, `model`, its measures."""
    known = {column.name: column for column in section.columns}
    measures = [name for name in known if name in breakdown.columns]
    known.setdefault(_MODEL.name, _MODEL)
    return tuple(
        known[name] for name in dict.fromkeys((*section.dimensions, _MODEL.name, *measures))
    )


def flat(section: Section) -> tuple[tuple[Column, ...], pl.DataFrame]:
    """Return the finest rows of *section*, by model where it is broken down, and their columns."""
    if section.breakdown is None:
        return section.columns, section.rows
    return part_columns(section, section.breakdown), section.breakdown


def parts_of_rows(section: Section, parts: Sequence[_T]) -> list[list[_T]]:
    """Return, for each row of *section*, those of *parts* (one per row of the breakdown) that split it."""
    if section.breakdown is None:
        return [[] for _ in range(section.rows.height)]
    keys = list(section.dimensions)
    by_key: dict[tuple[object, ...], list[_T]] = defaultdict(list)
    for key, part in zip(section.breakdown.select(keys).rows(), parts, strict=True):
        by_key[key].append(part)
    return [by_key.get(key, []) for key in section.rows.select(keys).rows()]


def typed(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the *columns* of *frame* in the types of Parquet files: they never depend on the data.

    But for a sum beyond 64 bits, which becomes a decimal rather than an error or another number.
    """
    return frame.select(_typed(frame.get_column(column.name), column.unit) for column in columns)


def _typed(series: pl.Series, unit: Unit) -> pl.Series:
    wanted: pl.DataType
    match unit:
        case Unit.TEXT | Unit.ID:
            wanted = pl.String()
        case Unit.COUNT | Unit.BYTES | Unit.TOKENS:
            return _whole(series)
        case Unit.USD | Unit.PRICE:
            wanted = _MONEY
        case Unit.DATE:
            wanted = pl.String() if series.dtype == pl.String else pl.Date()  # 2026-03 is no day
        case Unit.TIME:
            wanted = _MOMENT
        case Unit.FLAG | Unit.NUMBER:
            wanted = pl.Boolean() if unit is Unit.FLAG else pl.Float64()
        case Unit.DURATION | Unit.PERCENT:
            wanted = series.dtype if series.dtype.is_numeric() else pl.Int64()
        case _:
            assert_never(unit)
    return series.cast(wanted)


def _whole(series: pl.Series) -> pl.Series:
    try:
        return series.cast(pl.Int64, strict=True)
    except pl.exceptions.InvalidOperationError:
        return series.cast(pl.Decimal(38, 0))


def plain(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the *columns* of *frame* as `tokenaudit.render.plain` writes values, whole columns at once."""
    return frame.select(_plain(column) for column in columns)


def _plain(column: Column) -> pl.Expr:
    values = pl.col(column.name)
    match column.unit:
        case Unit.TEXT | Unit.ID | Unit.DATE:
            return values.cast(pl.String)
        case (
            Unit.COUNT
            | Unit.BYTES
            | Unit.TOKENS
            | Unit.DURATION
            | Unit.PERCENT
            | Unit.NUMBER
            | Unit.FLAG
        ):
            return values
        case Unit.USD | Unit.PRICE:
            digits = values.cast(_MONEY).cast(pl.String)
            return digits.str.replace(r"(\.\d\d\d*?)0*$", "$1")
        case Unit.TIME:
            return _plain_time(values.cast(_MOMENT))
        case _:
            assert_never(column.unit)


def _plain_time(moments: pl.Expr) -> pl.Expr:
    shape = "%Y-%m-%dT%H:%M:%S"
    finer = moments.dt.microsecond() % 1000 != 0
    return (
        pl.when(finer)
        .then(moments.dt.strftime(f"{shape}%.6fZ"))
        .otherwise(moments.dt.strftime(f"{shape}%.3fZ"))
    )
