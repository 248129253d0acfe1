"""Findings about what Claude Code says itself of sessions, where nothing explains why ours is another figure."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import Finding, Place, Severity, counted
from tokenaudit.audit.reconcile.bridge import Coverage, Figure
from tokenaudit.audit.reconcile.session_claims import (
    UNEXPLAINED_SHARE,
    SessionBridge,
    session_bridges,
)
from tokenaudit.model.units import format_cost

__all__ = ["claimed"]


def claimed(evidence: Evidence) -> Iterator[Finding]:
    """Yield the sessions of which Claude Code tells another figure, and no known cause tells why."""
    found = session_bridges(evidence)
    odd = [one for one in found if one.is_unexplained and one.coverage is not Coverage.UNKNOWN]
    for name, several, words in (
        (
            "claim_unexplained",
            [one for one in odd if _rest(one) > 0],
            "of it in no transcript, and by no known cause",
        ),
        (
            "claim_exceeded",
            [one for one in odd if _rest(one) < 0],
            "more than that in transcripts, and by no known cause",
        ),
    ):
        if several:
            yield _finding(name, several, words)
    unknown = [one for one in found if one.coverage is Coverage.UNKNOWN]
    if unknown:
        yield Finding(
            "claim_of_unknown_scope",
            Severity.INFO,
            None,
            len(unknown),
            None,
            None,
            f"Of {counted(len(unknown), 'session')} it cannot be told what Claude Code's total is about: a"
            " part of it, or sessions before it too.",
            "Nothing: totals are of processes, and one that is killed leaves none. See `tokenaudit sessions"
            " --claimed`.",
            _place(unknown),
        )


def _finding(name: str, several: Sequence[SessionBridge], words: str) -> Finding:
    several = sorted(several, key=lambda one: abs(_rest(one)), reverse=True)
    rest = sum(map(_rest, several), Decimal(0))
    stated = sum((one.bridge.theirs.cost_usd or Decimal(0) for one in several), Decimal(0))
    return Finding(
        name,
        Severity.WARNING,
        None,
        len(several),
        _tokens([one.bridge.unexplained for one in several]),
        abs(rest),
        f"Of {counted(len(several), 'session')} Claude Code says itself {format_cost(stated)};"
        f" {format_cost(abs(rest))} {words}: over {UNEXPLAINED_SHARE:.0%} of each.",
        f"See how they differ: `tokenaudit session {several[0].claim.session_id}`, for all"
        " `tokenaudit sessions --claimed`.",
        _place(several),
    )


def _rest(one: SessionBridge) -> Decimal:
    """Return by how much theirs is above ours without a cause."""
    return -(one.bridge.unexplained.cost_usd or Decimal(0))


def _tokens(figures: Sequence[Figure]) -> int | None:
    told = [figure.counts for figure in figures if figure.counts is not None]
    if not told:
        return None
    total = sum(each.input + each.output + each.cache_read + each.cache_write for each in told)
    return abs(total)


def _place(several: Sequence[SessionBridge]) -> Place:
    first = several[0].claim
    return Place(first.claim.source, first.line)
