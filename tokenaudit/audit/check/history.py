"""Findings about transcripts that are no longer what was read: gone, or written anew."""

from collections.abc import Iterator

import polars as pl

from tokenaudit.audit.check.evidence import Evidence, at_stake, place_of
from tokenaudit.audit.check.finding import Finding, Severity, counted
from tokenaudit.transcripts.survey import CLEANUP_DAYS, CLEANUP_SETTING

__all__ = ["history"]


def history(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is known from the store alone, which no reading of what is on disk can confirm."""
    yield from _gone(evidence)
    yield from _rewritten(evidence)


def _gone(evidence: Evidence) -> Iterator[Finding]:
    gone = evidence.facts.transcripts.filter("is_gone").sort("path")
    if gone.is_empty():
        return
    used = evidence.rows.filter(pl.col("source_path").is_in(gone["path"].implode()))
    _, tokens, cost = at_stake(used)
    yield Finding(
        "transcript_gone",
        Severity.INFO,
        None,
        gone.height,
        tokens,
        cost,
        f"{counted(gone.height, 'transcript')} no longer on disk, known from the store alone: the usage there"
        " still counts.",
        f"Nothing: Claude Code deletes transcripts after {CLEANUP_SETTING} ({CLEANUP_DAYS}). --only-present"
        " leaves them out.",
        place_of(gone, "path", None),
    )


def _rewritten(evidence: Evidence) -> Iterator[Finding]:
    records = evidence.facts.records
    newest = records.group_by("path").agg(newest=pl.col("revision").max())
    judged = records.join(newest, on="path").with_columns(
        is_former=pl.col("revision") < pl.col("newest")
    )
    former = judged.filter("is_former")
    if former.is_empty():
        return
    present = judged.filter(~pl.col("is_former"))
    lost = former.join(present, on=["path", "message_id"], how="anti")
    used = evidence.rows.filter(pl.col("response_id").is_in(lost["message_id"].implode()))
    _, tokens, cost = at_stake(used)
    paths = former["path"].unique().sort()
    yield Finding(
        "transcript_rewritten",
        Severity.WARNING,
        None,
        paths.len(),
        tokens,
        cost,
        f"{counted(paths.len(), 'transcript')} rewritten or cut short after being read: what only the former content"
        " held still counts.",
        "See which: `tokenaudit store`. If that content never was usage of yours, forget it: `tokenaudit store"
        " forget`.",
        place_of(former.sort("path", "line"), "path", None),
    )
