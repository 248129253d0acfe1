"""The rows of a lake: one per response and host, and how rows of one response become one again.

A row holds what its host knows of a response: facts, identity and lineage, never text of messages and
never a cost, for rates change. Which copy wins is `merge`'s to say: rows are turned back into the
facts that `merge` reads, so that a lake and a single machine follow the same rules (R3 to R6).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import polars as pl

from tokenaudit.merge import Merged, merge
from tokenaudit.model import Kind, Quality
from tokenaudit.sessions import agents_of, with_projects
from tokenaudit.store.facts import (
    COMPACTIONS,
    ITERATIONS,
    RECORDS,
    REJECTS,
    RESULTS,
    TITLES,
    TRANSCRIPTS,
    Facts,
)
from tokenaudit.store.rows import COUNTS

__all__ = ["FORMAT", "SCHEMA", "conform", "merged", "needs_merging", "rows_of", "unite"]

FORMAT: Final = 1
"""Number of the shape of rows. 1: the first."""

_TIME: Final = pl.Datetime("us", "UTC")
_NESTED: Final = pl.List(
    pl.Struct(
        {
            "iteration": pl.Int64,
            "type": pl.String,
            "iteration_model": pl.String,
            **COUNTS,
        }
    )
)

SCHEMA: Final[Mapping[str, Any]] = {
    "format": pl.Int16,
    # the host that says it
    "host": pl.String,
    "host_label": pl.String,
    # which response (R3)
    "message_id": pl.String,
    "request_id": pl.String,
    "uuid": pl.String,  # of the line; only where one of the two ids is missing
    "time": _TIME,  # of the first line; the folder `date=` is its day in UTC
    # to whom it belongs (R5)
    "session_id": pl.String,
    "agent_id": pl.String,
    "agent_type": pl.String,
    "project": pl.String,
    "cwd": pl.String,
    "branch": pl.String,
    "version": pl.String,
    "entrypoint": pl.String,
    # what was asked
    "model": pl.String,
    "speed": pl.String,
    "service_tier": pl.String,
    "inference_geo": pl.String,
    "effort": pl.String,
    "skill": pl.String,
    "plugin": pl.String,
    "mcp_server": pl.String,
    "mcp_tool": pl.String,
    # what it used (R4, R7)
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,  # the repaired count where `quality` is repaired
    "cache_read_tokens": pl.Int64,
    "cache_write_5m_tokens": pl.Int64,
    "cache_write_1h_tokens": pl.Int64,
    "thinking_tokens": pl.Int64,
    "web_searches": pl.Int64,
    "web_fetches": pl.Int64,
    "recorded_cost_usd": pl.String,
    # how far it can be trusted
    "quality": pl.String,
    "stop_reason": pl.String,
    "copies": pl.Int64,  # the most lines that one host saw say it again
    "is_split_assumed": pl.Boolean,
    "odd": pl.String,
    # what decides which copy wins: of the owner (R5) …
    "is_progress": pl.Boolean,
    "is_sidechain": pl.Boolean,
    "first_time": _TIME,  # of the owner's transcript
    "owner_path": pl.String,
    "owner_line": pl.Int64,
    # … and of the line whose values count (R4); null where it is the owner's own
    "source_request_id": pl.String,
    "source_is_progress": pl.Boolean,
    "source_is_sidechain": pl.Boolean,
    "source_first_time": _TIME,
    "source_path": pl.String,  # never null: where to look
    "source_line": pl.Int64,
    "source_record": pl.Int64,
    "value_time": _TIME,
    "said_output_tokens": pl.Int64,  # what the line says, before any repair
    # the inferences behind it, where the top level does not tell all (R6); else null
    "iterations": _NESTED,
}
"""The columns of a part, in this order. Beside `date` and `host`, which the folders say too."""

_ORDER: Final = ("session_id", "agent_id", "time", "message_id", *SCHEMA)
_IDENTITY: Final = ("host", "host_label", "project", "agent_type")
"""What `merge` does not carry: it is looked up by the owner's path."""
_PLACED: Final = (
    *("owner_path", "host", "owner_line", "source_path", "source_record", "source_line"),
    *("message_id", "request_id", "value_time", "stop_reason", "said_output_tokens", "first_time"),
    *("output_tokens", "quality", "input_tokens", "branch", "cwd", "agent_id", "is_sidechain"),
)
"""By what rows are told apart whose copies are otherwise equally good."""
_STANDS_FOR_LINE: Final = "\0line "
_OF_PARENT: Final = "\0parent"
_NUMBER: Final = "\x00[0-9]{10}s?$"
_WEAKEST: Final = -1
"""An output count that no line says: a record with it is never the one whose values count."""


def rows_of(facts: Facts, *, host: str, label: str | None) -> pl.DataFrame:
    """Return one row of SCHEMA for each response of *facts*, as *host* knows it."""
    united = merge(facts)
    transcripts = with_projects(facts.transcripts)
    agents = agents_of(united, transcripts).select("session_id", "agent_id", "agent_type")
    responses = united.responses.join(
        transcripts.select(owner_path="path", project="project"), on="owner_path", how="left"
    ).join(agents, on=["session_id", "agent_id"], how="left", nulls_equal=True)
    identified = responses.with_columns(
        host=pl.lit(host, pl.String), host_label=pl.lit(label, pl.String)
    )
    return conform(_rows(facts, identified))


def conform(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* with the columns of SCHEMA, each once, in the one order they are written in."""
    columns = rows.with_columns(format=pl.lit(FORMAT)).select(SCHEMA.keys()).cast(pl.Schema(SCHEMA))
    sortable = list(dict.fromkeys(name for name in _ORDER if name != "iterations"))
    return columns.unique().sort(sortable, nulls_last=True)


def unite(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows*, one per response: the best values (R4) with the owner's facts (R5).

    Idempotent, and independent of the order and of what was united before. For rows of several hosts
    a response takes the host of its owner.
    """
    rows = rows.unique()
    is_suspect = _may_have_copies(rows)
    if not is_suspect.any():
        return conform(rows)
    facts, identities = _facts(rows.filter(is_suspect))
    responses = _identified(merge(facts).responses, identities)
    return conform(pl.concat([rows.filter(~is_suspect), _restored(_rows(facts, responses))]))


def merged(rows: pl.DataFrame) -> Merged:
    """Merge *rows* of any hosts, as `merge` merges the records of one machine.

    The responses have `host`, `host_label`, `project` and `agent_type` beside what `merge` gives.
    """
    facts, identities = _facts(rows.unique())
    united = merge(facts)
    return replace(
        united,
        responses=_with_real_paths(_identified(united.responses, identities)),
        refused=_with_real_paths(_identified(united.refused, identities)),
    )


def needs_merging(rows: pl.DataFrame) -> pl.Series:
    """Tell which of *rows* only `merged` makes responses of: the others are, as they stand."""
    return _may_have_copies(rows) | rows["iterations"].is_not_null()


def _may_have_copies(rows: pl.DataFrame) -> pl.Series:
    ids = rows["message_id"]
    # By hashes, in half the time: of two that are equal by chance merging makes two responses.
    return ids.is_null() | ids.hash().is_duplicated()


# rows as facts


def _facts(rows: pl.DataFrame) -> tuple[Facts, pl.DataFrame]:
    """Return *rows* as facts that `merge` reads, and the identities of the owners by path.

    Every row is a transcript of its own. That the values are another line's than the owner's is said
    by two records: the owner's has values that lose to any.
    """
    numbered = _numbered(rows)
    is_apart = pl.col("source_is_progress").is_not_null()
    values = numbered.with_columns(
        path=pl.when(is_apart).then("apart_path").otherwise("path"),
        first_time=pl.when(is_apart).then("source_first_time").otherwise("first_time"),
        request_id=pl.coalesce("source_request_id", "request_id"),
        is_progress=pl.coalesce("source_is_progress", "is_progress"),
        is_sidechain=pl.coalesce("source_is_sidechain", "is_sidechain"),
        output_tokens="said_output_tokens",
    )
    owners = numbered.filter(is_apart).with_columns(
        output_tokens=pl.lit(_WEAKEST, pl.Int64),
        stop_reason=pl.lit(None, pl.String),
        value_time=pl.lit(None, _TIME),
        lines=pl.lit(0, pl.Int64),
    )
    both = pl.concat([values, owners]).with_columns(
        file_time="first_time", revision=pl.lit(0, pl.Int64)
    )
    # Each row is an agent and a transcript of its own, and was told of by a parent of its own.
    is_repaired = pl.col("quality") == Quality.REPAIRED.value
    transcripts = _shaped(both, TRANSCRIPTS).with_columns(
        is_unfinished=both.select(is_repaired=is_repaired)["is_repaired"],
        last_record=both["record"],
        agent_id=both["path"],
    )
    parents = transcripts.with_columns(
        pl.concat_str("path", pl.lit(_OF_PARENT)).alias("path"), is_unfinished=pl.lit(value=False)
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
    )
    return facts, both.select(owner_path="path", **{name: name for name in _IDENTITY})


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each of *rows* a path of its own that sorts as its own does, and what records are read by."""
    writes = pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
    number = pl.int_range(pl.len()).cast(pl.String).str.zfill(10)
    line = pl.concat_str(
        pl.lit(_STANDS_FOR_LINE), "host", "source_path", "source_line", separator=" "
    )
    message = pl.coalesce("message_id", "uuid", line)
    return rows.sort(_PLACED, nulls_last=True).with_columns(
        uuid=pl.when(pl.col("message_id").is_null())
        .then(pl.coalesce("uuid", line))
        .otherwise("uuid"),
        path=pl.concat_str("owner_path", pl.lit("\0"), number),
        apart_path=pl.concat_str("source_path", pl.lit("\0"), number, pl.lit("s")),
        line="owner_line",
        value_line="source_line",
        record="source_record",
        cache_write_tokens=writes,
        split_5m_tokens=pl.when("is_split_assumed").then(0).otherwise("cache_write_5m_tokens"),
        split_1h_tokens="cache_write_1h_tokens",
        repaired_tokens="output_tokens",
        # the most that one row says: `merge` sums
        lines=pl.when(_is_first_by_copies(message)).then(pl.col("copies") + 1).otherwise(0),
    )


def _is_first_by_copies(message: pl.Expr) -> pl.Expr:
    return pl.col("copies").rank("ordinal", descending=True).over(message, "time") == 1


def _unnested(values: pl.DataFrame) -> pl.DataFrame:
    return (
        values.filter(pl.col("iterations").is_not_null())
        .select("path", "record", "iterations")
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


# facts as rows


def _rows(facts: Facts, responses: pl.DataFrame) -> pl.DataFrame:
    """Add to *responses* what decides between their copies, and leave out what iterations tell."""
    sources = facts.records.select(
        source_path="path",
        source_record="record",
        message_id="message_id",
        uuid="uuid",
        source_request_id="request_id",
        value_time="value_time",
        said_output_tokens="output_tokens",
        source_first="line",
        source_is_progress="is_progress",
        source_is_sidechain="is_sidechain",
    )
    first_times = facts.transcripts.select("path", "first_time")
    own = pl.col("owner_path") == pl.col("source_path")
    is_own = own & (pl.col("owner_line") == pl.col("source_first"))
    has_ids = pl.col("message_id").is_not_null() & pl.col("request_id").is_not_null()
    return (
        responses.filter(pl.col("kind") == Kind.MESSAGE.value)
        .join(sources, on=["source_path", "source_record"], how="left")
        .join(first_times.rename({"path": "owner_path"}), on="owner_path", how="left")
        .join(
            first_times.rename({"path": "source_path", "first_time": "source_first_time"}),
            on="source_path",
            how="left",
        )
        .join(_nested(facts.iterations), on=["source_path", "source_record"], how="left")
        .with_columns(
            pl.when(~is_own).then(
                pl.col("source_is_progress", "source_is_sidechain", "source_first_time")
            ),
            source_request_id=pl.when(
                ~is_own & (pl.col("source_request_id") != pl.col("request_id"))
            ).then("source_request_id"),
            uuid=pl.when(~has_ids).then("uuid"),
        )
    )


def _nested(iterations: pl.DataFrame) -> pl.DataFrame:
    fields = [field.name for field in _NESTED.inner.fields]  # type: ignore[union-attr]
    return (
        iterations.sort("path", "record", "iteration")
        .group_by(source_path="path", source_record="record", maintain_order=True)
        .agg(iterations=pl.struct(fields))
    )


def _restored(rows: pl.DataFrame) -> pl.DataFrame:
    """Take back what `_numbered` put in the place of paths and ids."""
    uuid = pl.col("uuid")
    return (
        _with_real_paths(rows)
        .with_columns(
            uuid=pl.when(~uuid.str.starts_with(_STANDS_FOR_LINE)).then(uuid),
            format=pl.lit(FORMAT, pl.Int16),
        )
        .select(SCHEMA.keys())
    )


def _with_real_paths(frame: pl.DataFrame) -> pl.DataFrame:
    """Take the numbers off the paths that `_numbered` gave, and name what has no id by its line."""
    cut = frame.with_columns(
        pl.col("owner_path", "source_path").str.replace(_NUMBER, ""),
        copies=pl.col("copies").clip(lower_bound=0),  # two responses may share an id and a time
    )
    if "response_id" not in frame.columns:
        return cut
    line = pl.format("{}:{}", "source_path", "source_line")
    iteration = pl.col("response_id").str.extract(r"(#\d+)$").fill_null("")
    has_no_id = pl.col("response_id").str.starts_with(_STANDS_FOR_LINE)
    return cut.with_columns(
        response_id=pl.when(has_no_id).then(line + iteration).otherwise("response_id")
    )
