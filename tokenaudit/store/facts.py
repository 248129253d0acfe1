"""What transcripts say, as frames of facts: no cost, no text of messages, nothing merged yet.

The documented shape of everything that `merge` and `ledger` start from. Whether the facts were read
in this run or kept from earlier ones makes no difference here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import polars as pl

from tokenaudit.model import Reject
from tokenaudit.store.rows import TABLES, Rows, written

__all__ = [
    "COMPACTIONS",
    "ITERATIONS",
    "RECORDS",
    "REJECTS",
    "RESULTS",
    "TITLES",
    "TRANSCRIPTS",
    "Facts",
    "facts_of",
]

_TIME: Final = pl.Datetime("us", "UTC")
_TEXT: Final = pl.String
_PATH: Final = {"path": _TEXT}


def _by_path(name: str) -> dict[str, Any]:
    """Return the columns of a table of rows with the transcript's path instead of the part."""
    return {**_PATH, **{key: kind for key, kind in TABLES[name].items() if key != "part"}}


RECORDS: Final[Mapping[str, Any]] = {
    **_by_path("records"),
    "revision": pl.Int64,
    "file_time": _TIME,
}
"""One row per response and part of a transcript: the best of its lines there (`value_line`), and how
many there are (`lines`).

`record` numbers them within the transcript: a line may hold two. `revision` tells apart what stood in
a transcript before and after it was rewritten, and `file_time` is when each began.
"""

ITERATIONS: Final[Mapping[str, Any]] = _by_path("iterations")
"""The inferences behind those records whose top level does not tell all (R6)."""

TRANSCRIPTS: Final[Mapping[str, Any]] = {
    "path": _TEXT,
    "root": _TEXT,
    "project_folder": _TEXT,
    "session_id": _TEXT,
    "agent_id": _TEXT,
    "agent_type": _TEXT,
    "description": _TEXT,
    "first_time": _TIME,
    "last_time": _TIME,
    "last_uuid": _TEXT,
    "project": _TEXT,
    "forked_from": _TEXT,
    "lines": pl.Int64,
    "bytes": pl.Int64,
    "usage_lines": pl.Int64,
    "is_incomplete": pl.Boolean,
    "is_unfinished": pl.Boolean,
    "last_record": pl.Int64,
    "is_gone": pl.Boolean,
}
"""One row per transcript, over all its parts and revisions.

`is_unfinished`: its last reply, `last_record`, has no stop reason. `is_gone`: it is no longer on
disk, and known only because it was read before.
"""

TITLES: Final[Mapping[str, Any]] = _by_path("titles")
COMPACTIONS: Final[Mapping[str, Any]] = _by_path("compactions")
REJECTS: Final[Mapping[str, Any]] = _by_path("rejects")
RESULTS: Final[Mapping[str, Any]] = _by_path("results")
"""What parents state of the last response of their subagents, whose ids they name."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known."""

    records: pl.DataFrame
    iterations: pl.DataFrame
    transcripts: pl.DataFrame
    titles: pl.DataFrame
    compactions: pl.DataFrame
    rejects: pl.DataFrame
    results: pl.DataFrame

    def without(self, paths: Collection[str]) -> "Facts":
        """Return the facts of all transcripts but those at *paths*."""
        if not paths:
            return self
        left_out = pl.Series(sorted(map(written, paths)), dtype=_TEXT)
        frames = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        is_left_out = pl.col("path").is_in(left_out.implode())
        return Facts(**{name: frame.filter(~is_left_out) for name, frame in frames.items()})


def facts_of(rows: Rows, *, unreadable: Sequence[Reject] = (), gone: Collection[str] = ()) -> Facts:
    """Return what *rows* say, by the paths of transcripts instead of parts.

    *unreadable* are folders that could not be read, *gone* the paths of transcripts that are no longer there.
    """
    parts = rows.parts.select(
        "part",
        "path",
        "revision",
        file_time=pl.col("first_time")
        .sort_by("start", "part")
        .drop_nulls()
        .first()
        .over("path", "revision"),
    ).sort("part")
    frames = {
        name: _placed(frame, parts).select(
            (RECORDS if name == "records" else _by_path(name)).keys()
        )
        for name, frame in rows.frames().items()
        if name != "parts"
    }
    rejects = pl.concat([frames.pop("rejects"), _rejects(unreadable)])
    return Facts(transcripts=_transcripts(rows.parts, gone), rejects=rejects, **frames)


def _placed(frame: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Add what *parts*, sorted by their numbers, tell of the part of each row; no more is copied."""
    places = parts["part"].search_sorted(frame["part"])
    return frame.hstack(parts.drop("part")[places])


def _transcripts(parts: pl.DataFrame, gone: Collection[str]) -> pl.DataFrame:
    """Put the parts of each transcript together."""
    ordered = parts.sort("path", "revision", "start", "part").with_columns(
        is_superseded=pl.col("start").shift(-1).over("path", "revision").is_not_null()
    )
    half = pl.col("is_incomplete") & pl.col("is_superseded")  # read again, as a whole line
    first = ("project_folder", "session_id", "agent_id", "first_time", "project")
    last = ("root", "agent_type", "description", "last_time", "last_uuid")
    own = pl.col("last_record").is_not_null()
    return (
        ordered.with_columns(
            lines=pl.col("lines") - half,
            bytes=pl.when("is_superseded").then(pl.col("end") - pl.col("start")).otherwise("bytes"),
        )
        .group_by("path", maintain_order=True)
        .agg(
            pl.col(*first, "forked_from", "said_session_id", "file_name").drop_nulls().first(),
            pl.col(*last).drop_nulls().last(),
            pl.col("lines", "bytes", "usage_lines").sum(),
            pl.col("is_incomplete").last(),
            pl.col("is_unfinished", "last_record").filter(own).last(),
        )
        .with_columns(
            session_id=pl.coalesce("session_id", "said_session_id", "file_name"),
            is_unfinished=pl.col("is_unfinished").fill_null(value=False),
            is_gone=pl.col("path").is_in(sorted(gone)),
        )
        .select(TRANSCRIPTS.keys())
    )


def _rejects(unreadable: Sequence[Reject]) -> pl.DataFrame:
    rows = [(written(reject.path), reject.line, reject.reason) for reject in unreadable]
    return pl.DataFrame(rows, REJECTS, orient="row")
