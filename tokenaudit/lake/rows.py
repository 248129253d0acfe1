"""The rows of a lake: one per response and host, and how rows of one response become one again.

A row holds what its host knows of a response: facts, identity and lineage, never text of messages and
never a cost, for rates change. Rows with the same ids and time are united for good. What else is one
response only all hosts together tell: a replay of a sidechain, which has another request id, and lines
without one have rows of their own. That is `merge`'s to say: rows are turned back into the facts that
it reads, so that a lake and a single machine follow the same rules (R3 to R6).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.merge import Merged, linked, merge
from tokenaudit.model import MAIN_AGENT, Kind, Quality
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

__all__ = ["FORMAT", "SCHEMA", "conform", "merged", "needs_merging", "rows_of", "unite", "united"]

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
    "copies": pl.Int64,  # the most lines that one host saw say it again; null: only ties ids together
    "is_split_assumed": pl.Boolean,
    "odd": pl.String,
    # what decides which copy wins: of the owner (R5) …
    "is_progress": pl.Boolean,
    "is_sidechain": pl.Boolean,
    "first_time": _TIME,  # of the owner's transcript
    "owner_path": pl.String,
    "owner_line": pl.Int64,
    # … and of the line whose values count (R4); null where it is the owner's own
    "source_is_progress": pl.Boolean,
    "source_is_sidechain": pl.Boolean,
    "source_first_time": _TIME,
    "source_path": pl.String,  # never null: where to look
    "source_line": pl.Int64,
    "source_record": pl.Int64,
    "value_time": _TIME,
    "said_output_tokens": pl.Int64,  # what the line says, before any repair
    # the inferences behind it as JSON, where the top level does not tell all (R6); else null: the
    # many rows without are read in a fifth of the time that nested columns take
    "iterations": pl.String,
}
"""The columns of a part, in this order. Beside `date` and `host`, which the folders say too."""

_IDENTITY: Final = ("host", "host_label", "project", "agent_type")
"""What `merge` does not carry: it is looked up by the owner's path."""
_OF_OWNER: Final = (
    *("is_progress", "is_sidechain", "first_time", "owner_path", "host", "owner_line"),
    *("session_id", "agent_id", "agent_type", "project", "cwd", "branch", "version", "entrypoint"),
    "host_label",
)
"""What a response has of its owner (R5). Of two owners the one that comes first by these is it."""
_IDS: Final = ("message_id", "request_id", "time")
_OF_SOURCE: Final = {
    "source_is_progress": "is_progress",
    "source_is_sidechain": "is_sidechain",
    "source_first_time": "first_time",
}
_OF_VALUE: Final = tuple(name for name in SCHEMA if name not in {*_OF_OWNER, *_IDS, "copies"})
"""What a response has of the line whose values count (R4)."""
_ORDER: Final = (
    *("session_id", "agent_id", *reversed(_IDS), "uuid", "host", "owner_path", "owner_line"),
    *("source_path", "source_line", "source_record"),
)
_PLACED: Final = (
    *("owner_path", "host", "owner_line", "source_path", "source_record", "source_line"),
    *("message_id", "request_id", "time", "uuid"),
)
"""By what rows are told apart whose copies are otherwise equally good."""
_STANDS_FOR_LINE: Final = "\0line "
_OF_PARENT: Final = "\0parent"
_NUMBER: Final = "\x00[0-9]{10}s?$"
_WEAKEST: Final = -1
"""An output count that no line says: a record with it is never the one whose values count."""


def rows_of(facts: Facts, *, host: str, label: str | None) -> pl.DataFrame:
    """Return one row of SCHEMA for each response of *facts*, as *host* knows it."""
    found = merge(facts, is_partial=True)
    transcripts = with_projects(facts.transcripts)
    agents = agents_of(found, transcripts).select("session_id", "agent_id", "agent_type")
    responses = found.responses.join(
        transcripts.select(owner_path="path", project="project"), on="owner_path", how="left"
    ).join(agents, on=["session_id", "agent_id"], how="left", nulls_equal=True)
    identified = responses.with_columns(
        host=pl.lit(host, pl.String), host_label=pl.lit(label, pl.String)
    )
    rows = _on_one_day(_rows(facts, identified))
    return conform(_tied(rows, linked(facts.records)))


def conform(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows*, united ones, with the columns of SCHEMA in the one order they are written in."""
    columns = rows.with_columns(format=pl.lit(FORMAT)).select(SCHEMA.keys()).cast(pl.Schema(SCHEMA))
    return columns.sort(_ORDER, nulls_last=True)


def unite(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows*, one for each response, id and time: the best values (R4), the owner's facts (R5).

    Each is chosen by a total order, so that the result is the same in any order and whatever was
    united before. What is one response in spite of its ids `merged` says.
    """
    return conform(united(rows))


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
    return _may_have_copies(rows) | rows["iterations"].is_not_null()


def _may_have_copies(rows: pl.DataFrame) -> pl.Series:
    ids = rows["message_id"]
    # By hashes, in a third of the time: of two that are equal by chance merging makes two responses.
    hashes = ids.hash()
    in_order = hashes.sort()
    several = in_order.filter(in_order == in_order.shift()).unique()
    return ids.is_null() | hashes.is_in(several.implode())


# rows of one response


def united(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what `unite` does, in any order, with those columns of SCHEMA that *rows* have."""
    names = [name for name in SCHEMA if name in rows.columns]
    is_suspect = _may_have_copies(rows)
    if not is_suspect.any():
        return rows.select(names)
    several = rows.filter(is_suspect).with_columns(
        pl.coalesce(name, own).alias(name) for name, own in _OF_SOURCE.items()
    )
    cells = (
        several.select(*_IDS, stands_for=_stands_for())
        .with_row_index("row")
        .group_by(*_IDS, "stands_for")
        .agg("row")
        .with_row_index("cell")
    )
    cell_of = cells.select("cell", "row").explode("row").sort("row")["cell"]
    owners = _first_of_each(several.select(cell_of, *_present(_OF_OWNER, names)))
    values = _first_of_each(several.select(cell_of, *_by_value(names)), descending=_BETTER)
    of_owner = [*_IDS, *_present(_OF_OWNER, names)]
    of_value = _present(_OF_VALUE, names)
    chosen = several.select(of_owner)[owners], several.select(of_value)[values]
    copies = (
        several.select(cell_of, *_present(("copies",), names)).group_by("cell").agg(pl.all().max())
    )
    one_each = pl.concat([*chosen, copies.sort("cell").drop("cell")], how="horizontal")
    return pl.concat(
        [rows.filter(~is_suspect).select(names), _own_left_out(one_each).select(names)]
    )


def _present(names: Iterable[str], among: Collection[str]) -> list[str]:
    return [name for name in names if name in among]


def _stands_for() -> pl.Expr:
    """Return what stands for a missing id: nothing where ids and time tell, the uuid, or the line."""
    has_message = pl.col("message_id").is_not_null()
    has_other = pl.col("request_id").is_not_null() | pl.col("time").is_not_null()
    return pl.when(~(has_message & has_other)).then(
        pl.coalesce("uuid", pl.concat_str("host", "owner_path", "owner_line", separator="\0"))
    )


_BETTER: Final = ("rank", "said", "later")
"""Of these the greater is better, of all others the lesser."""


def _by_value(names: Collection[str]) -> list[pl.Expr]:
    """Return what the better of two values of a response is told by (R4), the most telling first."""
    quality = pl.col("quality")
    is_final, is_repaired = (quality == each.value for each in (Quality.FINAL, Quality.REPAIRED))
    telling = [*_OF_SOURCE, "source_path", "source_line", "source_record"]
    rest = [name for name in _present(_OF_VALUE, names) if name not in telling]
    return [
        pl.when(is_final).then(2).when(is_repaired).then(1).otherwise(0).alias("rank"),
        pl.when(~is_final).then("output_tokens").otherwise(0).alias("said"),
        pl.col("value_time").fill_null(pl.datetime(1, 1, 1, time_zone="UTC")).alias("later"),
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


_TELLING: Final = 6
"""Columns, the cell among them, by which nearly all that can be told apart is."""


def _sorted(frame: pl.DataFrame, descending: Collection[str]) -> pl.DataFrame:
    order = [name for name in frame.columns if name != "row"]
    return frame.sort(order, descending=[name in descending for name in order], nulls_last=True)


def _own_left_out(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out what is said of the line whose values count where it is the owner's own."""
    is_own = pl.all_horizontal(
        pl.col(said).eq_missing(pl.col(own))
        for said, own in {**_OF_SOURCE, "source_path": "owner_path"}.items()
    )
    return rows.with_columns(pl.when(~is_own).then(pl.col(*_OF_SOURCE)))


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
    copies = pl.col("copies").rank("ordinal", descending=True)  # null where a row tells of none
    is_most = copies.over(message, "request_id", "time") == 1
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
        lines=pl.when(is_most).then(pl.col("copies") + 1).otherwise(0),
    )


def _unnested(values: pl.DataFrame) -> pl.DataFrame:
    return (
        values.filter(pl.col("iterations").is_not_null())
        .select("path", "record", pl.col("iterations").str.json_decode(_NESTED))
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
        value_time="value_time",
        said_output_tokens="output_tokens",
        source_is_progress="is_progress",
        source_is_sidechain="is_sidechain",
    )
    first_times = facts.transcripts.select("path", "first_time")
    has_ids = pl.col("message_id").is_not_null() & pl.col("request_id").is_not_null()
    rows = (
        responses.filter(pl.col("kind") == Kind.MESSAGE.value)
        .join(sources, on=["source_path", "source_record"], how="left")
        .join(first_times.rename({"path": "owner_path"}), on="owner_path", how="left")
        .join(
            first_times.rename({"path": "source_path", "first_time": "source_first_time"}),
            on="source_path",
            how="left",
        )
        .join(_nested(facts.iterations), on=["source_path", "source_record"], how="left")
        .with_columns(uuid=pl.when(~has_ids).then("uuid"))
    )
    return _own_left_out(rows)


def _tied(rows: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Tie what lines without a request id tie together by ids and times alone: no other host has them.

    In each group that `linked` tells, the earliest of these lines takes on every request id that is
    there, and every one of these lines takes on the least of them, where no row says so already.
    """
    if groups.is_empty():
        return rows
    # A row that only ties loses to the line's own, whose time it has, in every respect.
    nothing = ("copies", "uuid", "first_time", "stop_reason", "iterations", *_OF_SOURCE)
    ties = {
        **{name: pl.lit(None, SCHEMA[name]) for name in nothing},
        **dict.fromkeys(("is_progress", "is_sidechain"), pl.lit(value=True)),
        **dict.fromkeys(("output_tokens", "said_output_tokens"), pl.lit(0, pl.Int64)),
        "quality": pl.lit(Quality.PLACEHOLDER.value),
    }
    grouped = rows.join(
        groups.rename({"path": "source_path", "record": "source_record"}),
        on=["source_path", "source_record"],
    )
    with_request = grouped.filter(pl.col("request_id").is_not_null())
    requests = with_request.select("group", "request_id").unique()
    bare = grouped.filter(pl.col("request_id").is_null()).drop("request_id")
    first = bare.sort("time", *_PLACED[:-3], nulls_last=True).unique("group", keep="first")
    least = requests.group_by("group").agg(pl.col("request_id").min())
    tying = pl.concat([first.join(requests, on="group"), bare.join(least, on="group")])
    missing = (
        tying.with_columns(**ties)
        .select(rows.columns)
        .join(rows, on=list(_IDS), how="anti", nulls_equal=True)
        .unique(_IDS, keep="any")
    )
    return pl.concat([rows, missing])


def _on_one_day(rows: pl.DataFrame) -> pl.DataFrame:
    """Give replays of another day the time of what they replay: a response lies under one date."""
    has_ids = pl.col("message_id").is_not_null() & pl.col("request_id").is_not_null()
    ids = rows.select("message_id", "is_sidechain", is_known=has_ids)
    several = ids.filter("is_known", pl.col("message_id").is_duplicated(), "is_sidechain")
    if several.is_empty():
        return rows
    message = pl.col("message_id")
    firsts = (
        rows.filter(has_ids, message.is_in(several["message_id"].implode()))
        .sort("is_sidechain", "first_time", "owner_path", "owner_line", nulls_last=True)
        .group_by("message_id", maintain_order=True)
        .agg(pl.col("time").first().alias("replayed"))
    )
    of_other_day = pl.col("is_sidechain") & (
        pl.col("time").dt.date() != pl.col("replayed").dt.date()
    )
    return rows.join(firsts, on="message_id", how="left", maintain_order="left").with_columns(
        time=pl.when(of_other_day).then("replayed").otherwise("time")
    )


def _nested(iterations: pl.DataFrame) -> pl.DataFrame:
    fields = [field.name for field in _NESTED.inner.fields]  # type: ignore[union-attr]
    return (
        iterations.sort("path", "record", "iteration")
        .group_by(source_path="path", source_record="record", maintain_order=True)
        .agg(
            pl.format("[{}]", pl.struct(fields).struct.json_encode().str.join(",")).alias(
                "iterations"
            )
        )
    )


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
