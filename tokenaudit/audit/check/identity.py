"""Findings about which lines are one response, and which copies were merged away (R3, R5)."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import polars as pl

from tokenaudit.audit.check.evidence import Evidence, at_stake, place_of
from tokenaudit.audit.check.finding import Finding, Place, Severity, counted

__all__ = ["identity"]


def identity(evidence: Evidence) -> Iterator[Finding]:
    """Yield missing and colliding ids, copies by their kind, and sessions in several places."""
    yield from _missing(evidence)
    yield from _colliding(evidence)
    yield from _copies(evidence)
    yield from _several_roots(evidence)


def _missing(evidence: Evidence) -> Iterator[Finding]:
    found = evidence.rows.filter(pl.col("request_id").is_null())
    count, tokens, cost = at_stake(found)
    if count:
        yield Finding(
            "missing_request_id",
            Severity.INFO,
            None,
            count,
            tokens,
            cost,
            f"{counted(count, 'response')} without a request id, as gateways leave it out: copies were merged"
            " within a file, and across files by equal uuid or time.",
            "Nothing; only copies that a fork wrote anew, with other times, could count twice.",
            place_of(found),
        )


def _colliding(evidence: Evidence) -> Iterator[Finding]:
    messages = evidence.rows.filter(pl.col("kind") == "message")
    found = messages.filter(pl.col("response_id").is_duplicated()).sort(
        "response_id", "source_path", "source_line"
    )
    count, tokens, cost = at_stake(found)
    if count:
        ids = found["response_id"].n_unique()
        yield Finding(
            "colliding_ids",
            Severity.WARNING,
            None,
            count,
            tokens,
            cost,
            f"{counted(count, 'response')} with only {counted(ids, 'message id')}, counted one by one.",
            "Some gateways give one id to several responses. If these are copies instead, they count twice:"
            " compare the lines.",
            place_of(found),
        )


class _Copy(NamedTuple):
    name: str
    condition: pl.Expr
    what: str


_SAME_SESSION: Final = pl.col("session_id").eq_missing(pl.col("owner_session"))
_SAME_AGENT: Final = pl.col("agent_id").eq_missing(pl.col("owner_agent"))
_COPIES: Final = (
    _Copy(
        "fork_copies",
        ~_SAME_SESSION,
        "standing again in a session that was forked or branched from theirs",
    ),
    _Copy(
        "replay_copies",
        _SAME_SESSION & ~_SAME_AGENT,
        "replayed to a helper agent of their session, for a compaction or a side question",
    ),
    _Copy(
        "backup_copies",
        _SAME_SESSION
        & _SAME_AGENT
        & (pl.int_range(pl.len()).over("message_id", "owner_path", "owner_line") > 0),
        "standing in a second transcript of the same agent, as a backup or a synced folder leaves it",
    ),
)


def _copies(evidence: Evidence) -> Iterator[Finding]:
    copies = evidence.copies.sort(~(_SAME_SESSION & _SAME_AGENT), "path", "line")
    for name, condition, what in _COPIES:
        found = copies.filter(condition)
        count, tokens, cost = at_stake(found)
        if count:
            yield Finding(
                name,
                Severity.INFO,
                None,
                count,
                tokens,
                cost,
                f"{counted(count, 'response')} {what}: merged, so that each counts once.",
                "Nothing. A tool that does not merge shows these tokens on top.",
                place_of(found, "path", "line"),
            )


def _several_roots(evidence: Evidence) -> Iterator[Finding]:
    places = (
        evidence.facts.transcripts.group_by("session_id", "agent_id")
        .agg(pl.col("root").n_unique().alias("roots"), pl.col("path").max())
        .filter(pl.col("roots") > 1)
        .sort("path")
    )
    if not places.is_empty():
        sessions = places["session_id"].n_unique()
        rows = evidence.rows.filter(pl.col("session_id").is_in(places["session_id"].implode()))
        _, tokens, cost = at_stake(rows)
        yield Finding(
            "session_in_several_roots",
            Severity.WARNING,
            None,
            sessions,
            tokens,
            cost,
            f"{counted(sessions, 'session')} below several roots: each response counts once, in the root that"
            " holds it first.",
            "Nothing, if one root is a copy of the other; else name only the root you mean with --root.",
            Place(places["path"][0], None),
        )
