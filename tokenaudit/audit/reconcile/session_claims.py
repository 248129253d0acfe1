"""What Claude Code says that each session used, and which responses that is about.

A claim may cover less than its session, or more: a process that was killed leaves none, one that goes on
from another's total includes it, and before 2.1.211 `/clear` began a new session but no new total. Totals
before it in the same process are subtracted where they are stated too; else it is compared over all that
it covers. Where what it covers cannot be told, it says so.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.analysis.versions import up_to
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import counted
from tokenaudit.audit.reconcile.bridge import (
    ROUNDING,
    Bridge,
    Cause,
    Figure,
    bridged,
    figure_of,
)
from tokenaudit.audit.reconcile.claims import Claim, ClaimKind, Counts, Line
from tokenaudit.audit.reconcile.claims.claude_code import Stated, stated
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.model.terms import MAIN_AGENT, Quality
from tokenaudit.pricing.cost import USD
from tokenaudit.transcripts.clears import begins_with_clear

__all__ = [
    "UNEXPLAINED_SHARE",
    "Scope",
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

_LAST_CARRYING: Final = (2, 1, 210)
"""Up to this version the total went on over `/clear`."""
_SLACK: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(days=1)
"""What ended earlier than this before a session began was not the same process."""
_MOST_BEFORE: Final = 50
_UNFINISHED: Final = (Quality.PLACEHOLDER.value, Quality.LOWER_BOUND.value)
_MOST_CUT: Final = 10
"""Of more unfinished responses it is not tried which of them are not counted."""
_PLACE: Final = ("source_path", "source_line", "response_id")


class Scope(StrEnum):
    """What of its session a claim is about."""

    WHOLE = "whole session"
    PART = "part of the session"
    """Some responses were made before it began to count, or later: of a process that left no total."""
    WITH_EARLIER = "with sessions before it"
    """The process was at work in other sessions before, and its total went on."""
    UNKNOWN = "cannot be told"
    """It says less than transcripts hold."""


class SessionClaim(Struct, frozen=True):
    """What Claude Code says of one session, made comparable."""

    session_id: str
    claim: Claim
    """Of what `rows` are, and of no other session: totals that were included are subtracted."""
    stated_usd: Decimal | None
    """What it says itself, before anything is subtracted."""
    rows: pl.DataFrame
    """The responses that it is about; columns of `ledger.SCHEMA`."""
    scope: Scope
    line: int | None = None
    """Where it stands in the file that it is from; None for what is no transcript."""
    others: tuple[str, ...] = ()
    """The sessions before it that `rows` are of too."""


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
    over = dataclasses.replace(evidence, rows=claim.rows)
    bridge = reconciled(claim.claim, over, _no_export)
    rest = bridge.unexplained.cost_usd or Decimal(0)
    if theirs.counts is None and rest > 0:  # it tells no tokens by which to see what it lacks
        claim = replace(claim, scope=Scope.UNKNOWN)
    return SessionBridge(claim, bridge)


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


def _best(found: Iterable[Stated]) -> dict[str, Stated]:
    """Return the total of each session that counts."""
    by_session: dict[str, list[Stated]] = {}
    for one in found:
        by_session.setdefault(one.session_id, []).append(one)
    return {name: max(several, key=_rank) for name, several in by_session.items()}


_RANK: Final = (ClaimKind.COST_STATE, ClaimKind.LAST_SESSION, ClaimKind.STATUS_LINE)


def _rank(one: Stated) -> tuple[int, Decimal, int]:
    """Return what tells the best of several totals of one session: the largest is the latest."""
    kind = one.claim.shape
    place = _RANK.index(kind) if kind in _RANK else 0
    return -place, one.claim.cost_usd or Decimal(0), one.line or 0


class _Told:
    """All that is stated, over the responses of the whole ledger."""

    def __init__(self, evidence: Evidence, found: Sequence[Stated]) -> None:
        self.evidence = evidence
        self.by_session: dict[str, list[Stated]] = {}
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

    def _covered(self, one: Stated) -> pl.DataFrame:
        """Return the responses that were made while *one* counted.

        Copied ones only where it says since when: without, it is of one process, which made none of them.
        """
        is_told = one.start is not None
        rows = self.rows_of(one.session_id) if is_told else self._own(one.session_id)
        return _until(_since(rows, one), one)

    def claim_of(self, one: Stated) -> SessionClaim:
        """Return what *one* says, over what it is about."""
        whole = self._own(one.session_id)
        rows, claim = self._covered(one), one.claim
        if (before := self._included(one)) is not None:
            claim = _less(claim, before.claim)
            rows = rows.join(self._covered(before), on=_PLACE, how="anti")
        left_out = whole.join(rows, on=_PLACE, how="anti").height
        scope = Scope.PART if left_out else Scope.WHOLE
        others = self._carried(one, whole)
        if others and (more := self._with(rows, others, claim)) is not None:
            rows, scope = more, Scope.WITH_EARLIER
        else:
            others = ()
        cut = 0
        if _is_too_small(claim, rows):
            told = _without_cut(rows, claim)
            cut, scope = rows.height - told.height, Scope.PART
            rows = told
            if not cut:
                scope = Scope.UNKNOWN
        notes = _notes(scope, others, before, left_out=left_out, cut=cut)
        claim = replace(
            claim,
            sessions=frozenset(rows["session_id"].drop_nulls()) or frozenset({one.session_id}),
            notes=(*claim.notes, *notes),
        )
        return SessionClaim(
            one.session_id, claim, one.claim.cost_usd, rows, scope, one.line, others
        )

    # totals that one goes on from

    def _included(self, one: Stated) -> Stated | None:
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

    def _was_before(self, one: Stated, moment: Any) -> bool:
        """Tell whether *one* was written before *moment*: its line stands behind what came before."""
        rows = self.rows_of(one.session_id).filter(pl.col("source_path") == one.claim.source)
        last: Any = rows.filter(pl.col("source_line") < one.line)["time"].max()
        return moment is None or last is None or bool(last <= moment)

    # sessions of the same process

    def _carried(self, one: Stated, rows: pl.DataFrame) -> tuple[str, ...]:
        """Return the sessions before *one* in its process, where its version let the total go on."""
        if one.start is not None or not _is_carrying(rows):
            return ()
        found: list[str] = []
        name = one.session_id
        while len(found) < _MOST_BEFORE and (before := self._before(name)) is not None:
            if before in found:
                break
            found.append(before)
            name = before
        return tuple(found)

    def _before(self, session_id: str) -> str | None:
        """Return the session that `/clear` ended when this one began; None where none did."""
        mains = self._mains
        own = mains.filter(pl.col("session_id") == session_id)
        began = own["first_time"].min()
        if began is None or not any(map(begins_with_clear, own["path"])):
            return None
        last = (
            mains.filter(
                (pl.col("session_id") != session_id)
                & pl.col("project_folder").is_in(own["project_folder"].implode())
                & pl.col("last_time").is_between(
                    pl.lit(began) - _LONGEST_PAUSE, pl.lit(began) + _SLACK
                )
            )
            .sort("last_time", "session_id")
            .tail(1)
        )
        return None if last.is_empty() else str(last["session_id"].item())

    @cached_property
    def _mains(self) -> pl.DataFrame:
        of_main = pl.col("agent_id") == MAIN_AGENT
        return self.evidence.facts.transcripts.filter(of_main & pl.col("session_id").is_not_null())

    def _with(self, rows: pl.DataFrame, others: Sequence[str], claim: Claim) -> pl.DataFrame | None:
        """Return *rows* with those of the *others*; None where that is more than is claimed."""
        more = pl.concat([rows, *map(self.rows_of, others)])
        return None if _is_too_small(claim, more) else more


def _is_carrying(rows: pl.DataFrame) -> bool:
    first = rows.sort("time").head(1)
    is_old = first.select(up_to(pl.col("version"), _LAST_CARRYING)).to_series()
    return bool(is_old.fill_null(value=False).any())


def _since(rows: pl.DataFrame, one: Stated) -> pl.DataFrame:
    """Return *rows* without those that were there before the process began to count."""
    start = one.start
    last: datetime | None = rows["time"].max()  # type: ignore[assignment]
    if start is None and one.duration_s is not None and last is not None:
        start = last - timedelta(seconds=one.duration_s) - _SLACK
    if start is None:
        return rows
    return rows.filter((pl.col("time") >= start).fill_null(value=True))


def _until(rows: pl.DataFrame, one: Stated) -> pl.DataFrame:
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


def _line_less(line: Line, before: Line | None) -> Line:
    if before is None or line.counts is None or before.counts is None:
        return line
    cost = line.cost_usd
    if cost is not None and before.cost_usd is not None:
        cost -= before.cost_usd
    searches = max(0, line.web_searches - before.web_searches)
    return Line(line.model, line.counts - before.counts, cost, searches)


def _is_negative(counts: Counts | None) -> bool:
    return counts is not None and min(_classes(counts)) < 0


def _classes(counts: Counts) -> tuple[int, ...]:
    return counts.input, counts.output, counts.cache_read, counts.cache_write


def _is_too_small(claim: Claim, rows: pl.DataFrame) -> bool:
    """Tell whether *claim* tells fewer tokens of some class than *rows* hold: it is not about all of them."""
    ours = figure_of(rows).counts
    return (
        claim.counts is not None
        and ours is not None
        and any(
            _of < held for _of, held in zip(_classes(claim.counts), _classes(ours), strict=True)
        )
    )


def _without_cut(rows: pl.DataFrame, claim: Claim) -> pl.DataFrame:
    """Return *rows* without those unfinished ones by which their prompts exceed the claim's, exactly.

    Claude Code does not count a stream that broke off at once, and sends its request again. All of
    *rows* where no few of them fit.
    """
    unfinished = rows.with_row_index("row").filter(pl.col("quality").is_in(_UNFINISHED))
    if claim.counts is None or not 0 < unfinished.height <= _MOST_CUT:
        return rows
    counts = figure_of(rows).counts
    excess = _prompt((counts or Counts()) - claim.counts)
    of_each = {row: _prompt_of(unfinished, row) for row in unfinished["row"]}
    for number in range(1, unfinished.height + 1):
        for chosen in combinations(of_each, number):
            if tuple(map(sum, zip(*(of_each[row] for row in chosen), strict=True))) == excess:
                return rows.with_row_index("row").filter(~pl.col("row").is_in(chosen)).drop("row")
    return rows


def _prompt(counts: Counts) -> tuple[int, ...]:
    return counts.input, counts.cache_read, counts.cache_write


def _prompt_of(rows: pl.DataFrame, row: int) -> tuple[int, ...]:
    return _prompt(figure_of(rows.filter(pl.col("row") == row)).counts or Counts())


def _notes(
    scope: Scope, others: Sequence[str], before: Stated | None, *, left_out: int, cut: int
) -> Iterator[str]:
    if before is not None:
        yield f"It goes on from the total of session {before.session_id}, which is subtracted."
    if others:
        yield (
            f"It is compared over {counted(len(others), 'session')} before it too: of the same process,"
            " whose total went on over /clear."
        )
    if cut:
        yield (
            f"Left out: {counted(cut, 'response')} that broke off and had to be asked for again, which Claude"
            " Code does not count (inferred: by their prompts it tells exactly less)."
        )
    if left_out:
        yield (
            f"Left out: {counted(left_out, 'response')} of the session, made before it began to count, or later."
        )
    if scope is Scope.UNKNOWN:
        yield (
            "It says less than the transcripts hold: what of the session it is about cannot be told."
        )
