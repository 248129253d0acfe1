"""Sessions and agents as frames: what is known of them, apart from what they used."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from tokenaudit.merge import Merged
from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.store.facts import Facts

__all__ = ["AGENTS", "SESSIONS", "agents_of", "compactions_of", "sessions_of", "with_projects"]

_TIME: Final = pl.Datetime("us", "UTC")

SESSIONS: Final[Mapping[str, Any]] = {
    "session_id": pl.String,
    "project": pl.String,
    "title": pl.String,
    "start": _TIME,
    "end": _TIME,
    "forked_from": pl.String,  # the session whose responses it copied or that its lines name
    "branches": pl.List(pl.String),
    "versions": pl.List(pl.String),
    "transcripts": pl.Int64,
}
AGENTS: Final[Mapping[str, Any]] = {
    "session_id": pl.String,
    "agent_id": pl.String,
    "agent_type": pl.String,
    "description": pl.String,
    "start": _TIME,
    "end": _TIME,
    "transcripts": pl.Int64,
}


def with_projects(transcripts: pl.DataFrame) -> pl.DataFrame:
    """Name the project of each transcript: by its directory where any transcript beside it knows it."""
    known = pl.col("project").min().over("project_folder")
    return transcripts.with_columns(project=pl.coalesce("project", known, "project_folder"))


def sessions_of(
    facts: Facts, merged: Merged, transcripts: pl.DataFrame, *, with_lists: bool = True
) -> pl.DataFrame:
    """Return every session that has a transcript, with its facts; see SESSIONS.

    Without lists there are no branches and no versions: to tell these takes all records.
    """
    used = merged.responses.group_by("session_id").agg(
        first_used=pl.col("time").min(), last_used=pl.col("time").max()
    )
    forks = (
        merged.shared.sort("responses", "owner_id", descending=[True, False])
        .unique("session_id", keep="first", maintain_order=True)
        .select("session_id", owner_id="owner_id")
    )
    known = (
        transcripts.sort(pl.col("agent_id") != MAIN_AGENT, "first_time", "path", nulls_last=True)
        .group_by("session_id", maintain_order=True)
        .agg(
            pl.col("project", "forked_from").drop_nulls().first(),
            start=pl.col("first_time").min(),
            end=pl.col("last_time").max(),
            transcripts=pl.len(),
        )
        .join(used, on="session_id", how="left", nulls_equal=True)
        .join(forks, on="session_id", how="left", nulls_equal=True)
        .join(_titles(facts, transcripts), on="session_id", how="left", nulls_equal=True)
        .with_columns(
            start=pl.min_horizontal("start", "first_used"),
            end=pl.max_horizontal("end", "last_used"),
            forked_from=pl.coalesce("forked_from", "owner_id"),
        )
    )
    if with_lists:
        known = _with_lists(known, facts, transcripts)
    schema = {name: kind for name, kind in SESSIONS.items() if name in known.columns}
    return (
        known.select(schema.keys())
        .cast(pl.Schema(schema))
        .sort("start", "session_id", nulls_last=True)
    )


def _with_lists(known: pl.DataFrame, facts: Facts, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Add the branches and versions of each session."""
    of_session = facts.records_of("path", "line", "time", "branch", "version").join(
        transcripts.select("path", "session_id"), on="path"
    )
    nothing = pl.lit([], dtype=pl.List(pl.String))
    return (
        known.join(_distinct(of_session, "branch", "branches"), on="session_id", how="left")
        .join(_distinct(of_session, "version", "versions"), on="session_id", how="left")
        .with_columns(pl.coalesce(name, nothing).alias(name) for name in ("branches", "versions"))
    )


def _distinct(of_session: pl.DataFrame, name: str, names: str) -> pl.DataFrame:
    """Return for each session the distinct values of a column in the order of their first times."""
    return (
        of_session.filter(pl.col(name).is_not_null())
        .group_by("session_id", name)
        .agg(pl.col("time", "path", "line").min())
        .sort("time", "path", "line", name, nulls_last=True)
        .group_by("session_id", maintain_order=True)
        .agg(pl.col(name).alias(names))
    )


def _titles(facts: Facts, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Return the best title of each session: the user's, a generated one, or a summary.

    A summary belongs to the session in which its leaf stands, which may be another transcript's.
    """
    by_path = transcripts.select("path", "session_id")
    titles = facts.titles.sort("rank", "path", maintain_order=True)
    leaves = (
        pl.concat([_first_lines(facts, titles), transcripts.select("path", leaf_uuid="last_uuid")])
        .drop_nulls()
        .sort("path")
        .unique("leaf_uuid", keep="first", maintain_order=True)
    )
    summaries = (
        titles.filter(pl.col("rank") == 0)
        .drop("path")
        .join(leaves, on="leaf_uuid", maintain_order="left")
    )
    given = titles.filter(pl.col("rank") > 0)
    return (
        pl.concat([summaries, given.select(summaries.columns)])
        .join(by_path, on="path", maintain_order="left")
        .group_by("session_id", maintain_order=True)
        .agg(pl.col("title").last())
    )


def _first_lines(facts: Facts, titles: pl.DataFrame) -> pl.DataFrame:
    """Return the transcripts of the leaves of *titles* that are first lines of responses.

    Where a transcript was read in parts, a response may begin in an earlier one: then its line in a
    later part is not its first.
    """
    same = ["path", "message_id", "request_id", "agent_id", "is_progress"]
    wanted = titles["leaf_uuid"].drop_nulls().unique()
    if wanted.is_empty():
        return pl.DataFrame(schema={"path": pl.String, "leaf_uuid": pl.String})
    records = facts.records_of(*same, "uuid", "record")
    found = records.filter(pl.col("uuid").is_in(wanted.implode()))
    earlier = (
        found.select(*same, "uuid", "record")
        .join(records.select(*same, before="record"), on=same)
        .filter(pl.col("before") < pl.col("record"))
    )
    first = found.join(earlier, on=["path", "record"], how="anti")
    return first.select("path", leaf_uuid="uuid")


def agents_of(merged: Merged, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Return every agent that has a transcript or a response."""
    keys = ["session_id", "agent_id"]
    known = (
        transcripts.sort("path")
        .group_by(keys)
        .agg(
            pl.col("agent_type", "description").drop_nulls().first(),
            start=pl.col("first_time").min(),
            end=pl.col("last_time").max(),
            transcripts=pl.len(),
        )
    )
    used = merged.responses.group_by(keys).agg(
        label=pl.col("agent_label").drop_nulls().mode().min(),
        first_used=pl.col("time").min(),
        last_used=pl.col("time").max(),
    )
    return (
        known.join(used, on=keys, how="full", coalesce=True, nulls_equal=True)
        .with_columns(
            agent_type=pl.coalesce(
                "agent_type",
                pl.when(pl.col("agent_id") == MAIN_AGENT).then(pl.lit(MAIN_AGENT)),
                "label",
            ),
            start=pl.min_horizontal("start", "first_used"),
            end=pl.max_horizontal("end", "last_used"),
            transcripts=pl.col("transcripts").fill_null(0),
        )
        .select(AGENTS.keys())
        .cast(pl.Schema(AGENTS))
        .sort("start", "session_id", "agent_id", nulls_last=True)
    )


def compactions_of(compactions: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Return each compaction once: a replayed history repeats its boundary lines."""
    columns = ["session_id", "agent_id", "time", "kind", "trigger", "pre_tokens", "post_tokens"]
    return (
        compactions.join(transcripts.select("path", "session_id", "agent_id"), on="path")
        .select(columns)
        .unique()
        .sort("time", *columns, nulls_last=True)
    )
