"""Facts of one host become rows of a lake, merged as far as that host alone can tell."""

import polars as pl

from tokenaudit.export.lake.schema import (
    IDS,
    NESTED,
    OF_SOURCE,
    PLACED,
    SCHEMA,
    conform,
    own_left_out,
)
from tokenaudit.ledger.sessions import agents_of, with_projects
from tokenaudit.merge import linked, merge
from tokenaudit.model.terms import Kind, Quality
from tokenaudit.store.facts import Facts

__all__ = ["rows_of"]


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
    return own_left_out(rows)


def _tied(rows: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Tie what lines without a request id tie together by ids and times alone: no other host has them.

    In each group that `linked` tells, the earliest of these lines takes on every request id that is
    there, and every one of these lines takes on the least of them, where no row says so already.
    """
    if groups.is_empty():
        return rows
    # A row that only ties loses to the line's own, whose time it has, in every respect.
    nothing = (
        "copies",
        "uuid",
        "first_time",
        "owner_time",
        "stop_reason",
        "iterations",
        *OF_SOURCE,
    )
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
    first = bare.sort("time", *PLACED[:-3], nulls_last=True).unique("group", keep="first")
    least = requests.group_by("group").agg(pl.col("request_id").min())
    tying = pl.concat([first.join(requests, on="group"), bare.join(least, on="group")])
    missing = (
        tying.with_columns(**ties)
        .select(rows.columns)
        .join(rows, on=list(IDS), how="anti", nulls_equal=True)
        .unique(IDS, keep="any")
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
    fields = [field.name for field in NESTED.inner.fields]  # type: ignore[union-attr]
    return (
        iterations.sort("path", "record", "iteration")
        .group_by(source_path="path", source_record="record", maintain_order=True)
        .agg(
            pl.format("[{}]", pl.struct(fields).struct.json_encode().str.join(",")).alias(
                "iterations"
            )
        )
    )
