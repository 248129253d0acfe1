"""Rows of all hosts become responses, by the rules of one machine (R3 to R6).

What else than equal ids is one response only all hosts together tell: a replay of a sidechain has
another request id, and lines without one have rows of their own. That is `merge`'s to say: rows are
turned back into the facts that it reads.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.export.lake.dedupe import may_have_copies, united
from tokenaudit.export.lake.schema import NESTED, PLACED
from tokenaudit.merge import Merged, merge
from tokenaudit.model.terms import MAIN_AGENT, Quality
from tokenaudit.store.facts import (
    COMPACTIONS,
    ITERATIONS,
    RECORDS,
    REJECTS,
    REQUESTS,
    RESULTS,
    TITLES,
    TOTALS,
    TRANSCRIPTS,
    UNCOUNTED,
    Facts,
)

__all__ = ["merged", "needs_merging"]

_IDENTITY: Final = ("host", "host_label", "project", "agent_type")
"""What `merge` does not carry: it is looked up by the owner's path."""
_STANDS_FOR_LINE: Final = "\0line "
_OF_PARENT: Final = "\0parent"
_NUMBER: Final = "\x00[0-9]{10}[st]?$"
_WEAKEST: Final[Mapping[str, pl.Expr]] = {
    "output_tokens": pl.lit(-1, pl.Int64),
    "stop_reason": pl.lit(None, pl.String),
    "value_time": pl.lit(None, RECORDS["value_time"]),
    "lines": pl.lit(0, pl.Int64),
}
"""Values that no line says: a record with them is never the one whose values count."""


def merged(rows: pl.DataFrame) -> Merged:
    """Merge *rows* of any hosts, as `merge` merges the records of one machine.

    The responses have `host`, `host_label`, `project` and `agent_type` beside what `merge` gives.
    """
    facts, identities = _facts(united(rows))
    found = merge(facts)
    return replace(
        found,
        responses=_with_real_paths(_identified(found.responses, identities)),
        refused=_with_real_paths(_identified(found.refused, identities)),
    )


def needs_merging(rows: pl.DataFrame) -> pl.Series:
    """Tell which of *rows* only `merged` makes responses of: the others are, as they stand."""
    return may_have_copies(rows) | rows["iterations"].is_not_null()


def _facts(rows: pl.DataFrame) -> tuple[Facts, pl.DataFrame]:
    """Return *rows* as facts that `merge` reads, and the identities of the owners by path.

    Every row is a transcript of its own. That the values are another line's than the owner's is said
    by two records: the owner's has values that lose to any. That yet another copy is the earliest, by
    one more.
    """
    numbered = _numbered(rows)
    is_apart = pl.col("source_is_progress").is_not_null()
    has_request = pl.col("request_id").is_not_null()
    own_time = pl.coalesce("owner_time", "time")
    values = numbered.with_columns(
        path=pl.when(is_apart).then("apart_path").otherwise("path"),
        first_time=pl.when(is_apart).then("source_first_time").otherwise("first_time"),
        is_progress=pl.coalesce("source_is_progress", "is_progress"),
        is_sidechain=pl.coalesce("source_is_sidechain", "is_sidechain"),
        output_tokens="said_output_tokens",
        # Where ids do not tell, the time does; else that of the values' line must not win for it (R5).
        time=pl.when(~has_request).then("time").when(~is_apart).then(own_time),
    )
    owners = numbered.filter(is_apart).with_columns(**_WEAKEST, time=own_time)
    both = pl.concat([values, owners, _earlier_copies(numbered)]).with_columns(
        file_time="first_time", revision=pl.lit(0, pl.Int64)
    )
    # Each row is an agent and a transcript of its own, and was told of by a parent of its own.
    is_repaired = pl.col("quality") == Quality.REPAIRED.value
    transcripts = _shaped(both, TRANSCRIPTS).with_columns(agent_id=both["path"])
    parents = transcripts.with_columns(
        path=pl.concat_str("path", pl.lit(_OF_PARENT)), agent_id=pl.lit(MAIN_AGENT)
    )
    told = values.filter(is_repaired).with_columns(
        path=pl.concat_str("path", pl.lit(_OF_PARENT)),
        agent_id="path",
        output_tokens="repaired_tokens",
    )
    facts = Facts(
        records=_shaped(both, RECORDS),
        iterations=_shaped(_unnested(values), ITERATIONS),
        transcripts=pl.concat([transcripts, parents]),
        titles=pl.DataFrame(schema=TITLES),
        compactions=pl.DataFrame(schema=COMPACTIONS),
        rejects=pl.DataFrame(schema=REJECTS),
        results=_shaped(told, RESULTS),
        requests=pl.DataFrame(schema=REQUESTS),
        totals=pl.DataFrame(schema=TOTALS),
        uncounted=pl.DataFrame(schema=UNCOUNTED),
    )
    return facts, both.select(owner_path="path", **{name: name for name in _IDENTITY})


def _earlier_copies(numbered: pl.DataFrame) -> pl.DataFrame:
    """Return a record for each row whose owner's copy is not the earliest: one that tells when, and owns nothing."""
    return numbered.filter(pl.col("owner_time").is_not_null()).with_columns(
        pl.lit(value=True).alias("is_progress"),
        pl.lit(value=True).alias("is_sidechain"),
        pl.lit(None, RECORDS["file_time"]).alias("first_time"),
        **_WEAKEST,
        path="earlier_path",
    )


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each of *rows* a path of its own that sorts as its own does, and what records are read by."""
    writes = pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
    number = pl.int_range(pl.len()).cast(pl.String).str.zfill(10)
    line = pl.concat_str(
        pl.lit(_STANDS_FOR_LINE), "host", "source_path", "source_line", separator=" "
    )
    message = pl.coalesce("message_id", "uuid", line)
    copies = pl.col("copies").rank("ordinal", descending=True)  # null where a row tells of none
    is_most = copies.over(message, "request_id", "time") == 1
    return rows.sort(PLACED, nulls_last=True).with_columns(
        uuid=pl.when(pl.col("message_id").is_null())
        .then(pl.coalesce("uuid", line))
        .otherwise("uuid"),
        path=pl.concat_str("owner_path", pl.lit("\0"), number),
        apart_path=pl.concat_str("source_path", pl.lit("\0"), number, pl.lit("s")),
        earlier_path=pl.concat_str("owner_path", pl.lit("\0"), number, pl.lit("t")),
        line="owner_line",
        value_line="source_line",
        record="source_record",
        cache_write_tokens=writes,
        split_5m_tokens=pl.when("is_split_assumed").then(0).otherwise("cache_write_5m_tokens"),
        split_1h_tokens="cache_write_1h_tokens",
        repaired_tokens="output_tokens",
        # the most that one row says: `merge` sums
        lines=pl.when(is_most).then(pl.col("copies") + 1).otherwise(0),
    )


def _unnested(values: pl.DataFrame) -> pl.DataFrame:
    return (
        values.filter(pl.col("iterations").is_not_null())
        .select("path", "record", pl.col("iterations").str.json_decode(NESTED))
        .explode("iterations")
        .unnest("iterations")
    )


def _shaped(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return *frame* with the columns of *schema*; those that it lacks are null."""
    missing = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
        if name not in frame.columns
    ]
    return frame.with_columns(missing).select(schema.keys()).cast(pl.Schema(schema))


def _identified(responses: pl.DataFrame, identities: pl.DataFrame) -> pl.DataFrame:
    return responses.join(identities, on="owner_path", how="left", maintain_order="left")


def _with_real_paths(frame: pl.DataFrame) -> pl.DataFrame:
    """Take the numbers off the paths that `_numbered` gave, and name what has no id by its line."""
    cut = frame.with_columns(
        pl.col("owner_path", "source_path").str.replace(_NUMBER, ""),
        copies=pl.col("copies").clip(lower_bound=0),  # two responses may share an id and a time
    )
    line = pl.format("{}:{}", "source_path", "source_line")
    iteration = pl.col("response_id").str.extract(r"(#\d+)$").fill_null("")
    has_no_id = pl.col("response_id").str.starts_with(_STANDS_FOR_LINE)
    return cut.with_columns(
        response_id=pl.when(has_no_id).then(line + iteration).otherwise("response_id")
    )
