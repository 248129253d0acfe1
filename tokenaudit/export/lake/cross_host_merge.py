"""Rows of all hosts become responses, by the rules of one machine (R3 to R6).

What else than equal ids is one response only all hosts together tell: a replay of a sidechain has
another request id, and lines without one have rows of their own. That is `merge`'s to say, of rows as
of records: which are one, whose it is, and which of them counts.
"""

from typing import Final

import polars as pl

from tokenaudit.export.lake.dedupe import deduplicated, may_have_copies
from tokenaudit.export.lake.schema import NESTED, OF_SOURCE, PLACED
from tokenaudit.merge import CountedResponses, with_iterations
from tokenaudit.merge.copies import OF_ALL, OF_OWNER, best_of, owners_of
from tokenaudit.merge.identity import key_of
from tokenaudit.merge.output import TOLD, judged, repaired
from tokenaudit.model.fields import In, Origin, names
from tokenaudit.model.terms import Quality

__all__ = ["merged", "needs_merging"]

_OWNERS: Final = (
    *OF_OWNER,
    *("session_id", "agent_type", "project", "host", "host_label", "owner_path", "owner_line"),
)
"""What a response has from the row of its owner (R5)."""
_VALUES: Final = (
    *(name for name in names(In.LAKE, origin=Origin.VALUE)),
    *("cache_write_5m_tokens", "cache_write_1h_tokens", "is_split_assumed"),
    *("source_path", "source_line", "source_record"),
)
"""What it has from the row whose values count (R4)."""


def merged(rows: pl.DataFrame) -> CountedResponses:
    """Merge *rows* of any hosts, as `merge` merges the records of one machine.

    The responses have `host`, `host_label`, `project` and `agent_type` beside what `merge` gives.
    """
    told = deduplicated(rows).sort(PLACED, nulls_last=True).with_row_index("row")
    claims = _claims(told)
    claims = claims.with_columns(key=key_of(claims, is_partial=False))
    told = told.with_columns(key=claims["key"][: told.height])
    owners = owners_of(claims)
    chosen = owners.join(best_of(_values(told)), on="key").select("owner_row", "best_row", *OF_ALL)
    gathered = pl.concat(
        [
            chosen,
            told.select(*_OWNERS, pl.coalesce("owner_time", "time"))[chosen["owner_row"]],
            told.select(
                pl.col(_VALUES).exclude("output_tokens"), output_tokens="said_output_tokens"
            )[chosen["best_row"]],
        ],
        how="horizontal",
    ).with_row_index("response")
    # Two responses may share an id and a time, by which the lines are counted that say them.
    counted = gathered.with_columns(pl.col("lines").clip(lower_bound=1))
    responses = judged(repaired(counted, _repairs(told, owners)))
    return with_iterations(responses, _unnested(told, chosen))


def needs_merging(rows: pl.DataFrame) -> pl.Series:
    """Tell which of *rows* only `merged` makes responses of: the others are, as they stand."""
    return may_have_copies(rows) | rows["iterations"].is_not_null()


def _claims(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what tells which of *rows* are one response, and whose: one record of the owner's for each.

    And behind these one for each whose owner's copy is not the earliest: it tells when, and owns
    nothing. A transcript is numbered here, as paths sort: two hosts may have one of the same path.
    """
    copies = pl.col("copies").rank("ordinal", descending=True)  # null where a row tells of none
    message = pl.coalesce("message_id", "uuid", pl.format("{} {}", "owner_path", "owner_line"))
    is_most = copies.over(message, "request_id", "time") == 1
    of_owners = rows.select(
        *("row", "message_id", "request_id", "uuid", "session_id", "agent_id"),
        *("is_progress", "is_sidechain"),
        path=pl.struct("owner_path", "host").rle_id(),
        revision="row",
        line="owner_line",
        file_time="first_time",
        time=pl.coalesce("owner_time", "time"),
        # the most that one row says: these are summed
        lines=pl.when(is_most).then(pl.col("copies") + 1).otherwise(0),
    )
    earliest = of_owners.with_columns(
        rows["time"],
        lines=pl.lit(0, pl.Int64),
        file_time=pl.lit(None, of_owners.schema["file_time"]),
        is_progress=pl.lit(value=True),
        is_sidechain=pl.lit(value=True),
    ).filter(rows["owner_time"].is_not_null())
    return pl.concat([of_owners, earliest])


def _values(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what tells which of *rows* counts: of the line whose values each has."""
    of_source = {own: pl.coalesce(said, own) for said, own in OF_SOURCE.items()}
    return rows.with_columns(**of_source).select(
        *("row", "key", "is_progress", "is_sidechain", "stop_reason", "value_time"),
        path="source_path",
        revision="row",
        file_time="first_time",
        value_line="source_line",
        record="source_record",
        output_tokens="said_output_tokens",
    )


def _repairs(rows: pl.DataFrame, owners: pl.DataFrame) -> pl.DataFrame:
    """Return what the hosts of *rows* know from parents of these responses: TOLD."""
    return (
        rows.filter(pl.col("quality") == Quality.REPAIRED.value)
        .rename({"output_tokens": "repaired_tokens"})
        .with_columns(
            cache_write_tokens=pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
        )
        .join(owners.select("key", "owner_row"), on="key")
        .select(TOLD.keys())
    )


def _unnested(rows: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """Return the iterations of those of *rows* that count, with the row of their response."""
    return (
        rows.select("iterations")[chosen["best_row"]]
        .with_row_index("response")
        .filter(pl.col("iterations").is_not_null())
        .with_columns(pl.col("iterations").str.json_decode(NESTED))
        .explode("iterations")
        .unnest("iterations")
    )
