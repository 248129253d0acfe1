"""Which responses a total of one process of Claude Code is about: its session, and what else or what part.

The sessions that `/clear` ended in the same process belong to it before 2.1.211; after a resume, only
what came later. What is offered here is possible by the marks; whether it is so, the tokens must tell.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from itertools import combinations
from typing import Final, NamedTuple

import polars as pl

from tokenaudit.analysis.versions import up_to
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import Coverage
from tokenaudit.audit.reconcile.claims import ClaimCounts
from tokenaudit.model.terms import MAIN_AGENT, Quality
from tokenaudit.transcripts.clears import begins_with_clear

__all__ = ["Candidate", "Marks", "Process"]

_LAST_GOING_ON: Final = (2, 1, 210)
"""The last version in which `/clear` did not set the totals of a process back."""
_LAST_UNCOUNTED: Final = (2, 1, 77)
"""The last version that did not count a response that was asked for again without streaming."""
_LAST_UNFINISHED: Final = (2, 1, 58)
"""In later versions a response of the main agent that is not final was interrupted."""
_MOST_UNCOUNTED: Final = 4
_MOST_EARLIER: Final = 20
"""Sessions of one process that are looked for, as /clear chains them."""
_MAIN: Final = pl.col("agent_id") == MAIN_AGENT
_WRITTEN: Final = pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
_PROMPT: Final = (pl.col("input_tokens"), pl.col("cache_read_tokens"), _WRITTEN)
"""What a prompt is made of: sent, read from the cache, written to it."""


class Marks(NamedTuple):
    """What transcripts of a scope mark of calls that they do not hold."""

    compactions: int
    recaps: int
    pages: int = 0
    compacted: int | None = None
    """Tokens of the contexts that were compacted; None where a mark does not say it."""


class Candidate(NamedTuple):
    """Responses that a total may be about."""

    rows: pl.DataFrame
    coverage: Coverage = Coverage.WHOLE
    since: datetime | None = None
    until: datetime | None = None
    """Where it is a part: the times of its first and last response."""
    version: str | None = None
    """Where the part is that of the process of one version of Claude Code."""
    uncounted: pl.DataFrame | None = None
    """Responses that stand in transcripts and in no total: interrupted ones, and repeated attempts."""


class Process:
    """The process of Claude Code that ended with one session, as its transcripts tell."""

    def __init__(self, sessions: Sequence[str], rows: pl.DataFrame, evidence: Evidence) -> None:
        """Take the *rows* of *sessions*, none for all, and the *evidence* that others are looked for in.

        Only one session has others before it.
        """
        self.rows = rows.sort("time", nulls_last=False)
        self._evidence = evidence
        self._sessions = list(sessions) or rows["session_id"].unique().sort().to_list()
        self.is_begun_by_clear = False
        """Whether its totals may hold sessions before it."""
        if len(sessions) == 1 and self._is_cleared(sessions[0]):
            self.is_begun_by_clear = True
            self._sessions.extend(self._earlier(sessions[0]))

    @property
    def has_main(self) -> bool:
        """Whether the transcript of the main agent is there."""
        return not self.rows.filter(_MAIN).is_empty()

    def scopes(self) -> Iterator[Candidate]:
        """Yield the scopes that it may have, the simplest first."""
        whole = [Candidate(self.rows), *self._with_earlier(), *self._with_parents()]
        for scope in whole:
            yield from _with_uncounted(scope)

    def of_one_version(self) -> Iterator[Candidate]:
        """Yield the responses of each version, where there are several: each has a process of its own."""
        versions = self.rows["version"].drop_nulls().unique().sort()
        for version in versions if versions.len() > 1 else ():
            rows = self.rows.filter(pl.col("version") == version)
            yield Candidate(rows, Coverage.PART, version=version)

    def later_parts(self, most: ClaimCounts) -> Iterator[Candidate]:
        """Yield the parts from a main response on that read and wrote no more than *most*, the longest first."""
        rows = self._all.filter(pl.col("time").is_not_null())
        _, read, written = (each.cum_sum(reverse=True) for each in _PROMPT)
        is_possible = (read <= most.cache_read) & (written <= most.cache_write)
        for time in rows.filter(is_possible & _MAIN)["time"]:
            later = rows.filter(pl.col("time") >= time)
            yield Candidate(later, Coverage.PART, time, rows["time"].to_list()[-1])

    def parts_of(self, models: Sequence[str], counts: ClaimCounts) -> Iterator[Candidate]:
        """Yield the parts in which *models* read, wrote and were sent just as much as *counts* says."""
        rows = self._all.filter(pl.col("time").is_not_null())
        of_models = rows.filter(pl.col("model").is_in(list(models)))
        times = of_models["time"].to_list()
        before = {(0, 0, 0): 0}
        sums = of_models.select(each.cum_sum() for each in _PROMPT).rows()
        for end, (sent, read, written) in enumerate(sums):
            wanted = (sent - counts.input, read - counts.cache_read, written - counts.cache_write)
            if wanted in before:
                since, until = times[before[wanted]], times[end]
                inside = rows.filter(pl.col("time").is_between(since, until))
                yield Candidate(inside, Coverage.PART, since, until)
            before[sent, read, written] = end + 1

    @cached_property
    def _all(self) -> pl.DataFrame:
        """The responses of all its sessions."""
        *_, longest = [Candidate(self.rows), *self._with_earlier()]
        return longest.rows.sort("time", nulls_last=False)

    def marks(self, scope: Candidate) -> Marks:
        """Return what the transcripts of a *scope* mark."""
        inside = pl.col("session_id").is_in(scope.rows["session_id"].unique().to_list())
        if scope.since is not None:
            inside &= pl.col("time") >= scope.since
        # a recap comes after the response that it sums up
        ends = self._all["time"].drop_nulls().to_list()
        if scope.until is not None and scope.until < ends[-1]:
            inside &= pl.col("time") <= scope.until
        marks = self._marks.filter(inside)
        kinds = marks["kind"].to_list()
        tokens = marks.filter(pl.col("kind") == "compact")["pre_tokens"]
        compacted = None if tokens.null_count() else int(tokens.sum())
        return Marks(
            kinds.count("compact"), kinds.count("recap"), kinds.count("web_fetch"), compacted
        )

    @cached_property
    def _marks(self) -> pl.DataFrame:
        facts = self._evidence.facts
        names = ("session_id", "time", "kind", "pre_tokens")
        compactions = facts.compactions.filter(pl.col("kind") == "compact").join(
            facts.transcripts.select("path", "session_id"), on="path"
        )
        sessions = [*self._sessions, *self.parents]
        inside = pl.col("session_id").is_in(sessions)
        chain = dataclasses.replace(self._evidence, rows=self._evidence.rows.filter(inside)).traces
        return pl.concat(
            [
                compactions.filter(inside).select(names),
                chain.filter(pl.col("kind").is_in(["recap", "web_fetch"]))
                .with_columns(pre_tokens=pl.lit(None, pl.Int64))
                .select(names),
            ]
        ).unique(maintain_order=True)

    def _is_cleared(self, session: str) -> bool:
        rows = self._evidence.rows.filter(pl.col("session_id") == session)
        is_old = rows.select(up_to(pl.col("version"), _LAST_GOING_ON).all()).item()
        if rows.is_empty() or not is_old:
            return False
        mains = self._evidence.facts.transcripts.filter(pl.col("session_id") == session, _MAIN)
        return any(map(begins_with_clear, mains["path"]))

    def _earlier(self, session: str) -> Iterator[str]:
        """Yield the sessions that `/clear` ended one after the other, the last first."""
        for _ in range(_MOST_EARLIER):
            before = self._before(session)
            if before is None:
                return
            yield before
            if not self._is_cleared(before):
                return
            session = before

    def _before(self, session: str) -> str | None:
        """Return the session of the same folder that ended last before *session* began."""
        rows = self._evidence.rows
        own = rows.filter(pl.col("session_id") == session)
        ended = (
            rows.filter(pl.col("project") == own["project"][0], pl.col("session_id") != session)
            .group_by("session_id")
            .agg(pl.col("time").max())
            .filter(pl.col("time") <= own["time"].min())
            .sort("time", "session_id")
        )
        return None if ended.is_empty() else str(ended["session_id"][-1])

    def _with_earlier(self) -> Iterator[Candidate]:
        """Yield the session with one more of those before it each time."""
        taken = self.rows
        for session in self._sessions[1:]:
            more = self._evidence.rows.filter(pl.col("session_id") == session)
            taken = pl.concat([more.select(taken.columns), taken])
            yield Candidate(taken, Coverage.EARLIER_TOO)

    @cached_property
    def parents(self) -> list[str]:
        """The sessions, among the responses looked at, whose responses the session holds copies of."""
        others = ~pl.col("session_id").is_in(self._sessions)
        if self.rows.is_empty() or self._evidence.rows.filter(others).is_empty():
            return []
        copies = dataclasses.replace(self._evidence, rows=self._evidence.ledger.frame).copies
        copied = copies.filter(pl.col("session_id") == self._sessions[0])["owner_session"].unique()
        found = self._evidence.rows.filter(others, pl.col("session_id").is_in(copied.to_list()))
        return found["session_id"].unique().sort().to_list()

    def _with_parents(self) -> Iterator[Candidate]:
        """Yield the session with what those that it was forked from had used before its first response."""
        if not self.parents:
            return
        of_parents = pl.col("session_id").is_in(self.parents)
        is_before = pl.col("time") <= self.rows["time"].min()
        more = self._evidence.rows.filter(of_parents & is_before)
        taken = pl.concat([more.select(self.rows.columns), self.rows])
        yield Candidate(taken, Coverage.PARENT_TOO)


def _with_uncounted(scope: Candidate) -> Iterator[Candidate]:
    """Yield *scope*, and it without each choice of the responses that totals may not count."""
    yield scope
    rows = scope.rows.with_row_index("place")
    doubtful = rows.filter(_MAIN & _is_doubtful())["place"].to_list()
    if len(doubtful) > _MOST_UNCOUNTED:
        return
    for number in range(1, len(doubtful) + 1):
        for places in combinations(doubtful, number):
            chosen = pl.col("place").is_in(list(places))
            yield scope._replace(
                rows=rows.filter(~chosen).drop("place"),
                uncounted=rows.filter(chosen).drop("place"),
            )


def _is_doubtful() -> pl.Expr:
    """Tell which responses, in the order of time, a total may not count."""
    context_before = (pl.col("cache_read_tokens") + _WRITTEN).shift().over("agent_id")
    is_unfinished = pl.col("quality").is_in([Quality.PLACEHOLDER.value, Quality.LOWER_BOUND.value])
    is_interrupted = is_unfinished & ~up_to(pl.col("version"), _LAST_UNFINISHED)
    is_repeated = (
        pl.col("stop_reason").is_not_null()
        & up_to(pl.col("version"), _LAST_UNCOUNTED)
        & (_WRITTEN == 0)
        & (pl.col("cache_read_tokens") > context_before)
    )
    return (is_interrupted | is_repeated).fill_null(value=False)
