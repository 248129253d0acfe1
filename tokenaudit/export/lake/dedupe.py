"""Rows with the same ids and time become one, for good: the same one in whatever order they come."""

from collections.abc import Collection, Iterable
from typing import Final

import polars as pl

from tokenaudit.export.lake.schema import IDS, OF_SOURCE, SCHEMA, conform, own_left_out
from tokenaudit.merge.value import IS_CUT, IS_FINAL, LATER, SAID
from tokenaudit.model.terms import Quality

__all__ = ["deduplicate", "deduplicated", "may_have_copies"]

_OF_OWNER: Final = (
    *(
        "is_progress",
        "is_sidechain",
        "first_time",
        "owner_time",
        "owner_path",
        "host",
        "owner_line",
    ),
    *("session_id", "agent_id", "agent_type", "project", "cwd", "branch", "version", "entrypoint"),
    "host_label",
)
"""What a response has of its owner (R5). Of two owners the one that comes first by these is it."""
_OF_VALUE: Final = tuple(name for name in SCHEMA if name not in {*_OF_OWNER, *IDS, "copies"})
"""What a response has of the line whose values count (R4)."""
_BETTER: Final = ("rank", "said", "later")
"""Of these the greater is better, of all others the lesser."""
_TELLING: Final = 7
"""Columns, the cell among them, by which nearly all that can be told apart is."""


def deduplicate(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows*, one for each response, id and time: the best values (R4), the owner's facts (R5).

    Each is chosen by a total order, so that the result is the same in any order and whatever was
    united before. What is one response in spite of its ids `merged` says.
    """
    return conform(deduplicated(rows))


def deduplicated(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what `deduplicate` does, in any order, with those columns of SCHEMA that *rows* have."""
    names = [name for name in SCHEMA if name in rows.columns]
    is_suspect = may_have_copies(rows)
    if not is_suspect.any():
        return rows.select(names)
    several = rows.filter(is_suspect).with_columns(
        pl.coalesce(name, own).alias(name)
        for name, own in {**OF_SOURCE, "owner_time": "time"}.items()
    )
    cells = (
        several.select(*IDS, stands_for=_stands_for())
        .with_row_index("row")
        .group_by(*IDS, "stands_for")
        .agg("row")
        .with_row_index("cell")
    )
    cell_of = cells.select("cell", "row").explode("row").sort("row")["cell"]
    owners = _first_of_each(several.select(cell_of, *_present(_OF_OWNER, names)))
    values = _first_of_each(several.select(cell_of, *_by_value(names)), descending=_BETTER)
    of_owner = [*IDS, *_present(_OF_OWNER, names)]
    of_value = _present(_OF_VALUE, names)
    chosen = several.select(of_owner)[owners], several.select(of_value)[values]
    copies = (
        several.select(cell_of, *_present(("copies",), names)).group_by("cell").agg(pl.all().max())
    )
    one_each = pl.concat([*chosen, copies.sort("cell").drop("cell")], how="horizontal")
    return pl.concat([rows.filter(~is_suspect).select(names), own_left_out(one_each).select(names)])


def may_have_copies(rows: pl.DataFrame) -> pl.Series:
    """Tell which of *rows* have no message id, or share it with another row."""
    ids = rows["message_id"]
    # By hashes, in a third of the time: of two that are equal by chance merging makes two responses.
    hashes = ids.hash()
    in_order = hashes.sort()
    several = in_order.filter(in_order == in_order.shift()).unique()
    return ids.is_null() | hashes.is_in(several.implode())


def _present(names: Iterable[str], among: Collection[str]) -> list[str]:
    return [name for name in names if name in among]


def _stands_for() -> pl.Expr:
    """Return what stands for a missing id: nothing where ids and time tell, the uuid, or the line."""
    has_message = pl.col("message_id").is_not_null()
    has_other = pl.col("request_id").is_not_null() | pl.col("time").is_not_null()
    return pl.when(~(has_message & has_other)).then(
        pl.coalesce("uuid", pl.concat_str("host", "owner_path", "owner_line", separator="\0"))
    )


def _by_value(names: Collection[str]) -> list[pl.Expr]:
    """Return what the better of two values of a response is told by (R4), the most telling first."""
    is_repaired = pl.col("quality") == Quality.REPAIRED.value
    telling = [*OF_SOURCE, "source_path", "source_line", "source_record"]
    rest = [name for name in _present(_OF_VALUE, names) if name not in telling]
    rank = pl.when(IS_CUT).then(3).when(IS_FINAL).then(2).when(is_repaired).then(1).otherwise(0)
    return [
        rank.alias("rank"),
        SAID.alias("said"),
        LATER.alias("later"),
        *(pl.col(name) for name in (*telling, *rest)),
    ]


def _first_of_each(frame: pl.DataFrame, *, descending: Collection[str] = ()) -> pl.Series:
    """Return for each `cell` of *frame*, in order, the number of the row that comes first in it.

    First by the columns that come first; only what is equal in these is compared by all of them.
    """
    first = _sorted(frame.select(frame.columns[:_TELLING]).with_row_index("row"), descending)
    is_equal = first.select(
        pl.all_horizontal(pl.exclude("row").eq_missing(pl.exclude("row").shift()))
    ).to_series()
    doubtful = first.filter(is_equal)["cell"].unique()
    if doubtful.is_empty():
        return first.unique("cell", keep="first", maintain_order=True)["row"]
    is_doubtful = pl.col("cell").is_in(doubtful.implode())
    settled = _sorted(frame.with_row_index("row").filter(is_doubtful), descending)
    return (
        pl.concat([first.filter(~is_doubtful).select("cell", "row"), settled.select("cell", "row")])
        .unique("cell", keep="first", maintain_order=True)
        .sort("cell")["row"]
    )


def _sorted(frame: pl.DataFrame, descending: Collection[str]) -> pl.DataFrame:
    order = [name for name in frame.columns if name != "row"]
    return frame.sort(order, descending=[name in descending for name in order], nulls_last=True)
