"""What a row of a lake holds: what one host knows of one response.

Facts, identity and lineage, never text of messages and never a cost, for rates change.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from tokenaudit.model.fields import In
from tokenaudit.store.rows import COUNTS, table_of

__all__ = [
    "FORMAT",
    "IDS",
    "NESTED",
    "OF_SOURCE",
    "PLACED",
    "SCHEMA",
    "SINCE",
    "conform",
    "own_left_out",
]

FORMAT: Final = 2
"""Number of the shape of rows. 1: the first, without `owner_time`."""
SINCE: Final[Mapping[str, int]] = {"owner_time": 2}
"""Columns that the first format has not, and the one with which they came: null in earlier parts."""
_TIME: Final = pl.Datetime("us", "UTC")
NESTED: Final = pl.List(
    pl.Struct(
        {
            "iteration": pl.Int64,
            "type": pl.String,
            "iteration_model": pl.String,
            **COUNTS,
        }
    )
)
"""What stands as JSON in `iterations`."""
SCHEMA: Final[Mapping[str, Any]] = {
    "format": pl.Int16,
    # the host that says it
    "host": pl.String,
    "host_label": pl.String,
    # what it knows of the response, by the fields of `model.fields`
    **table_of(In.LAKE),
    # what decides which copy wins: of the owner (R5) …
    "first_time": _TIME,  # of the owner's transcript
    "owner_time": _TIME,  # of the owner's copy; null where it is `time`
    "owner_path": pl.String,
    "owner_line": pl.Int64,
    # … and of the line whose values count (R4); null where it is the owner's own
    "source_is_progress": pl.Boolean,
    "source_is_sidechain": pl.Boolean,
    "source_first_time": _TIME,
    "source_path": pl.String,  # never null: where to look
    "source_line": pl.Int64,
    "source_record": pl.Int64,
    "said_output_tokens": pl.Int64,  # what the line says, before any repair
    # the inferences behind it as JSON, where the top level does not tell all (R6); else null: the
    # many rows without are read in a fifth of the time that nested columns take
    "iterations": pl.String,
}
"""The columns of a part, in this order. Beside `date` and `host`, which the folders say too."""
IDS: Final = ("message_id", "request_id", "time")
"""Rows that agree in these are one, where a message and one of the others is there."""
OF_SOURCE: Final = {
    "source_is_progress": "is_progress",
    "source_is_sidechain": "is_sidechain",
    "source_first_time": "first_time",
}
"""What is said of the line whose values count, and what says the same of the owner's own."""
_ORDER: Final = (
    *("session_id", "agent_id", *reversed(IDS), "uuid", "host", "owner_path", "owner_line"),
    *("source_path", "source_line", "source_record"),
)
PLACED: Final = (
    *("owner_path", "host", "owner_line", "source_path", "source_record", "source_line"),
    *("message_id", "request_id", "time", "uuid"),
)
"""By what rows are told apart whose copies are otherwise equally good."""


def conform(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows*, united ones, with the columns of SCHEMA in the one order they are written in."""
    columns = rows.with_columns(format=pl.lit(FORMAT)).select(SCHEMA.keys()).cast(pl.Schema(SCHEMA))
    return columns.sort(_ORDER, nulls_last=True)


def own_left_out(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out what is said of the line whose values count, and when, where it is the owner's own."""
    is_own = pl.all_horizontal(
        pl.col(said).eq_missing(pl.col(own))
        for said, own in {**OF_SOURCE, "source_path": "owner_path"}.items()
    )
    is_earliest = pl.col("owner_time").eq_missing(pl.col("time"))
    return rows.with_columns(
        pl.when(~is_own).then(pl.col(*OF_SOURCE)), pl.when(~is_earliest).then("owner_time")
    )
