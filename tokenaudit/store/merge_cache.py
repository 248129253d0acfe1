"""What was merged of the rows of a store, kept beside them: only what is new is merged again.

A cache: any of it can be made again, and is, where it stands on rows that are no longer known, or was
made by another version. Sessions that share no response are merged apart, for all rules that make
one response of several records look at the same message or within one session; so those that hold
something new, and those that share with them, are merged anew, and all others stay as they were.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl
from msgspec import Struct

from tokenaudit.store import segments

if TYPE_CHECKING:
    from tokenaudit.store.segments import Tables

__all__ = ["MergeCache", "meeting"]


class MergeCache(Struct, frozen=True):
    """Merged responses, as they were when they were kept, and which of them no longer hold."""

    frame: Callable[[str, Mapping[str, Any]], pl.DataFrame]
    """Returns what is kept under a name, with the columns of a schema."""
    sessions: Collection[str | None] = ()
    """The ids of those that are to be merged anew, now and before: what is kept of them is out of date."""
    is_stale: bool = False
    """Whether so much is new that it had better be kept again."""

    @classmethod
    def of(cls, tables: "Tables") -> "MergeCache":
        """Return what *tables* hold, all of it up to date."""
        return cls(lambda name, schema: segments.table(tables, name, schema))


def meeting(keys: pl.Series, groups: pl.Series, found: pl.Series) -> pl.Series:
    """Return the groups *found* and all that share a key with them, or with one that does.

    Of each row *keys* tells what it may share with others, or null, and *groups* where it belongs.
    """
    while True:
        inside = keys.filter(groups.is_in(found.implode())).unique().drop_nulls()
        met = pl.concat([found, groups.filter(keys.is_in(inside.implode()))]).unique()
        if len(met) == len(found):
            return met
        found = met
