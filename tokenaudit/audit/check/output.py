"""Findings about output counts that no line finished, by version of Claude Code (R4)."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from tokenaudit.analysis.versions import up_to
from tokenaudit.audit.check.evidence import Evidence, dollars, place_of, whole
from tokenaudit.audit.check.finding import Finding, Severity, counted
from tokenaudit.merge import LARGEST_PLACEHOLDER
from tokenaudit.model.terms import Quality

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
"""Later versions write the final count on every line (their changelog says so of 2.1.97)."""


def output(evidence: Evidence) -> Iterator[Finding]:
    """Yield placeholder and lower-bound output by version, and counts near the limit between them."""
    for quality in _MEANING:
        unsure = evidence.rows.filter(pl.col("quality") == quality.value)
        versions = unsure.group_by("version").len().sort("len", "version", descending=[True, False])
        for version in versions["version"].head(_MOST_NAMED):
            found = unsure.filter(pl.col("version").eq_missing(pl.lit(version)))
            yield _unsure(quality, found, version or "no version")
        others = versions["version"].slice(_MOST_NAMED)
        if not others.is_empty():
            found = unsure.filter(pl.col("version").is_in(others.implode(), nulls_equal=True))
            yield _unsure(quality, found, counted(others.len(), "more version"))
    yield from _near(evidence)


def _unsure(quality: Quality, found: pl.DataFrame, subject: str) -> Finding:
    count = found.height
    is_old = found.select(up_to(pl.col("version"), _LAST_UNFINISHED).any()).item()
    return Finding(
        f"{quality.value}_output",
        Severity.WARNING,
        subject,
        count,
        whole(found, "output_tokens"),
        dollars(found, "cost_output_usd"),
        f"{counted(count, 'response')} of Claude Code {subject} {_MEANING[quality]}.",
        "Claude Code writes final counts from 2.1.97 on; `--estimate` says what is likely missing, and"
        " `tokenaudit by version,quality` names every version."
        if is_old
        else "These were interrupted, or are being written; `--estimate` says what is likely missing.",
        place_of(found),
    )


def _near(evidence: Evidence) -> Iterator[Finding]:
    unsure = pl.col("quality").is_in([quality.value for quality in _MEANING])
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
