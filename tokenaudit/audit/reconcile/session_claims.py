"""What Claude Code says that each session used, and which responses that is about.

A claim may cover less than its session, or more: a process that was killed leaves none, and one that goes
on from another's total includes it. What marks tell of that is told here: when a total began to count, the
line that it stands on, copies of another session. Where there are none, its tokens must tell: see `scoping`.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import counted
from tokenaudit.audit.reconcile.bridge import (
    ROUNDING,
    Bridge,
    Cause,
    Coverage,
    Figure,
    bridged,
    figure_of,
)
from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, ClaimKind, ClaimLine
from tokenaudit.audit.reconcile.claims.claude_code import StatedTotals, stated
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.pricing.cost import USD

__all__ = [
    "UNEXPLAINED_SHARE",
    "SessionBridge",
    "SessionClaim",
    "bridge_of",
    "plain_sums",
    "session_bridges",
    "session_claims",
    "stated_costs",
]

UNEXPLAINED_SHARE: Final = Decimal("0.01")
"""More than this part of a claim is worth telling where nothing explains it."""

_SLACK: Final = timedelta(seconds=5)
_PLACE: Final = ("source_path", "source_line", "response_id")


class SessionClaim(Struct, frozen=True):
    """What Claude Code says of one session, made comparable."""

    session_id: str
    claim: Claim
    """Of what `rows` are, and of no other session: totals that were included are subtracted."""
    stated_usd: Decimal | None
    """What it says itself, before anything is subtracted."""
    rows: pl.DataFrame
    """The responses that it is compared with; columns of `ledger.SCHEMA`."""
    is_part: bool
    """Whether other responses of the session are known not to be in it."""
    is_open: bool
    """Whether only its tokens can tell what it is about: other sessions too, or not all of this one."""
    line: int | None = None
    """Where it stands in the file that it is from; None for what is no transcript."""


class SessionBridge(Struct, frozen=True):
    """A session's claim, and the bridge from it to ours."""

    claim: SessionClaim
    bridge: Bridge

    def difference_usd(self, causes: Collection[Cause]) -> Decimal | None:
        """Return by how much theirs is above ours for some *causes*; None where it tells no cost."""
        found = [self.bridge.of(cause).cost_usd for cause in sorted(causes)]
        told = [cost for cost in found if cost is not None]
        return -sum(told, Decimal(0)) if told else None

    @property
    def coverage(self) -> Coverage:
        """What of its session, or beside it, the claim is about."""
        bridge = self.bridge
        if bridge.theirs.counts is None and (bridge.unexplained.cost_usd or 0) > 0:
            return Coverage.UNKNOWN  # it tells no tokens by which to see what it lacks
        is_part = self.claim.is_part and bridge.coverage is Coverage.WHOLE
        return Coverage.PART if is_part else bridge.coverage

    @property
    def is_unexplained(self) -> bool:
        """Whether more than UNEXPLAINED_SHARE of the claim is."""
        rest = self.bridge.unexplained.cost_usd or Decimal(0)
        whole = self.bridge.theirs.cost_usd or Decimal(0)
        return abs(rest) > UNEXPLAINED_SHARE * abs(whole)


def session_bridges(evidence: Evidence, only: Collection[str] | None = None) -> list[SessionBridge]:
    """Return the bridge of each claim that `session_claims` returns."""
    return [bridge_of(claim, evidence) for claim in session_claims(evidence, only)]


def bridge_of(claim: SessionClaim, evidence: Evidence) -> SessionBridge:
    """Return *claim* with its bridge."""
    theirs, ours = Figure(claim.claim.counts, claim.claim.cost_usd), figure_of(claim.rows)
    if _is_same(theirs, ours) and not claim.rows["cost_usd"].null_count():
        return SessionBridge(claim, bridged(claim.claim, theirs, (), ours, claim.claim.notes))
    rows = evidence.ledger.frame if claim.is_open else claim.rows
    over = dataclasses.replace(evidence, rows=rows)
    return SessionBridge(claim, reconciled(claim.claim, over, _no_export))


def _is_same(theirs: Figure, ours: Figure) -> bool:
    """Tell whether both tell the same tokens, and the same cost but for its rounding."""
    if theirs.counts is None or theirs.cost_usd is None or ours.cost_usd is None:
        return False
    return theirs.counts == ours.counts and abs(theirs.cost_usd - ours.cost_usd) < ROUNDING


def _no_export(*_: object) -> pl.DataFrame:
    raise AssertionError("no claim of Claude Code is an export of ours")


def session_claims(evidence: Evidence, only: Collection[str] | None = None) -> list[SessionClaim]:
    """Return the claim of each session that has one, by session id.

    Of those named *only*, or of those that were chosen where only some responses were.

    What a `cost-state` line says stands before what `.claude.json` says, and that before what a status
    line recorded. A session without a transcript here has none.
    """
    told = _Told(evidence, stated(evidence.facts.totals.iter_rows(named=True)))
    if only is None:
        of = evidence.rows if evidence.is_filtered else evidence.facts.transcripts
        only = set(of["session_id"].unique())
    return [told.claim_of(best) for name, best in sorted(told.best.items()) if name in only]


def plain_sums(totals: pl.DataFrame, rows: pl.DataFrame) -> tuple[int, Decimal, Decimal]:
    """Return how many sessions of *rows* Claude Code tells as a whole, its sum of them, and ours.

    Those alone whose total has begun with them, and is no other session's too: for these it takes no
    look at single responses. *rows* need `session_id`, `time` and `cost_usd`; *totals* are `TOTALS`.
    """
    best = _best(stated(totals.iter_rows(named=True)))
    starts = Counter(one.start for one in best.values())
    used = rows.group_by("session_id").agg(pl.col("time").min(), pl.col("cost_usd").sum())
    number, theirs, ours = 0, Decimal(0), Decimal(0)
    for session_id, began, cost in used.iter_rows():
        one = best.get(session_id)
        if one is None or one.start is None or one.claim.cost_usd is None or began is None:
            continue
        if one.start <= began and starts[one.start] == 1:
            number, theirs, ours = number + 1, theirs + one.claim.cost_usd, ours + cost
    return number, theirs, ours


def stated_costs(totals: pl.DataFrame) -> pl.DataFrame:
    """Return what Claude Code says that each session cost: `session_id, stated_usd`, from *totals*."""
    best = _best(stated(totals.iter_rows(named=True)))
    rows = [(name, one.claim.cost_usd) for name, one in best.items()]
    return pl.DataFrame(rows, {"session_id": pl.String, "stated_usd": USD}, orient="row")


def _best(found: Iterable[StatedTotals]) -> dict[str, StatedTotals]:
    """Return the total of each session that counts."""
    by_session: dict[str, list[StatedTotals]] = {}
    for one in found:
        by_session.setdefault(one.session_id, []).append(one)
    return {name: max(several, key=_rank) for name, several in by_session.items()}


_RANK: Final = (ClaimKind.COST_STATE, ClaimKind.LAST_SESSION, ClaimKind.STATUS_LINE)


def _rank(one: StatedTotals) -> tuple[int, Decimal, int]:
    """Return what tells the best of several totals of one session: the largest is the latest."""
    kind = one.claim.shape
    place = _RANK.index(kind) if kind in _RANK else 0
    return -place, one.claim.cost_usd or Decimal(0), one.line or 0


class _Told:
    """All that is stated, over the responses of the whole ledger."""

    def __init__(self, evidence: Evidence, found: Sequence[StatedTotals]) -> None:
        self.evidence = evidence
        self.by_session: dict[str, list[StatedTotals]] = {}
        for one in found:
            self.by_session.setdefault(one.session_id, []).append(one)
        self.best = _best(found)

    @cached_property
    def _owned(self) -> Mapping[Any, pl.DataFrame]:
        return self.evidence.ledger.frame.partition_by("session_id", as_dict=True)

    @cached_property
    def _copied(self) -> pl.DataFrame:
        """The responses of other sessions that a session's transcripts hold: `session_id`, and where."""
        whole = dataclasses.replace(self.evidence, rows=self.evidence.ledger.frame)
        return whole.copies.filter(pl.col("session_id") != pl.col("owner_session")).select(
            "session_id",
            "owner_session",
            source_path="owner_path",
            source_line="owner_line",
            response_id="message_id",
        )

    def _own(self, session_id: str) -> pl.DataFrame:
        """Return the responses that belong to a session."""
        return self._owned.get((session_id,), self.evidence.ledger.frame.clear())

    def rows_of(self, session_id: str) -> pl.DataFrame:
        """Return all responses that a session's transcripts hold, its own and copied ones."""
        frame, own = self.evidence.ledger.frame, self._own(session_id)
        places = self._copied.filter(pl.col("session_id") == session_id).select(_PLACE)
        if places.is_empty():
            return own
        return pl.concat([own, frame.join(places, on=_PLACE, how="semi")])

    def _covered(self, one: StatedTotals) -> pl.DataFrame:
        """Return the responses that were made while *one* counted.

        Copied ones only where it says since when: without, it is of one process, which made none of them.
        """
        is_told = one.start is not None
        rows = self.rows_of(one.session_id) if is_told else self._own(one.session_id)
        return _until(_since(rows, one), one)

    def claim_of(self, one: StatedTotals) -> SessionClaim:
        """Return what *one* says, over what it is about."""
        whole = self._own(one.session_id)
        rows, claim = self._covered(one), one.claim
        if (before := self._included(one)) is not None:
            claim = _less(claim, before.claim)
            rows = rows.join(self._covered(before), on=_PLACE, how="anti")
        left_out = whole.join(rows, on=_PLACE, how="anti").height
        claim = replace(
            claim,
            sessions=frozenset(rows["session_id"].drop_nulls()) or frozenset({one.session_id}),
            is_marked=one.start is not None or one.line is not None,
            notes=(*claim.notes, *_notes(before, left_out)),
        )
        return SessionClaim(
            session_id=one.session_id,
            claim=claim,
            stated_usd=one.claim.cost_usd,
            rows=rows,
            is_part=left_out > 0,
            is_open=not claim.is_marked and not left_out,
            line=one.line,
        )

    # totals that one goes on from

    def _included(self, one: StatedTotals) -> StatedTotals | None:
        """Return the total of another session from which *one* went on: of those it copies the last."""
        if one.start is None:
            return None
        others = [
            other
            for name, several in self.by_session.items()
            if name != one.session_id
            for other in several
            if other.start == one.start and other.line is not None
        ]
        if not others:
            return None
        began = self._own(one.session_id)["time"].min()
        copied = set(
            self._copied.filter(pl.col("session_id") == one.session_id)["owner_session"].unique()
        )
        earlier = [
            other
            for other in others
            if other.session_id in copied and self._was_before(other, began)
        ]
        return max(earlier, key=_rank, default=None)

    def _was_before(self, one: StatedTotals, moment: Any) -> bool:
        """Tell whether *one* was written before *moment*: its line stands behind what came before."""
        rows = self.rows_of(one.session_id).filter(pl.col("source_path") == one.claim.source)
        last: Any = rows.filter(pl.col("source_line") < one.line)["time"].max()
        return moment is None or last is None or bool(last <= moment)


def _since(rows: pl.DataFrame, one: StatedTotals) -> pl.DataFrame:
    """Return *rows* without those that were there before the process began to count."""
    start = one.start
    last: datetime | None = rows["time"].max()  # type: ignore[assignment]
    if start is None and one.duration_s is not None and last is not None:
        start = last - timedelta(seconds=one.duration_s) - _SLACK
    if start is None:
        return rows
    return rows.filter((pl.col("time") >= start).fill_null(value=True))


def _until(rows: pl.DataFrame, one: StatedTotals) -> pl.DataFrame:
    """Return *rows* without those that were written behind the line that states the total."""
    if one.line is None:
        return rows
    is_behind = (pl.col("source_path") == one.claim.source) & (pl.col("source_line") > one.line)
    first = rows.filter(is_behind)["time"].min()
    if first is None:
        return rows
    return rows.filter(~is_behind & (pl.col("time") < first).fill_null(value=True))


def _less(claim: Claim, before: Claim) -> Claim:
    """Return *claim* without what was there *before*; as it is where that is not part of it."""
    costs = claim.cost_usd, before.cost_usd
    if costs[0] is None or costs[1] is None or costs[1] > costs[0]:
        return claim
    known = {line.model: line for line in before.lines}
    lines = tuple(_line_less(line, known.pop(line.model, None)) for line in claim.lines)
    if known or any(_is_negative(line.counts) for line in lines):
        return claim
    return replace(claim, lines=lines, cost_usd=costs[0] - costs[1])


def _line_less(line: ClaimLine, before: ClaimLine | None) -> ClaimLine:
    if before is None or line.counts is None or before.counts is None:
        return line
    cost = line.cost_usd
    if cost is not None and before.cost_usd is not None:
        cost -= before.cost_usd
    searches = max(0, line.web_searches - before.web_searches)
    return ClaimLine(line.model, line.counts - before.counts, cost, searches)


def _is_negative(counts: ClaimCounts | None) -> bool:
    return counts is not None and min(_classes(counts)) < 0


def _classes(counts: ClaimCounts) -> tuple[int, ...]:
    return counts.input, counts.output, counts.cache_read, counts.cache_write


def _notes(before: StatedTotals | None, left_out: int) -> Iterator[str]:
    if before is not None:
        yield f"It goes on from the total of session {before.session_id}, which is subtracted."
    if left_out:
        yield (
            f"Left out: {counted(left_out, 'response')} of the session, made before it began to count, or later."
        )
