"""R4: how far an output count can be trusted, and what parents were told of the last replies of subagents."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from tokenaudit.merge.value import IS_CUT, IS_FINAL
from tokenaudit.model.terms import MAIN_AGENT, Kind, Quality
from tokenaudit.rules.value import LARGEST_PLACEHOLDER
from tokenaudit.store.facts import Facts

__all__ = ["TOLD", "judged", "repaired", "told_of_last"]

TOLD: Final[Mapping[str, Any]] = {
    "owner_row": pl.UInt32,
    "input_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
    "repaired_tokens": pl.Int64,
}
"""What is told of a response, which is named by the row of its owner: how many tokens it took."""


def told_of_last(copied: pl.DataFrame, owners: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Return what parents were told of the last replies of subagents: TOLD.

    The last reply is the one that began last: a late line of an earlier one does not make it that.
    What stood in a transcript before it was rewritten had a last reply of its own.
    """
    agents = facts.transcripts.filter(pl.col("agent_id") != MAIN_AGENT).select(
        "path", "session_id", "agent_id"
    )
    told = facts.results.join(
        facts.transcripts.select("path", "session_id", teller_id="agent_id"), on="path"
    ).filter(pl.col("teller_id") != pl.col("agent_id"))
    answered = agents.join(told, on=["session_id", "agent_id"], how="semi")
    if answered.is_empty():
        return pl.DataFrame(schema=TOLD)
    reply = pl.coalesce("key", pl.col("row").cast(pl.String))
    last = (
        facts.records.with_row_index("row")
        .select("row", "path", "revision", "record", "is_progress")
        .filter(pl.col("path").is_in(answered["path"].implode()), ~pl.col("is_progress"))
        .join(copied.select("row", "key"), on="row", how="left")
        .sort("record")
        .unique(["path", "revision", reply], keep="first", maintain_order=True)
        .unique(["path", "revision"], keep="last", maintain_order=True)
        .join(answered, on="path")
    )
    return (
        last.join(owners.select("key", "owner_row"), on="key", how="left")
        # What has no key is alone, and its own owner.
        .with_columns(pl.coalesce("owner_row", "row").alias("owner_row"))
        .join(told.rename({"output_tokens": "repaired_tokens"}), on=["session_id", "agent_id"])
        .select(TOLD.keys())
    )


def repaired(responses: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Add to *responses* what is *told* of them where the other counts agree: `repaired_tokens` (R4)."""
    if told.is_empty():
        return responses.with_columns(repaired_tokens=pl.lit(None, dtype=pl.Int64))
    writes = pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
    same = ("owner_row", "input_tokens", "cache_read_tokens", "cache_write_tokens")
    repairs = (
        responses.with_columns(cache_write_tokens=writes)
        .select("response", "output_tokens", *same)
        .join(told, on=same)
        .filter(pl.col("repaired_tokens") >= pl.col("output_tokens"))
        .group_by("response")
        .agg(pl.col("repaired_tokens").max())
    )
    places = responses.select("response").join(
        repairs, on="response", how="left", maintain_order="left"
    )
    return responses.hstack(places.select("repaired_tokens"))


def judged(united: pl.DataFrame) -> pl.DataFrame:
    """Say how far each output count can be trusted, and put repaired ones in place (R4)."""
    is_repaired = ~IS_FINAL & pl.col("repaired_tokens").is_not_null()
    return united.select(
        *_response_id(united),
        pl.exclude(
            *(
                "key",
                "response",
                "owner_row",
                "best_row",
                "repaired_tokens",
                "lines",
                "output_tokens",
            ),
            *("path", "record", "line", "value_line", "value_time", "message_id", "uuid"),
        ),
        kind=pl.lit(Kind.MESSAGE.value),
        copies=pl.col("lines") - 1,
        output_tokens=pl.when(is_repaired).then("repaired_tokens").otherwise("output_tokens"),
        quality=pl.when(IS_CUT)
        .then(pl.lit(Quality.LOWER_BOUND.value))
        .when(IS_FINAL)
        .then(pl.lit(Quality.FINAL.value))
        .when(is_repaired)
        .then(pl.lit(Quality.REPAIRED.value))
        .when(pl.col("output_tokens") <= LARGEST_PLACEHOLDER)
        .then(pl.lit(Quality.PLACEHOLDER.value))
        .otherwise(pl.lit(Quality.LOWER_BOUND.value)),
    )


def _response_id(responses: pl.DataFrame) -> Iterator[pl.Expr]:
    """Yield what a response is called, where that was asked for.

    By its message, else by its line, else by where that stands.
    """
    if "message_id" not in responses.columns:
        return
    named = pl.coalesce("message_id", "uuid")
    if not responses.select(named.is_not_null().all()).item():
        named = pl.coalesce(named, pl.format("{}:{}", "source_path", "source_line"))
    yield named.alias("response_id")
