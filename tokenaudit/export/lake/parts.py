"""Parts, the files of a lake: named by what they hold, checked against that name when read.

`date=YYYY-MM-DD/host=ID/HASH.parquet`, where HASH is the first half of the SHA-256 of the file. What
is no part, or is damaged, is a value that names it, never silence.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import sha256
from io import BytesIO
from typing import Final

import polars as pl
from msgspec import Struct

from tokenaudit.export.lake.schema import FORMAT, SCHEMA, SINCE
from tokenaudit.export.lake.storage import Storage

__all__ = [
    "UNDATED",
    "Damage",
    "Part",
    "PartRows",
    "are_whole",
    "encode",
    "find",
    "parse",
    "place",
    "read",
]

UNDATED: Final = "__HIVE_DEFAULT_PARTITION__"
"""The day of responses that have no usable time: how Hive, Spark and DuckDB write null."""

_DIGITS: Final = 32
_NAME: Final = re.compile(
    rf"date=(?P<date>\d{{4}}-\d\d-\d\d|{UNDATED})"
    r"/host=(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,63})"
    rf"/(?P<hash>[0-9a-f]{{{_DIGITS}}})\.parquet"
)


class Part(Struct, frozen=True):
    """One file of a lake, as its name tells."""

    name: str
    date: date | None
    host: str
    hash: str


class Damage(Struct, frozen=True):
    """A file of a lake that could not be read as a part, and why."""

    name: str
    reason: str


class PartRows(Struct, frozen=True):
    """What was read from some parts."""

    rows: pl.DataFrame
    """The rows of all that could be read: SCHEMA."""
    whole: tuple[Part, ...]
    damages: tuple[Damage, ...]


def place(day: date | None, host: str) -> str:
    """Return the folder of the parts of *host* for *day*."""
    return f"date={UNDATED if day is None else day.isoformat()}/host={host}"


def parse(name: str) -> Part | Damage:
    """Return the part that *name* names; a damage where it names none."""
    found = _NAME.fullmatch(name)
    if name.endswith("/"):
        return Damage(name, "a folder that cannot be listed, or leads back to one above it")
    if found is None:
        return Damage(name, "foreign: its name is not that of a part")
    try:
        day = None if found["date"] == UNDATED else date.fromisoformat(found["date"])
    except ValueError:
        return Damage(name, f"foreign: no such day: {found['date']}")
    return Part(name, day, found["host"], found["hash"])


def find(storage: Storage, under: str = "") -> tuple[list[Part], list[Damage]]:
    """Return the parts below *under*, and the files there that are none."""
    found = [parse(name) for name in storage.names(under)]
    parts = [each for each in found if isinstance(each, Part)]
    return parts, [each for each in found if isinstance(each, Damage)]


def encode(rows: pl.DataFrame) -> tuple[str, bytes]:
    """Return *rows*, which are in their one order, as the bytes of a part, and their hash."""
    buffer = BytesIO()
    rows.write_parquet(buffer, compression="zstd", compression_level=6)
    data = buffer.getvalue()
    return sha256(data).hexdigest()[:_DIGITS], data


def read(
    storage: Storage, parts: Iterable[Part], columns: Sequence[str] = tuple(SCHEMA)
) -> PartRows:
    """Read *columns* of *parts*, all of one day; what is damaged is left out and named."""
    checked: list[tuple[Part, bytes]] = []
    damages: list[Damage] = []
    listed = list(parts)
    contents = storage.read_all([part.name for part in listed])
    for part, content in zip(listed, contents, strict=True):
        data = _checked(part, content)
        if isinstance(data, Damage):
            damages.append(data)
        else:
            checked.append((part, data))
    try:
        rows = _together(checked, columns)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        rows = None  # one of them is to blame
    if rows is None:
        return _one_by_one(checked, columns, damages)
    return PartRows(rows, tuple(part for part, _ in checked), tuple(damages))


def are_whole(storage: Storage, parts: Sequence[Part]) -> bool:
    """Tell whether all *parts* hold what their names say."""
    contents = storage.read_all([part.name for part in parts])
    return not any(
        isinstance(_checked(part, content), Damage)
        for part, content in zip(parts, contents, strict=True)
    )


def _checked(part: Part, data: bytes | OSError) -> bytes | Damage:
    if isinstance(data, OSError):
        return Damage(part.name, f"cannot be read: {data.strerror or data}")
    if not data:
        return Damage(part.name, "damaged: the file is empty")
    if sha256(data).hexdigest()[:_DIGITS] != part.hash:
        return Damage(part.name, "damaged: it does not hold what its name says")
    return data


def _one_by_one(
    checked: Sequence[tuple[Part, bytes]], columns: Sequence[str], damages: list[Damage]
) -> PartRows:
    frames, whole = [_empty(columns)], []
    for part, data in checked:
        formats = range(FORMAT, 0, -1)
        frame = next(filter(_is_frame, (_alone(part, data, columns, one) for one in formats)), None)
        if frame is None:
            damages.append(Damage(part.name, _reason(part, data)))
        else:
            frames.append(frame)
            whole.append(part)
    return PartRows(pl.concat(frames), tuple(whole), tuple(damages))


def _is_frame(frame: pl.DataFrame | None) -> bool:
    return frame is not None


def _alone(part: Part, data: bytes, columns: Sequence[str], form: int) -> pl.DataFrame | None:
    """Return the rows of a part as one of format *form*; None where it is none."""
    try:
        return _together([(part, data)], columns, form)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None


def _together(
    checked: Sequence[tuple[Part, bytes]], columns: Sequence[str], form: int = FORMAT
) -> pl.DataFrame | None:
    """Return the rows of parts of one day, of format *form*; None where they are not what such hold."""
    if not checked:
        return _empty(columns)
    schema = {name: dtype for name, dtype in SCHEMA.items() if SINCE.get(name, 1) <= form}
    needed = [name for name in dict.fromkeys(["format", "time", *columns]) if name in schema]
    rows = (
        pl.scan_parquet(
            [data for _, data in checked],
            schema=pl.Schema(schema),
            extra_columns="raise",
            missing_columns="raise",
            glob=False,
        )
        .select(needed)
        .collect()
    )
    if not _are_sound(rows, checked[0][0].date, form):
        return None
    later = {name: pl.lit(None, SCHEMA[name]) for name in columns if name not in schema}
    return rows.with_columns(**later).select(columns)


def _empty(columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={name: SCHEMA[name] for name in columns})


def _are_sound(rows: pl.DataFrame, day: date | None, form: int) -> bool:
    of_format = (rows["format"] == form).fill_null(value=False).all()
    days = rows["time"].dt.date()
    of_day = days.is_null() if day is None else (days == day).fill_null(value=False)
    return bool(of_format and of_day.all())


def _reason(part: Part, data: bytes) -> str:
    """Say what is wrong with *data*, which are whole, but no part that this version reads."""
    try:
        rows = pl.read_parquet(data)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return "foreign: not a Parquet file"
    numbers = set(rows["format"].unique()) if "format" in rows.columns else set()
    if numbers - {*range(1, FORMAT + 1)}:
        told = ", ".join(str(number) for number in sorted(numbers, key=str))
        return f"format {told}: this version reads formats 1 to {FORMAT}"
    if lacking := [name for name in SCHEMA if name not in rows.columns]:
        return f"foreign: lacks the column {lacking[0]}"
    if more := [name for name in rows.columns if name not in SCHEMA]:
        return f"foreign: has another column: {more[0]}"
    wrong = [name for name, dtype in SCHEMA.items() if rows.schema[name] != dtype]
    if wrong:
        return f"foreign: the column {wrong[0]} has another type"
    return f"foreign: holds responses of other days than {part.date or 'none'}"
