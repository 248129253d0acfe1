"""Rows as they are kept: what each part of a transcript said, in one frame per kind of fact.

A part is what was read of a transcript at one time, from where a line begins to where one ends. Rows
name it by its number; what a number stands for is told by `parts` alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import PurePath
from typing import Any, Final, NamedTuple, Protocol

import polars as pl
from msgspec import Struct
from msgspec.structs import fields

from tokenaudit.model.fields import FIELDS, Dtype, In
from tokenaudit.model.terms import Transcript
from tokenaudit.store.plan import Base
from tokenaudit.transcripts import Columns, Digests, Reading, micros

__all__ = [
    "COUNTS",
    "TABLES",
    "Collector",
    "LazyRows",
    "PartEnd",
    "Rows",
    "table_of",
    "united",
    "written",
]

COUNTS: Final = {
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
    "split_5m_tokens": pl.Int64,
    "split_1h_tokens": pl.Int64,
}
"""The counts of a usage object as it says them: flat cache writes beside their split (R7)."""

_TIME: Final = pl.Datetime("us", "UTC")
_TEXT: Final = pl.String
_PART: Final = {"part": pl.Int64}
_TIMES: Final = ("time", "value_time")
_WRITTEN: Final = r"^[2-8]\d{3}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{3}Z$"
"""The one form that Claude Code writes; every other is read by the rules for odd times."""

_DTYPES: Final[Mapping[Dtype, Any]] = {
    Dtype.TEXT: _TEXT,
    Dtype.ID: _TEXT,
    Dtype.COUNT: pl.Int64,
    Dtype.TOKENS: pl.Int64,
    Dtype.FLAG: pl.Boolean,
    Dtype.TIME: _TIME,
    Dtype.USD: pl.Decimal(38, 12),
    Dtype.USD_TEXT: _TEXT,
}


def table_of(tables: In) -> dict[str, Any]:
    """Return the columns, with their types in frames, of the fields that *tables* carry."""
    return {field.name: _DTYPES[field.dtype] for field in FIELDS if field.tables & tables}


TABLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "parts": {
        **_PART,
        "path": _TEXT,
        "revision": pl.Int64,  # how often the transcript had been replaced or rewritten
        "start": pl.Int64,
        "end": pl.Int64,  # where the last whole line ends; what stands behind it is read again
        "root": _TEXT,
        "project_folder": _TEXT,
        "session_id": _TEXT,  # that the path names
        "usage_session_id": _TEXT,  # that the first line with usage names
        "said_session_id": _TEXT,  # that the first lines name
        "file_name": _TEXT,  # without its ending
        "agent_id": _TEXT,
        "agent_type": _TEXT,
        "description": _TEXT,
        "first_time": _TIME,
        "last_time": _TIME,
        "last_uuid": _TEXT,
        "project": _TEXT,
        "forked_from": _TEXT,
        "lines": pl.Int64,
        "line_ends": pl.Int64,
        "bytes": pl.Int64,
        "usage_lines": pl.Int64,
        "requests": pl.Int64,  # lines that say that one was sent
        "last_reply": _TEXT,  # what a mark behind it, in the next part, would say to be cut
        "records": pl.Int64,
        "is_incomplete": pl.Boolean,
    },
    "records": {**_PART, **table_of(In.RECORDS)},
    "iterations": {
        **_PART,
        "record": pl.Int64,
        "iteration": pl.Int64,
        "type": _TEXT,
        "iteration_model": _TEXT,
        **COUNTS,
    },
    "titles": {**_PART, "rank": pl.Int64, "title": _TEXT, "leaf_uuid": _TEXT},
    "compactions": {
        **_PART,
        "line": pl.Int64,
        "time": _TIME,
        "kind": _TEXT,
        "trigger": _TEXT,
        "pre_tokens": pl.Int64,
        "post_tokens": pl.Int64,
    },
    "rejects": {**_PART, "line": pl.Int64, "reason": _TEXT, "kind": _TEXT},
    "results": {
        **_PART,
        "agent_id": _TEXT,
        "input_tokens": pl.Int64,
        "cache_read_tokens": pl.Int64,
        "cache_write_tokens": pl.Int64,
        "output_tokens": pl.Int64,
    },
    "totals": {
        **_PART,
        "line": pl.Int64,
        "session_id": _TEXT,  # that the line names
        "start_time": _TIME,
        "duration_ms": pl.Int64,
        "total_cost_usd": _TEXT,
        "model": _TEXT,
        "input_tokens": pl.Int64,
        "output_tokens": pl.Int64,
        "cache_read_tokens": pl.Int64,
        "cache_write_tokens": pl.Int64,
        "web_searches": pl.Int64,
        "cost_usd": _TEXT,
    },
    "requests": {
        **_PART,
        "line": pl.Int64,
        "time": _TIME,
        "event": _TEXT,  # see `RequestEvent`
        "id": _TEXT,
        "model": _TEXT,
        "detail": _TEXT,
        "reply": _TEXT,
    },
    "uncounted": {**_PART, "line": pl.Int64, "type": _TEXT, "lines": pl.Int64},
}
"""The frames of `Rows`, with their columns. `record` numbers the responses of a transcript, over all
its revisions; lines count from 1 in each."""


class Rows(Struct, frozen=True):
    """What some parts said; see TABLES for the columns."""

    parts: pl.DataFrame
    records: pl.DataFrame
    iterations: pl.DataFrame
    titles: pl.DataFrame
    compactions: pl.DataFrame
    rejects: pl.DataFrame
    results: pl.DataFrame
    totals: pl.DataFrame
    requests: pl.DataFrame
    uncounted: pl.DataFrame

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return the frames by their names."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def table(self, name: str, columns: Collection[str] | None = None) -> pl.DataFrame:
        """Return the frame called *name*, or the *columns* of it."""
        frame: pl.DataFrame = getattr(self, name)
        return frame if columns is None else frame.select(columns)

    def columns(
        self, name: str, schema: Mapping[str, Any], parts: pl.Series | None
    ) -> pl.DataFrame:
        """Return the columns of *schema* of the frame called *name*: of *parts*, or of all."""
        frame = self.table(name)
        if parts is not None:
            frame = frame.filter(pl.col("part").is_in(parts.implode()))
        return frame.select(schema.keys())

    def of(self, parts: Collection[int]) -> "Rows":
        """Return the rows of *parts* alone."""
        if set(self.parts["part"]) <= set(parts):
            return self
        wanted = pl.Series(sorted(parts), dtype=pl.Int64)
        return Rows(
            **{
                name: frame.filter(pl.col("part").is_in(wanted.implode()))
                for name, frame in self.frames().items()
            }
        )

    def renumbered(self, by: int) -> "Rows":
        """Return the same rows with all numbers of parts raised *by* as much."""
        return Rows(
            **{
                name: frame.with_columns(pl.col("part") + by)
                for name, frame in self.frames().items()
            }
        )


class RowSource(Protocol):
    """Where rows are taken from."""

    def __call__(
        self, name: str, schema: Mapping[str, Any], parts: pl.Series | None
    ) -> pl.DataFrame:
        """Return the columns of *schema* of the table called *name*: of *parts*, or of all."""


class LazyRows:
    """The rows of some parts, each table of which is read when it is asked for."""

    def __init__(
        self,
        sources: Sequence[RowSource],
        live: Collection[int],
        parts: pl.DataFrame | None = None,
    ) -> None:
        """Take from *sources* what is of *live* parts; *parts* is the table of at least these."""
        self._sources = sources
        self._live: pl.Series | None = None
        found = self.table("parts") if parts is None else parts
        self._live = pl.Series(sorted(live), dtype=pl.Int64)
        self.parts = found.filter(pl.col("part").is_in(self._live.implode()))
        if parts is None and self.parts.height == found.height:
            self._live = None

    def table(self, name: str, columns: Collection[str] | None = None) -> pl.DataFrame:
        """Return the frame called *name*, or the *columns* of it."""
        schema = TABLES[name]
        if columns is not None:
            schema = {column: schema[column] for column in columns}
        found = (source(name, schema, self._live) for source in self._sources)
        filled = [frame for frame in found if frame.height]
        if len(filled) == 1:
            return filled[0]
        return pl.concat(filled) if filled else pl.DataFrame(schema=schema)

    def of(self, parts: Collection[int]) -> "LazyRows":
        """Return the rows of *parts* alone."""
        return LazyRows(self._sources, parts, self.parts)

    def rows(self) -> Rows:
        """Return all of them."""
        return Rows(**{name: self.table(name) for name in TABLES})


def united(several: Iterable[Rows]) -> Rows:
    """Return all rows of *several* together."""
    frames = [rows.frames() for rows in several]
    return Rows(**{name: _concat(name, [each[name] for each in frames]) for name in TABLES})


def _concat(name: str, frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Put *frames* of the table *name* together; one that is alone is not copied."""
    filled = [frame for frame in frames if not frame.is_empty()]
    if len(filled) == 1:
        return filled[0]
    return pl.concat(filled) if filled else _nothing(name)


@cache
def _nothing(name: str) -> pl.DataFrame:
    """Return the table *name* without rows: a watch needs it a hundred times for one line."""
    return pl.DataFrame(schema=TABLES[name])


class PartEnd(NamedTuple):
    """Where the reading of a part ended, and what is to be known to go on from there."""

    part: int
    start: int
    end: int
    bytes: int
    digests: Digests | None
    is_settled: bool
    line_ends: int
    records: int


class Collector:
    """Takes readings as they come, and makes rows of them."""

    def __init__(self, transcripts: Iterable[Transcript], bases: Mapping[str, Base]) -> None:
        """Collect what is read of *transcripts*, behind what *bases* tell of some, by path."""
        self.ends: dict[str, list[PartEnd]] = {}
        """By path, the ends of all the parts that have been read."""
        self._transcripts = {transcript.path: transcript for transcript in transcripts}
        self._bases = bases
        self._frames: dict[str, list[pl.DataFrame]] = {name: [] for name in TABLES}
        self._count = 0

    def add(self, reading: Reading) -> None:
        """Take in *reading*."""
        first = self._count
        extents = reading.extents
        self._count += len(extents["path"])
        ends = zip(*(extents[name] for name in PartEnd._fields[1:]), strict=True)
        for part, (path, end) in enumerate(zip(extents["path"], ends, strict=True), first):
            self.ends.setdefault(path, []).append(PartEnd(part, *end))
        self._frames["parts"].append(_frame(self._parts(extents, first), _PARTS))
        for name, schema in _READ.items():
            if columns := getattr(reading, name):
                frame = _frame({**columns, "part": columns["extent"]}, schema)
                self._frames[name].append(frame.with_columns(pl.col("part") + first))

    def rows(self) -> Rows:
        """Return all that was added: lines and records counted from where their transcripts begin."""
        parts, *others = (
            pl.concat(self._frames[name]) if self._frames[name] else _nothing_read(name)
            for name in ("parts", *_READ)
        )
        before = {
            base: pl.col(base)
            + pl.col(count).cum_sum().shift(1, fill_value=0).over("path", order_by="start")
            for base, count in _BASES.items()
        }
        parts = parts.with_columns(**before)
        frames = dict(zip(_READ, others, strict=True))
        if parts.select(pl.max_horizontal(pl.col(*_BASES).max())).item():
            bases = parts.select("part", *_BASES)
            frames = {name: _counted_on(frame, bases) for name, frame in frames.items()}
        records = frames["records"]
        frames["records"] = records.with_columns(_time(records[name]) for name in _TIMES)
        return Rows(
            parts=parts.select(TABLES["parts"].keys()),
            **{name: frame.select(TABLES[name].keys()) for name, frame in frames.items()},
        )

    def _parts(self, extents: Columns, first: int) -> Columns:
        found = [self._transcripts[path] for path in extents["path"]]
        bases = [self._bases.get(path, _NEW) for path in extents["path"]]
        return {
            **extents,
            "part": list(range(first, first + len(found))),
            "revision": [base.revision for base in bases],
            "root": [one.root for one in found],
            "project_folder": [one.project_folder for one in found],
            "session_id": [one.session_id for one in found],
            "file_name": [PurePath(one.path).stem for one in found],
            "agent_id": [one.agent_id for one in found],
            "base_line": [base.line_ends for base in bases],
            "base_record": [base.records for base in bases],
        }


_NEW: Final = Base()
_BASES: Final = {"base_line": "line_ends", "base_record": "records"}
_PARTS: Final = {**TABLES["parts"], **dict.fromkeys(_BASES, pl.Int64)}
_READ: Final = {
    **{name: schema for name, schema in TABLES.items() if name != "parts"},
    "records": {**TABLES["records"], **dict.fromkeys(_TIMES, _TEXT)},
}
"""What readings hold of each table: the times of records are still texts there."""


@cache
def _nothing_read(name: str) -> pl.DataFrame:
    return pl.DataFrame(schema=_PARTS if name == "parts" else _READ[name])


def _counted_on(frame: pl.DataFrame, bases: pl.DataFrame) -> pl.DataFrame:
    """Raise lines and records by what stands before the part that they were counted in."""
    counted = {"line": "base_line", "value_line": "base_line", "record": "base_record"}
    of_rows = frame.select("part").join(bases, on="part", how="left", maintain_order="left")
    return frame.with_columns(
        frame[name] + of_rows[base] for name, base in counted.items() if name in frame.columns
    )


def _time(texts: pl.Series) -> pl.Series:
    """Read *texts* as times (R8): as a whole column where they have the form that is written."""
    plain = pl.when(pl.col("text").str.contains(_WRITTEN)).then("text")
    frame = pl.DataFrame({"text": texts}).with_columns(
        time=plain.str.to_datetime(
            "%Y-%m-%dT%H:%M:%S.%3fZ", time_unit="us", strict=False
        ).dt.replace_time_zone("UTC")
    )
    odd = frame.filter(pl.col("time").is_null())["text"].drop_nulls().unique()
    if not odd.is_empty():
        read = pl.DataFrame(
            {"text": odd, "odd": [micros(text) for text in odd]}, {"text": _TEXT, "odd": _TIME}
        )
        frame = frame.join(read, on="text", how="left", maintain_order="left").with_columns(
            time=pl.coalesce("time", "odd")
        )
    return frame["time"].rename(texts.name)


def _frame(columns: Columns, schema: Mapping[str, Any]) -> pl.DataFrame:
    rows = len(columns["part"])
    whole = {name: columns.get(name) or [None] * rows for name in schema}
    try:
        return pl.DataFrame(whole, schema)
    except UnicodeEncodeError:  # a file's name may be any bytes
        return pl.DataFrame(
            {name: [written(value) for value in column] for name, column in whole.items()}, schema
        )


def written(value: Any) -> Any:
    """Return *value*, if it is a text, with what UTF-8 cannot hold as escapes."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
