"""What was read, as frames of facts: no cost, no text of messages, nothing merged yet.

The documented shape of everything that `merge` and `ledger` start from. For now every run reads
every transcript; what is kept between runs will have this same shape.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import polars as pl

from tokenaudit.model import Reject
from tokenaudit.transcripts import Columns, Discovery, Reading, micros

__all__ = ["COUNTS", "Facts", "collect"]

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
_TIMES: Final = ("time", "value_time")
_WRITTEN: Final = r"^[2-8]\d{3}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{3}Z$"
"""The one form that Claude Code writes; every other is read by the rules for odd times."""

RECORDS: Final[Mapping[str, Any]] = {
    "path": _TEXT,
    "record": pl.Int64,
    "line": pl.Int64,
    "value_line": pl.Int64,
    "lines": pl.Int64,
    "is_progress": pl.Boolean,
    "is_sidechain": pl.Boolean,
    "agent_id": _TEXT,
    "message_id": _TEXT,
    "request_id": _TEXT,
    "uuid": _TEXT,
    "time": _TIME,
    "value_time": _TIME,
    "model": _TEXT,
    "stop_reason": _TEXT,
    **COUNTS,
    "thinking_tokens": pl.Int64,
    "web_searches": pl.Int64,
    "web_fetches": pl.Int64,
    "service_tier": _TEXT,
    "inference_geo": _TEXT,
    "speed": _TEXT,
    "cwd": _TEXT,
    "branch": _TEXT,
    "version": _TEXT,
    "entrypoint": _TEXT,
    "effort": _TEXT,
    "skill": _TEXT,
    "plugin": _TEXT,
    "agent_label": _TEXT,
    "mcp_server": _TEXT,
    "mcp_tool": _TEXT,
    "recorded_cost_usd": _TEXT,
    "odd": _TEXT,
}
"""One row per response and transcript: the best of its lines there (`value_line`), and how many.

`record` numbers them within the transcript: a line may hold two.
"""

ITERATIONS: Final[Mapping[str, Any]] = {
    "path": _TEXT,
    "record": pl.Int64,
    "iteration": pl.Int64,
    "type": _TEXT,
    "iteration_model": _TEXT,
    **COUNTS,
}
"""The inferences behind those records whose top level does not tell all (R6)."""

TRANSCRIPTS: Final[Mapping[str, Any]] = {
    "path": _TEXT,
    "root": _TEXT,
    "project_folder": _TEXT,
    "session_id": _TEXT,
    "agent_id": _TEXT,
    "agent_type": _TEXT,
    "description": _TEXT,
    "first_time": _TIME,
    "last_time": _TIME,
    "last_uuid": _TEXT,
    "project": _TEXT,
    "forked_from": _TEXT,
    "lines": pl.Int64,
    "bytes": pl.Int64,
    "usage_lines": pl.Int64,
    "is_incomplete": pl.Boolean,
    "is_unfinished": pl.Boolean,
    "last_record": pl.Int64,
}
"""One row per transcript. `is_unfinished`: its last reply, `last_record`, has no stop reason."""

TITLES: Final[Mapping[str, Any]] = {
    "path": _TEXT,
    "rank": pl.Int64,
    "title": _TEXT,
    "leaf_uuid": _TEXT,
}
COMPACTIONS: Final[Mapping[str, Any]] = {
    "path": _TEXT,
    "line": pl.Int64,
    "time": _TIME,
    "kind": _TEXT,
    "trigger": _TEXT,
    "pre_tokens": pl.Int64,
    "post_tokens": pl.Int64,
}
REJECTS: Final[Mapping[str, Any]] = {"path": _TEXT, "line": pl.Int64, "reason": _TEXT}
RESULTS: Final[Mapping[str, Any]] = {
    "agent_path": _TEXT,
    "path": _TEXT,
    "input_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
    "output_tokens": pl.Int64,
}
"""What parents state of the last response of subagents whose own transcript is unfinished."""


_SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "records": {**RECORDS, **dict.fromkeys(_TIMES, _TEXT)},
    "iterations": ITERATIONS,
    "transcripts": TRANSCRIPTS,
    "titles": TITLES,
    "compactions": COMPACTIONS,
    "rejects": REJECTS,
    "results": RESULTS,
}
"""What readings hold: the times of records are still texts there."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was read."""

    records: pl.DataFrame
    iterations: pl.DataFrame
    transcripts: pl.DataFrame
    titles: pl.DataFrame
    compactions: pl.DataFrame
    rejects: pl.DataFrame
    results: pl.DataFrame


def collect(discovery: Discovery, readings: Iterable[Reading]) -> Facts:
    """Put the *readings* of the transcripts of *discovery* into frames, each as it comes."""
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in _SCHEMAS}
    for reading in chain(readings, [Reading(rejects=_unreadable(discovery.rejects))]):
        for name, schema in _SCHEMAS.items():
            if columns := getattr(reading, name):
                parts[name].append(_part(columns, schema))
    frames = {
        name: pl.concat(parts[name]) if parts[name] else pl.DataFrame(schema=schema)
        for name, schema in _SCHEMAS.items()
    }
    return Facts(**{**frames, "records": _timed(frames["records"])})


def _timed(records: pl.DataFrame) -> pl.DataFrame:
    """Read the times of *records* (R8): as whole columns where they have the form that is written."""
    return records.with_columns(_time(records[name]) for name in _TIMES)


def _time(texts: pl.Series) -> pl.Series:
    plain = pl.when(pl.col("text").str.contains(_WRITTEN)).then("text")
    frame = pl.DataFrame({"text": texts}).with_columns(
        time=plain.str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="us", strict=False
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


def _part(columns: Columns, schema: Mapping[str, Any]) -> pl.DataFrame:
    rows = len(columns["path"])
    whole = {name: columns.get(name) or [None] * rows for name in schema}
    try:
        return pl.DataFrame(whole, schema)
    except UnicodeEncodeError:  # a file's name may be any bytes
        return pl.DataFrame(
            {name: [_written(value) for value in column] for name, column in whole.items()}, schema
        )


def _written(value: Any) -> Any:
    """Return *value*, if it is a text, with what UTF-8 cannot hold as escapes."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _unreadable(rejects: Sequence[Reject]) -> Columns:
    return {
        "path": [reject.path for reject in rejects],
        "line": [reject.line for reject in rejects],
        "reason": [reject.reason for reject in rejects],
    }
