"""What transcripts say, as frames of facts: no cost, no text of messages, nothing merged yet.

The documented shape of everything that `merge` and `ledger` start from. Whether the facts were read
in this run or kept from earlier ones makes no difference here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.model.terms import CUT, Reject, RequestEvent
from tokenaudit.store.lazy_frame import LazyFrame, is_made, replaced
from tokenaudit.store.merge_cache import MergeCache, meeting
from tokenaudit.store.rows import TABLES, LazyRows, Rows, written
from tokenaudit.store.segments import Tables
from tokenaudit.transcripts import SessionTotal
from tokenaudit.transcripts.totals import TotalSource, total_rows

__all__ = [
    "COMPACTIONS",
    "ITERATIONS",
    "RECORDS",
    "REJECTS",
    "REQUESTS",
    "RESULTS",
    "SESSION",
    "TITLES",
    "TOTALS",
    "TRANSCRIPTS",
    "UNCOUNTED",
    "Facts",
    "facts_of",
]

_TIME: Final = pl.Datetime("us", "UTC")
_TEXT: Final = pl.String
_PATH: Final = {"path": _TEXT}
SESSION: Final = ("session_id", "usage_session_id", "said_session_id", "file_name")
"""What may say the session of a transcript, the surest first: its path, its usage, its lines, its name."""
_OF_LATEST: Final = frozenset({"rejects", "uncounted"})
"""What is told of a transcript as it was last: of lines that stand there no more nothing is missing."""
_STALE: Final = 20
"""Merging is kept again when more than one in so many records is new."""


def _by_path(name: str) -> dict[str, Any]:
    """Return the columns of a table of rows with the transcript's path instead of the part."""
    return {**_PATH, **{key: kind for key, kind in TABLES[name].items() if key != "part"}}


RECORDS: Final[Mapping[str, Any]] = {
    **_by_path("records"),
    "revision": pl.Int64,
    "file_time": _TIME,
}
"""One row per response and part of a transcript: the best of its lines there (`value_line`), and how
many there are (`lines`). The stop reason of what was cut is CUT, whatever its lines say (R4).

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
    "requests": pl.Int64,
    "is_incomplete": pl.Boolean,
    "is_gone": pl.Boolean,
}
"""One row per transcript, over all its parts and revisions.

`is_gone`: it is no longer on disk, and known only because it was read before.
"""

TITLES: Final[Mapping[str, Any]] = _by_path("titles")
COMPACTIONS: Final[Mapping[str, Any]] = _by_path("compactions")
REJECTS: Final[Mapping[str, Any]] = _by_path("rejects")
RESULTS: Final[Mapping[str, Any]] = _by_path("results")
"""What parents state of the last response of their subagents, whose ids they name."""
UNCOUNTED: Final[Mapping[str, Any]] = _by_path("uncounted")
"""Usage at the top level of lines, where none is counted: the first line of each type, and how many."""
REQUESTS: Final[Mapping[str, Any]] = _by_path("requests")
"""What is said of requests beside their responses: see `RequestEvent`.

Of a request that is answered where it was sent nothing is left but that `transcripts` counts it.
"""

TOTALS: Final[Mapping[str, Any]] = {**_by_path("totals"), "source": _TEXT}
"""What Claude Code says itself that sessions used: a row for each model of each total.

`source` is a `TotalSource`; only a total of a transcript has a `line`. Never part of any sum of ours.
"""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known."""

    records: LazyFrame = LazyFrame()
    iterations: LazyFrame = LazyFrame()
    transcripts: pl.DataFrame
    titles: LazyFrame = LazyFrame()
    compactions: LazyFrame = LazyFrame()
    rejects: LazyFrame = LazyFrame()
    results: LazyFrame = LazyFrame()
    totals: LazyFrame = LazyFrame()
    requests: LazyFrame = LazyFrame()
    uncounted: LazyFrame = LazyFrame()
    kept: MergeCache | None = None
    """What was merged of these facts before; None where nothing was, or it is of no use."""
    anew: "Facts | None" = None
    """The facts of the sessions that are to be merged anew; None where all that is kept holds."""
    some: Callable[[Collection[str]], pl.DataFrame] | None = None
    """Returns some columns of the records, where that takes less than to have them all."""

    def records_of(self, *columns: str) -> pl.DataFrame:
        """Return these *columns* of the records."""
        if self.some is None or is_made(self, "records"):
            return self.records.select(columns)
        return self.some(columns)

    def with_totals(self, totals: Sequence[SessionTotal]) -> "Facts":
        """Return the same facts with more that Claude Code states of sessions."""
        if not totals:
            return self
        return replaced(self, totals=lambda: pl.concat([self.totals, _stated(totals)]))

    def without(self, paths: Collection[str]) -> "Facts":
        """Return the facts of all transcripts but those at *paths*."""
        if not paths:
            return self
        left_out = pl.Series(sorted(map(written, paths)), dtype=_TEXT)
        names = [name for name in TABLES if name != "parts"]
        is_left_out = pl.col("path").is_in(left_out.implode())
        return Facts(
            transcripts=self.transcripts.filter(~is_left_out),
            **{name: getattr(self, name).filter(~is_left_out) for name in names},
        )


def facts_of(
    rows: Rows | LazyRows,
    *,
    unreadable: Sequence[Reject] = (),
    gone: Collection[str] = (),
    before: tuple[Tables, Collection[int]] | None = None,
    stated: Sequence[SessionTotal] = (),
) -> Facts:
    """Return what *rows* say, by the paths of transcripts instead of parts.

    *stated* is what files beside roots say of sessions, *unreadable* are folders that could not be read, *gone* the paths of transcripts that are no longer there,
    *before* what was merged of some parts, and these.
    """
    parts = cache(partial(_parts, rows.parts))

    cuts = cache(partial(_cuts, rows))

    def made(name: str) -> pl.DataFrame:
        frame = _of_latest(name, _placed(rows.table(name), parts()), rows.parts)
        if name != "records":
            return frame.select(_by_path(name).keys())
        return _with_cuts(frame.select(RECORDS.keys()), cuts())

    def some(columns: Collection[str]) -> pl.DataFrame:
        if "stop_reason" in columns and not cuts().is_empty():
            return facts.records.select(columns)
        told = [name for name in TABLES["records"] if name in columns]
        return _placed(rows.table("records", ["part", *told]), parts()).select(columns)

    frames: dict[str, Any] = {name: partial(made, name) for name in TABLES if name != "parts"}
    rejects, totals = frames.pop("rejects"), frames.pop("totals")
    transcripts = _transcripts(rows.parts, gone)
    facts = Facts(
        transcripts=transcripts,
        rejects=lambda: pl.concat([rejects(), _rejects(unreadable)]),
        totals=lambda: pl.concat([_of_sessions(totals(), transcripts), _stated(stated)]),
        **frames,
    )
    if not isinstance(rows, LazyRows):
        return facts
    kept, anew = (None, None) if before is None else _kept(rows, transcripts, *before)
    return replaced(facts, some=some, kept=kept, anew=anew)


def _with_cuts(records: pl.DataFrame, cuts: pl.Series) -> pl.DataFrame:
    """Return *records* with CUT for the stop reason of those of the replies that *cuts* name (R4)."""
    if cuts.is_empty():
        return records
    has_ids = pl.col("message_id").is_not_null() & pl.col("request_id").is_not_null()
    both = pl.concat_str("message_id", "request_id", separator=" ")
    reply = pl.when(has_ids).then(both).otherwise("uuid")
    is_cut = reply.is_in(cuts.implode()) & ~pl.col("is_progress")
    return records.with_columns(
        stop_reason=pl.when(is_cut).then(pl.lit(CUT)).otherwise("stop_reason")
    )


def _cuts(rows: Rows | LazyRows) -> pl.Series:
    """Return the replies that were cut: where the mark's own part holds none, the last one before it."""
    is_cut = pl.col("event") == RequestEvent.CUT.value
    found = rows.table("requests", ("part", "event", "reply")).filter(is_cut)
    if found.is_empty():
        return found["reply"]
    order = ("path", "revision", "start", "part")
    before = rows.parts.sort(order).select(
        "part",
        before=pl.col("last_reply").forward_fill().shift(1).over("path", "revision"),
    )
    marked = found.join(before, on="part", how="left")
    return marked.select(pl.coalesce("reply", "before"))["reply"].drop_nulls().unique()


def _kept(
    rows: LazyRows, transcripts: pl.DataFrame, tables: Tables, merged: Collection[int]
) -> "tuple[MergeCache | None, Facts | None]":
    """Return *tables*, what was *merged* of some parts, and the facts that are to be merged anew.

    Neither where some of these parts are not among *rows*: then all is.
    """
    parts = rows.parts
    is_old = parts["part"].is_in(pl.Series(merged, dtype=pl.Int64).implode())
    if is_old.sum() < len(merged):
        return None, None
    kept = MergeCache.of(tables)
    if is_old.all():
        return kept, None
    touched = parts.filter(~is_old)["path"].unique().implode()
    former = _transcripts(parts.filter(is_old & parts["path"].is_in(touched)))
    now = transcripts.filter(pl.col("path").is_in(touched))
    changed = pl.concat([former["session_id"], now["session_id"]])
    named = parts.select("part", "path").join(transcripts.select("path", "session_id"), on="path")
    named = named.with_columns(session=pl.col("session_id").rank("dense")).sort("part")
    met = _meeting(
        rows, named, named["session"].filter(named["session_id"].is_in(changed.implode()))
    )
    inside = named.filter(pl.col("session").is_in(met.implode()))
    out_of_date = replace(
        kept,
        sessions={*changed, *inside["session_id"]},
        is_stale=parts.filter(~is_old)["records"].sum() * _STALE > parts["records"].sum(),
    )
    return out_of_date, facts_of(rows.of(inside["part"].to_list()))


def _meeting(rows: LazyRows, named: pl.DataFrame, sessions: pl.Series) -> pl.Series:
    """Return *sessions*, numbers in *named*, and those of all that they share a response with."""
    records = rows.table("records", ("part", "message_id"))
    ids = records["message_id"]
    if ids.null_count():
        uuids = rows.table("records", ("uuid",))["uuid"]
        ids = pl.select(pl.coalesce(ids, uuids)).to_series()
    # By hashes, in a third of the time: of two that are equal by chance more is merged anew.
    keys = pl.select(pl.when(ids.is_not_null()).then(ids.hash())).to_series()
    groups = named["session"][named["part"].search_sorted(records["part"])]
    return meeting(keys, groups, sessions.unique())


def _parts(parts: pl.DataFrame) -> pl.DataFrame:
    """Return what each part tells of its rows, by their numbers."""
    return parts.select(
        "part",
        "path",
        "revision",
        file_time=pl.col("first_time")
        .sort_by("start", "part")
        .drop_nulls()
        .first()
        .over("path", "revision"),
    ).sort("part")


def _placed(frame: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Add what *parts*, sorted by their numbers, tell of the part of each row; no more is copied."""
    places = parts["part"].search_sorted(frame["part"])
    return frame.hstack(parts.drop("part")[places])


def _of_latest(name: str, frame: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return *frame*, the table *name*; of those that tell of the last revision alone, these rows."""
    if name not in _OF_LATEST or frame.is_empty():
        return frame
    latest = parts.group_by("path").agg(pl.col("revision").max())
    return frame.join(latest, on=["path", "revision"], how="semi", maintain_order="left")


def _transcripts(parts: pl.DataFrame, gone: Collection[str] = ()) -> pl.DataFrame:
    """Put the parts of each transcript together."""
    ordered = parts.sort("path", "revision", "start", "part").with_columns(
        is_superseded=pl.col("start").shift(-1).over("path", "revision").is_not_null()
    )
    half = pl.col("is_incomplete") & pl.col("is_superseded")  # read again, as a whole line
    first = ("project_folder", "session_id", "agent_id", "first_time", "project")
    last = ("root", "agent_type", "description", "last_time")
    return (
        ordered.with_columns(
            lines=pl.col("lines") - half,
            bytes=pl.when("is_superseded").then(pl.col("end") - pl.col("start")).otherwise("bytes"),
        )
        .group_by("path", maintain_order=True)
        .agg(
            pl.col(*first, "forked_from", *SESSION[1:]).drop_nulls().first(),
            pl.col(*last).drop_nulls().last(),
            pl.col("last_uuid").filter(pl.col("last_time").is_not_null()).last(),
            pl.col("lines", "bytes", "usage_lines", "requests").sum(),
            pl.col("is_incomplete").last(),
        )
        .with_columns(
            session_id=pl.coalesce(SESSION),
            is_gone=pl.col("path").is_in(sorted(gone)),
        )
        .select(TRANSCRIPTS.keys())
    )


def _of_sessions(totals: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Return *totals* with the session of the transcript where the line names none."""
    if totals.is_empty():
        return pl.DataFrame(schema=TOTALS)
    own = transcripts.select("path", own="session_id")
    joined = totals.join(own, on="path", how="left", maintain_order="left")
    return joined.with_columns(
        session_id=pl.coalesce("session_id", "own"), source=pl.lit(TotalSource.COST_STATE.value)
    ).select(TOTALS.keys())


def _stated(totals: Sequence[SessionTotal]) -> pl.DataFrame:
    rows = [
        {**row, "path": written(total.path), "source": total.source.value}
        for total in totals
        for row in total_rows([total])
    ]
    return pl.DataFrame(rows, {**TOTALS, "start_time": pl.Int64}).cast(pl.Schema(TOTALS))


def _rejects(unreadable: Sequence[Reject]) -> pl.DataFrame:
    rows = [
        (written(reject.path), reject.line, reject.reason, reject.kind) for reject in unreadable
    ]
    return pl.DataFrame(rows, REJECTS, orient="row")
