"""Findings about reading: what could not be read, what broke off, what had an odd form."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from tokenaudit.audit.check.evidence import Evidence, at_stake, dollars, place_of, whole
from tokenaudit.audit.check.finding import Finding, Place, Severity, counted
from tokenaudit.transcripts.traces import last_line

__all__ = ["reading"]

_FIRST_RELEASE: Final = datetime(2025, 2, 24, tzinfo=UTC)
"""Claude Code was first released on this day; usage before it has a wrong time."""
_CLOCK_DRIFT: Final = timedelta(days=1)


def reading(evidence: Evidence) -> Iterator[Finding]:
    """Yield what reading met: rejects by reason, half-written ends, odd numbers and times."""
    yield from _identity(evidence)
    yield from _rejects(evidence)
    yield from _uncounted(evidence)
    yield from _tails(evidence)
    yield from _odd(evidence)
    yield from _times(evidence)
    yield from _splits(evidence)


def _identity(evidence: Evidence) -> Iterator[Finding]:
    """Hold the ledger to its own identity: every usage line is a response or the copy of one."""
    intake = evidence.ledger.intake
    own = evidence.ledger.frame.filter(pl.col("kind") == "message").height
    off = intake.usage_lines - own - intake.copies
    if off:
        yield Finding(
            "identity_broken",
            Severity.ERROR,
            None,
            abs(off),
            None,
            None,
            f"{counted(intake.usage_lines, 'usage line')} are not {counted(own, 'response')} and"
            f" {counted(intake.copies, 'copy', 'copies')}: {abs(off):,} counted wrongly.",
            "This is a fault of tokenaudit: please report it with `tokenaudit export rejects --json`.",
        )


def _rejects(evidence: Evidence) -> Iterator[Finding]:
    groups = (
        evidence.facts.rejects.sort("path", "line", nulls_last=False)
        .group_by(pl.coalesce("kind", "reason").alias("why"), maintain_order=True)
        .agg(pl.len(), pl.col("path", "line").first())
        .sort("len", "why", descending=[True, False])
    )
    for why, count, path, line in groups.iter_rows():
        is_file = line is None
        nouns = ("file or folder", "files or folders") if is_file else ("line", "lines")
        yield Finding(
            "reject",
            Severity.ERROR,
            why,
            count,
            None,
            None,
            f"{counted(count, *nouns)} could not be read: {why}. The usage there is in no total.",
            "Mend the rights of the file and run again."
            if is_file
            else "Look at the line; `tokenaudit export rejects` lists them all.",
            Place(path, line),
        )


def _uncounted(evidence: Evidence) -> Iterator[Finding]:
    """Yield what usage stands where none is counted, by the type of its lines."""
    groups = (
        evidence.ledger.uncounted.group_by("type", maintain_order=True)
        .agg(pl.col("lines").sum(), pl.col("path", "line").first())
        .sort("lines", "type", descending=[True, False])
    )
    for kind, count, path, line in groups.iter_rows():
        yield Finding(
            "uncounted_usage",
            Severity.WARNING,
            kind,
            count,
            None,
            None,
            f"{counted(count, 'line')} of {f'type {kind}' if kind else 'no type'} with usage beside a message"
            " instead of in one: it counts for no response.",
            "Claude Code writes none there, but hooks, wrappers and `claude -p --output-format json` do: look"
            " for the session's own transcript.",
            Place(path, line),
        )


def _tails(evidence: Evidence) -> Iterator[Finding]:
    broken = evidence.facts.transcripts.filter("is_incomplete").sort("path")
    if not broken.is_empty():
        path = broken["path"][0]
        yield Finding(
            "incomplete_tail",
            Severity.INFO,
            None,
            broken.height,
            None,
            None,
            f"{counted(broken.height, 'transcript')} with a half-written last line, which is not counted.",
            "Nothing while an agent is at work: the line counts once it is whole. Of a session that is"
            " over, its last response is lost.",
            Place(path, last_line(path)),
        )


def _odd(evidence: Evidence) -> Iterator[Finding]:
    groups = (
        evidence.rows.filter(pl.col("odd").is_not_null())
        .group_by("odd", maintain_order=True)
        .agg(pl.len(), pl.col("total_tokens").sum(), pl.col("source_path", "source_line").first())
        .sort("len", "odd", descending=[True, False])
    )
    for names, count, tokens, path, line in groups.iter_rows():
        yield Finding(
            "odd_value",
            Severity.INFO,
            names,
            count,
            tokens,
            None,
            f'{counted(count, "response")} with an odd form of {names} (such as "12" for 12), read all the same.',
            "Nothing, unless the file was written by something other than Claude Code.",
            Place(path, line),
        )


def _times(evidence: Evidence) -> Iterator[Finding]:
    rows = evidence.rows
    late = evidence.now + _CLOCK_DRIFT
    kinds = (
        (
            "undated",
            pl.col("time").is_null(),
            "without a time that can be read: in totals, but in no day",
            "Look at the timestamp of the line.",
        ),
        (
            "future_time",
            pl.col("time") > late,
            "dated in the future",
            "Check the clock of the machine that wrote them: their days and prices may be wrong.",
        ),
        (
            "time_too_early",
            pl.col("time") < _FIRST_RELEASE,
            "dated before Claude Code's first release",
            "Check the clock of the machine that wrote them: their days and prices may be wrong.",
        ),
    )
    for name, condition, what, action in kinds:
        found = rows.filter(condition)
        count, tokens, cost = at_stake(found)
        if count:
            yield Finding(
                name,
                Severity.WARNING,
                None,
                count,
                tokens,
                cost,
                f"{counted(count, 'response')} {what}.",
                action,
                place_of(found),
            )


def _splits(evidence: Evidence) -> Iterator[Finding]:
    found = evidence.rows.filter("is_split_assumed")
    count = found.height
    if count:
        yield Finding(
            "cache_split_assumed",
            Severity.INFO,
            None,
            count,
            whole(found, "cache_write_5m_tokens"),
            dollars(found, "cost_cache_write_usd"),
            f"{counted(count, 'response')} that {'does' if count == 1 else 'do'} not say for how long cache"
            " writes live: taken as 5-minute ones.",
            "If they were 1-hour writes, each costs 2 / 1.25 of what is counted.",
            place_of(found),
        )
