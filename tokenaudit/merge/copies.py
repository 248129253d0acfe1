"""R4 and R5: of the copies of a response, which line counts, and to whom it belongs."""

from typing import Final

import polars as pl

from tokenaudit.merge.value import IS_CUT, IS_FINAL, LATER, SAID
from tokenaudit.model.fields import In, Origin, names

__all__ = ["BY_OWNER", "OF_ALL", "OF_OWNER", "best_of", "owners_of", "shared_of"]

OF_OWNER: Final = tuple(names(In.RECORDS, origin=Origin.OWNER))
"""What a response has from its owner (R5)."""

OF_ALL: Final = ("time", "request_id", "lines")
"""What all its copies say together."""

BY_OWNER: Final = ("is_progress", "is_sidechain", "file_time", "time", "path", "revision")
"""Of the copies of a response the one that comes first is its owner (R5)."""

_NEAREST: Final = tuple(name for name in BY_OWNER if name != "time")
"""Of equally good lines of several transcripts the one that comes first counts (R4)."""


def owners_of(copied: pl.DataFrame) -> pl.DataFrame:
    """Return for each key the row of its owner, and what all copies say together (R5, R8)."""
    return (
        copied.sort(*BY_OWNER, "line", nulls_last=True)
        .group_by("key", maintain_order=True)
        .agg(
            pl.col("session_id").first(),
            pl.col("time").min(),
            pl.col("request_id").drop_nulls().first(),
            pl.col("lines").sum(),
            owner_row=pl.col("row").first(),
        )
    )


def best_of(copied: pl.DataFrame) -> pl.DataFrame:
    """Return for each key the row of the best line (R4).

    What one transcript knows to be cut no other knows to be whole. Of equally good lines the later one
    counts: within a transcript by its place, for times there go back and forth; among transcripts by
    its time.
    """
    return (
        copied.select(
            *("key", "value_line", "record", *_NEAREST),
            is_cut=IS_CUT,
            is_final=IS_FINAL,
            said=SAID,
            later=LATER,
            best_row="row",
        )
        .sort("is_cut", "is_final", "said", "value_line", "record", descending=True)
        .unique(["key", "path", "revision"], keep="first", maintain_order=True)
        .sort(*_NEAREST, nulls_last=True)
        .sort("is_cut", "is_final", "said", "later", descending=True, maintain_order=True)
        .unique("key", keep="first", maintain_order=True)
        .select("key", "best_row")
    )


def shared_of(copied: pl.DataFrame, owners: pl.DataFrame) -> pl.DataFrame:
    """Count the responses that the main transcript of one session copies from another's."""
    return (
        copied.filter(~pl.col("is_progress") & ~pl.col("is_sidechain"))
        .select("key", "session_id")
        .unique()
        .join(owners.select("key", owner_id="session_id"), on="key")
        .filter(pl.col("session_id") != pl.col("owner_id"))
        .group_by("session_id", "owner_id")
        .agg(pl.len().alias("responses"))
    )
