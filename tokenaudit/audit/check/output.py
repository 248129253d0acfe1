"""Findings about output counts that no line finished, by version of Claude Code (R4)."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import polars as pl

from tokenaudit.analysis.versions import up_to
from tokenaudit.audit.check.evidence import Evidence, dollars, place_of, whole
from tokenaudit.audit.check.finding import Finding, Severity, counted
from tokenaudit.merge.value import IS_CUT
from tokenaudit.model.terms import MAIN_AGENT, Quality
from tokenaudit.rules.value import LARGEST_PLACEHOLDER

__all__ = ["output"]

_MEANING: Final = {
    Quality.PLACEHOLDER: "with only the count that stands there while a response starts: the true output is lost",
    Quality.LOWER_BOUND: "that no line finished: the output is at least what is counted",
}
_NEAR: Final = 5
"""Tokens around the largest placeholder within which a count might as well be the other quality."""
_MOST_NAMED: Final = 5
"""Versions of each quality that have a finding of their own."""
_LAST_UNFINISHED: Final = (2, 1, 96)
"""Later versions write the final count on every line of a main thread (their changelog says so of 2.1.97)."""
_OLD: Final = (
    "Claude Code writes final counts from 2.1.97 on; `--estimate` says what is likely missing, and"
    " `tokenaudit by version,quality` names every version."
)
_OF_MAIN_THREADS: Final = (
    "From 2.1.97 on at most 0.23% of the responses of main threads stay unfinished: they were"
    " interrupted, or are being written. `--estimate` says what is likely missing."
)
_OF_SUBAGENTS: Final = (
    "Claude Code may write the lines of subagents before their counts are final: in public transcripts"
    " 8.1% of subagents' responses stay unfinished in 2.1.97 to 2.1.149, 13.4% in 2.1.150 to 2.1.199 and"
    " 18.7% in 2.1.220 to 2.1.232. `--estimate` says what is likely missing."
)
_ACTIONS: Final = (_OLD, _OF_MAIN_THREADS, _OF_SUBAGENTS)
"""What is known of such responses: shares are counted over public transcripts, by version."""


class _Group(NamedTuple):
    """Responses that are told together."""

    version: str | None
    is_subagent: bool | None
    """None in versions that leave main threads and subagents unfinished alike."""

    @property
    def name(self) -> str:
        """How findings call it."""
        version = self.version or "no version"
        return f"{version} (subagents)" if self.is_subagent else version

    @property
    def action(self) -> str:
        """What is known of such responses, and what can be done."""
        if self.is_subagent is None:
            return _OLD
        return _OF_SUBAGENTS if self.is_subagent else _OF_MAIN_THREADS


def output(evidence: Evidence) -> Iterator[Finding]:
    """Yield placeholder and lower-bound output by version, and counts near the limit between them."""
    is_old = up_to(pl.col("version"), _LAST_UNFINISHED).fill_null(value=True)
    is_subagent = pl.when(~is_old).then(pl.col("agent_id") != MAIN_AGENT)
    rows = evidence.rows.with_columns(is_subagent=is_subagent)
    yield from _cut(rows.filter(IS_CUT))
    for quality in _MEANING:
        unsure = rows.filter(pl.col("quality") == quality.value, ~IS_CUT)
        groups = unsure.group_by(_Group._fields).len()
        order = groups.sort("len", *_Group._fields, descending=[True, False, False])
        for version, is_of_subagents in order.select(_Group._fields).head(_MOST_NAMED).iter_rows():
            group = _Group(version, is_of_subagents)
            yield _unsure(quality, _of(unsure, [group]), group.name, group.action)
        others = [_Group(*row[:2]) for row in order.slice(_MOST_NAMED).iter_rows()]
        if others:
            actions = {group.action for group in others}
            found = _of(unsure, others)
            yield _unsure(
                quality,
                found,
                counted(len({group.version for group in others}), "more version"),
                " ".join(action for action in _ACTIONS if action in actions),
            )
    yield from _near(evidence)


def _cut(found: pl.DataFrame) -> Iterator[Finding]:
    if found.height:
        yield Finding(
            "cut_output",
            Severity.WARNING,
            None,
            found.height,
            whole(found, "output_tokens"),
            dollars(found, "cost_output_usd"),
            f"{counted(found.height, 'response')} cut off mid-stream: Claude Code writes a stop reason of its"
            " own on the counts of the start, and the output is at least that.",
            "`--estimate` says what is likely missing; what was streamed before the cut is billed.",
            place_of(found),
        )


def _of(unsure: pl.DataFrame, groups: Sequence[_Group]) -> pl.DataFrame:
    """Return the rows of *unsure* that are of one of *groups*."""
    schema = {name: unsure.schema[name] for name in _Group._fields}
    wanted = pl.DataFrame(groups, schema, orient="row")
    return unsure.join(
        wanted, on=_Group._fields, how="semi", nulls_equal=True, maintain_order="left"
    )


def _unsure(quality: Quality, found: pl.DataFrame, subject: str, action: str) -> Finding:
    count = found.height
    return Finding(
        f"{quality.value}_output",
        Severity.WARNING,
        subject,
        count,
        whole(found, "output_tokens"),
        dollars(found, "cost_output_usd"),
        f"{counted(count, 'response')} of Claude Code {subject} {_MEANING[quality]}.",
        action,
        place_of(found),
    )


def _near(evidence: Evidence) -> Iterator[Finding]:
    unsure = pl.col("quality").is_in([quality.value for quality in _MEANING])
    unsure &= pl.col("stop_reason").is_null()
    distance = (pl.col("output_tokens") - LARGEST_PLACEHOLDER).abs()
    found = evidence.rows.filter(unsure & (distance <= _NEAR))
    if found.height:
        yield Finding(
            "near_placeholder_limit",
            Severity.INFO,
            None,
            found.height,
            whole(found, "output_tokens"),
            None,
            f"{counted(found.height, 'unfinished count')} within {_NEAR} of {LARGEST_PLACEHOLDER} tokens,"
            " where placeholder and lower bound part.",
            "Nothing: no total depends on it, only what they are called.",
            place_of(found),
        )
