"""Chooses what a total of Claude Code is compared with: the first scope whose tokens are all told.

Where no scope is, it is the session as it stands, and what the total is about is said to be not told
if it holds less than the session, or may hold others.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Final

import polars as pl
from msgspec import Struct

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import Coverage
from tokenaudit.audit.reconcile.claims import Claim, ClaimKind
from tokenaudit.audit.reconcile.coverage import Candidate, Process
from tokenaudit.audit.reconcile.residual import Residual, groups_of, residuals
from tokenaudit.pricing.card import RateCard

__all__ = ["Compared", "compared"]

_OF_A_PROCESS: Final = (ClaimKind.RESULT, ClaimKind.COST_STATE, ClaimKind.LAST_SESSION)
_MOST_PARTS: Final = 200
"""Later parts of a session that are looked at, after those that the sums of the cache rule out."""


class Compared(Struct, frozen=True):
    """The responses that a total was compared with, and what is left over of each model."""

    scope: Candidate
    residuals: tuple[Residual, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What lies between the scope and the session."""
        if self.scope.coverage is Coverage.PART:
            return "responses of other processes"
        if self.scope.coverage is Coverage.PARENT_TOO:
            return "sessions that it was forked from"
        return "sessions that /clear ended before"

    @property
    def note(self) -> str:
        """What the step of that name is."""
        scope = self.scope
        if scope.coverage is Coverage.PARENT_TOO:
            return (
                "With --fork-session the total goes on from that of the session that was forked: they are in"
                " theirs, and not in the session."
            )
        if scope.version is not None:
            return f"Theirs is of the process of Claude Code {scope.version} alone."
        if scope.since is not None:
            times = f"{scope.since:%Y-%m-%d %H:%M:%S} to {scope.until:%Y-%m-%d %H:%M:%S}"
            return f"Theirs is of the process that ran from {times} UTC alone."
        return (
            "Before 2.1.211 the total of a process went on over /clear: they are in theirs, and not in the"
            " session."
        )


def compared(claim: Claim, rows: pl.DataFrame, evidence: Evidence) -> Compared:
    """Return what *claim* is compared with: *rows*, or what its process held beside or instead."""
    card = evidence.ledger.card
    groups = groups_of(claim, rows, card)
    if not groups:
        return Compared(Candidate(rows))
    process = Process(sorted(claim.sessions), rows, evidence)
    scopes = process.scopes()
    own = _judged(claim, next(scopes), process, card)
    is_done = rows.is_empty() or _is_told(own) or _is_settled(own)
    if is_done or not _is_of_a_process(claim):
        return own
    for scope in scopes:
        found = _judged(claim, scope, process, card)
        if _is_settled(found):
            return found
    # what marks tell needs no search among all parts, which takes long
    part = None if claim.is_marked else _part(claim, own, process, card)
    return part or _untold(own, process)


def _is_of_a_process(claim: Claim) -> bool:
    return claim.is_of_claude_code and claim.shape in _OF_A_PROCESS and len(claim.sessions) == 1


def _judged(claim: Claim, scope: Candidate, process: Process, card: RateCard) -> Compared:
    groups = groups_of(claim, scope.rows, card)
    is_open = scope.coverage is Coverage.WHOLE and process.is_begun_by_clear
    found = residuals(groups, scope, process.marks(scope), card, is_open=is_open)
    return Compared(scope, tuple(found))


def _is_told(found: Compared) -> bool:
    """Tell whether each model is told whole, and no response is of a model that the total lacks."""
    rows = sum(each.group.rows.height for each in found.residuals)
    return all(each.is_whole for each in found.residuals) and rows == found.scope.rows.height


def _is_settled(found: Compared) -> bool:
    """Tell whether all that the main agent had fits to the token, and nothing is too much."""
    rows = sum(each.group.rows.height for each in found.residuals)
    has_main = any(each.is_main for each in found.residuals)
    return has_main and rows == found.scope.rows.height and all(map(_fits, found.residuals))


def _fits(residual: Residual) -> bool:
    return residual.is_exact or (not residual.is_main and residual.is_nothing_too_much)


def _part(claim: Claim, own: Compared, process: Process, card: RateCard) -> Compared | None:
    """Return the part of one process that theirs is about, to the token; None if none is, or several."""
    for scope in process.of_one_version():
        found = _judged(claim, scope, process, card)
        if _is_settled(found):
            return found
    main = max((each for each in own.residuals if each.is_main), key=_cost, default=None)
    if main is None or main.group.line.counts is None or main.group.is_unnamed:
        return None
    total = main.group.line.counts
    exact = process.parts_of(main.group.rows["model"].unique().to_list(), total)
    later = islice(process.later_parts(claim.counts or total), _MOST_PARTS)
    for parts in (exact, later):
        judged = (_judged(claim, part, process, card) for part in parts)
        fitting = (each for each in judged if _is_settled(each) and _are_placed(each.residuals))
        if few := list(islice(fitting, 2)):
            # where more than one part fits, which it is nobody can say
            return few[0] if len(few) == 1 else None
    return None


def _cost(residual: Residual) -> Decimal:
    return residual.group.line.cost_usd or Decimal(0)


def _are_placed(found: Sequence[Residual]) -> bool:
    return all(map(_is_placed, found))


def _is_placed(residual: Residual) -> bool:
    """Tell whether it agrees in all that was read and written, or reads what a recorded response left."""
    has_context = residual.counts.cache_read or residual.counts.cache_write
    return not residual.is_main or not has_context or any(part.is_placed for part in residual.parts)


def _untold(own: Compared, process: Process) -> Compared:
    """Return *own*, and that its scope is not told where it may hold less or more."""
    reasons = [*_reasons(own.residuals, process)]
    if not reasons:
        return own
    scope = own.scope._replace(coverage=Coverage.UNKNOWN)
    return Compared(scope, own.residuals, tuple(reasons))


def _reasons(found: Sequence[Residual], process: Process) -> Iterator[str]:
    if not all(each.is_nothing_too_much for each in found):
        yield (
            "It holds less than the session: it may be about a part, such as what came after a resume;"
            " which part is not told."
        )
    elif process.is_begun_by_clear:
        yield (
            "The session began with /clear, and before 2.1.211 the total of a process went on over it: it may"
            " hold sessions before this one; which, is not told."
        )
    elif process.parents:
        yield (
            f"The session holds copies of session {process.parents[0]}, from whose total it may go on: how much"
            " of it theirs holds is not told."
        )
    if not process.has_main:
        yield "The transcript of the session's main agent is not here."
