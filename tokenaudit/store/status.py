"""What a store holds, for those who ask about the store itself and not about usage."""

from pathlib import Path
from typing import Any, Final

import polars as pl
from msgspec import Struct, field

from tokenaudit.store.facts import Facts
from tokenaudit.store.index import Index
from tokenaudit.store.rows import Rows
from tokenaudit.store.versions import Version, versions

__all__ = ["StoreStatus", "with_rows"]


class StoreStatus(Struct, frozen=True):
    """A store as it lies on disk."""

    folder: Path
    format: int
    bytes: int
    """Of all files in the folder."""
    segments: int
    is_there: bool
    is_damaged: bool
    """Whether its index cannot be used: then nothing else is known of it."""
    facts: Facts
    versions: list[Version] = field(default_factory=list)


_OF_VERSION: Final[dict[str, Any]] = {"version": pl.Int64, "part": pl.Int64}


def with_rows(index: Index, rows: Rows) -> list[Version]:
    """Return all versions that *index* knows, with what their *rows* say of them."""
    found = list(versions(index))
    parts = [(at, part) for at, version in enumerate(found) for part in version.parts]
    told = (
        pl.DataFrame(parts, _OF_VERSION, orient="row")
        .join(rows.parts, on="part")
        .group_by("version")
        .agg(pl.col("records").sum(), pl.col("first_time").min(), pl.col("last_time").max())
    )
    for at, records, first_time, last_time in told.iter_rows():
        more = {"records": records, "first_time": first_time, "last_time": last_time}
        found[at] = found[at]._replace(**more)
    return found
