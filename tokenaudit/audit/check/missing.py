"""Findings about what is not there: agents without a file, calls that leave no usage, days without any."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import polars as pl

from tokenaudit.audit.check.evidence import Evidence, dollars, place_of, whole
from tokenaudit.audit.check.finding import Finding, Severity, counted
from tokenaudit.audit.traced_calls import unrecorded
from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.transcripts.survey import CLEANUP_DAYS, CLEANUP_SETTING

__all__ = ["missing"]

_LONG_GAP: Final = timedelta(days=14)
_CALLS: Final = {
    "compaction": (Severity.WARNING, "compaction", "sent the whole context once more"),
    "web_search": (Severity.WARNING, "web search", "run on the side, with a fee each"),
    "web_fetch": (Severity.INFO, "web page", "summed up on the side"),
    "title": (Severity.INFO, "title", "made on the side"),
    "recap": (Severity.INFO, "recap", "made while you were away"),
}

_SEVERAL: Final = {"web_search": "web searches"}


def missing(evidence: Evidence) -> Iterator[Finding]:
    """Yield agents whose file is missing, calls that leave no usage, and gaps in time."""
    yield from _agents(evidence)
    yield from _calls(evidence)
    yield from _gaps(evidence)


def _agents(evidence: Evidence) -> Iterator[Finding]:
    files = evidence.facts.transcripts.filter(pl.col("agent_id") != MAIN_AGENT)
    mentioned = (
        evidence.traces.filter(pl.col("kind") == "agent")
        .join(files, on=["session_id", "agent_id"], how="anti")
        .unique(["session_id", "agent_id"], keep="last", maintain_order=True)
    )
    known = evidence.rows.select("session_id", "agent_id").unique()
    keys = ["session_id", "agent_id"]
    kinds = (
        (
            "agent_file_missing",
            Severity.ERROR,
            mentioned.join(known, on=keys, how="anti", maintain_order="left"),
            "mentioned by results, without a transcript: all that they used is in no total",
        ),
        (
            "agent_known_by_progress",
            Severity.WARNING,
            mentioned.join(known, on=keys, how="semi", maintain_order="left"),
            "without a transcript, known only from lines of the parent that mostly lack output counts",
        ),
    )
    for name, severity, found, what in kinds:
        if not found.is_empty():
            yield Finding(
                name,
                severity,
                None,
                found.height,
                whole(found, "tokens") if found["tokens"].count() else None,
                None,
                f"{counted(found.height, 'agent')} {what}. The tokens are those of last responses alone.",
                "Look for their files below <session>/subagents, in a backup perhaps, and read them too"
                " with a further --root.",
                place_of(found, "path", "line"),
            )


def _calls(evidence: Evidence) -> Iterator[Finding]:
    calls = unrecorded(evidence)
    for kind, (severity, one, what) in _CALLS.items():
        found = calls.filter(pl.col("kind") == kind)
        if not found.is_empty():
            number = whole(found, "calls")
            yield Finding(
                f"unrecorded_{kind}",
                severity,
                None,
                number,
                # what nothing bounds from below is not known, rather than zero
                whole(found, "total_tokens") or None,
                dollars(found, "cost_usd") or None,
                f"{counted(number, one, _SEVERAL.get(kind))} {what}; no usage is left behind. Inferred: at least"
                " this much is missing from every total.",
                "Compare with Claude Code's own figure: `tokenaudit reconcile FILE`.",
                place_of(found, "path", "line"),
            )


def _gaps(evidence: Evidence) -> Iterator[Finding]:
    days = evidence.rows["day"].drop_nulls().unique().sort().to_list()
    for before, after in pairwise(days):
        if after - before > _LONG_GAP:
            found = evidence.rows.filter(pl.col("day") == before)
            yield Finding(
                "gap_in_time",
                Severity.INFO,
                _between(before, after),
                (after - before).days - 1,
                None,
                None,
                f"No usage for {(after - before).days - 1:,} days, {_between(before, after)}.",
                f"If you did work then: Claude Code deletes transcripts after {CLEANUP_SETTING}"
                f" ({CLEANUP_DAYS}), and other machines keep their own. See `tokenaudit doctor`.",
                place_of(found.sort("time").tail(1)),
            )


def _between(before: date, after: date) -> str:
    return f"{before + timedelta(days=1)} to {after - timedelta(days=1)}"
