"""Calls that transcripts never hold, told by the shape of what is left over between two totals.

The signatures were measured on sessions whose whole usage Claude Code itself had stated.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import Struct

from tokenaudit.audit.reconcile.bridge import Cause
from tokenaudit.audit.reconcile.claims import Counts

__all__ = ["Hidden", "Signs", "hidden_calls"]

_SUGGESTION: Final = 425
"""Input tokens of one prompt suggestion, exactly; it reads the context from the cache."""
_SUGGESTION_OUTPUT: Final = 16
_TITLE_INPUT: Final = (340, 500)
_TITLE_OUTPUT: Final = (11, 25)
_RECAP_INPUT: Final = (94, 108)
_RECAP_OUTPUT: Final = 100
_COMPACTION_INPUT: Final = (2, 3)
_COMPACTION_WRITE: Final = 10_000
"""The least context that an early compaction would have written anew."""
_LATE_COMPACTION: Final = 1762


class Signs(Struct, frozen=True):
    """What the transcripts of the same scope say that bears on it."""

    is_small: bool
    """Whether the model is the small one that Claude Code asks on the side."""
    is_absent: bool
    """Whether transcripts hold no response of the model at all."""
    has_lost_output: bool
    """Whether some of its responses lack a final output count."""
    compactions: int
    recaps: int


class Hidden(NamedTuple):
    """Part of a residual: what it is, as far as its shape tells."""

    name: str
    counts: Counts
    note: str
    cause: Cause = Cause.UNRECORDED_CALLS


def hidden_calls(model: str, residual: Counts, signs: Signs) -> Iterator[Hidden]:
    """Part the *residual* of *model*, theirs minus ours, into calls and lost output.

    What has no known shape is not yielded: it stays unexplained.
    """
    if min(residual.input, residual.output, residual.cache_read, residual.cache_write) < 0:
        return
    if residual == Counts(output=residual.output):
        if residual.output and signs.has_lost_output:
            yield _lost(model, residual.output)
        return
    found = _small(model, residual) if signs.is_small else _large(model, residual, signs)
    if found is None and signs.is_absent:
        found = Hidden(
            f"calls of {model}",
            residual,
            "The transcripts hold no response of this model.",
        )
    if found is not None:
        yield found
        rest = residual.output - found.counts.output
        if rest and signs.has_lost_output:
            yield _lost(model, rest)


def _lost(model: str, output: int) -> Hidden:
    return Hidden(
        f"output that no line tells ({model})",
        Counts(output=output),
        "Responses whose lines hold a placeholder or a part of their output count; input and cache agree.",
        Cause.LOST_OUTPUT,
    )


def _small(model: str, residual: Counts) -> Hidden | None:
    if residual.cache_read or residual.cache_write:
        return None
    calls = _calls(residual.input, _TITLE_INPUT)
    if any(_is_within(residual.output, _TITLE_OUTPUT, number) for number in calls):
        return Hidden(
            f"session titles ({model})",
            residual,
            f"{calls[0]:,} or more calls of 340 to 500 input and 11 to 25 output tokens.",
        )
    return Hidden(
        f"web pages, searches, command checks ({model})",
        residual,
        "The small model, without any cache: digests of pages, results of searches, checks of commands.",
    )


def _large(model: str, residual: Counts, signs: Signs) -> Hidden | None:
    suggestions, odd = divmod(residual.input, _SUGGESTION)
    if suggestions and not odd and residual.cache_read:
        return Hidden(
            f"prompt suggestions ({model})",
            _output(residual, _SUGGESTION_OUTPUT * suggestions, signs),
            f"{suggestions:,} calls of exactly 425 input tokens, which read the context from the cache.",
        )
    if signs.compactions and _is_compaction(residual, signs.compactions):
        return Hidden(
            f"compaction ({model})",
            residual,
            f"{signs.compactions:,} compactions are marked in the transcripts; the call is on no line.",
        )
    if signs.recaps and _is_within(residual.input, _RECAP_INPUT, signs.recaps):
        return Hidden(
            f"recaps ({model})",
            _output(residual, 2 * _RECAP_OUTPUT * signs.recaps, signs),
            f"{signs.recaps:,} recaps are marked in the transcripts; 94 to 108 input tokens each.",
        )
    return None


def _output(residual: Counts, most: int, signs: Signs) -> Counts:
    """Return *residual* with no more output than such calls have, where output is lost besides."""
    output = min(residual.output, most) if signs.has_lost_output else residual.output
    return Counts(residual.input, output, residual.cache_read, residual.cache_write)


def _is_compaction(residual: Counts, number: int) -> bool:
    is_early = residual.cache_write >= _COMPACTION_WRITE * number and _is_within(
        residual.input, _COMPACTION_INPUT, number
    )
    return is_early or (residual.input == _LATE_COMPACTION * number and residual.cache_read > 0)


def _calls(total: int, each: tuple[int, int]) -> list[int]:
    """Return the numbers of calls that could add up to *total*, rising."""
    least, most = each
    first, last = -(-total // most), total // least
    return list(range(first, min(last, first + 1_000) + 1)) if total else []


def _is_within(total: int, each: tuple[int, int], number: int) -> bool:
    return each[0] * number <= total <= each[1] * number
