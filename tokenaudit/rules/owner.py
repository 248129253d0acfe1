"""R5: to whom a response belongs that stands in several places."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = ["REASONS", "claim", "nearness", "reason"]

REASONS: Final = (
    "its line is the agent's own, the others are progress copies",
    "it is no sidechain, the others are",
    "its first line is the earliest",
    "its copy is the earliest",
    "its path sorts first",
)
"""What each place of a claim says of the owner."""

_REVISION: Final = 5


def claim(
    *,
    is_progress: bool,
    is_sidechain: bool,
    file_time: Any,
    time: Any,
    path: str,
    revision: int = 0,
    line: int = 0,
) -> tuple[Any, ...]:
    """Return what decides whose a response is: the least owns it.

    *file_time* is when what stands in the transcript begins, *time* the earliest that the copy tells;
    of either kind are all None or can be compared, and what has none comes last. *revision* tells apart
    what stood in a transcript before and after it was rewritten.
    """
    return (
        is_progress,
        is_sidechain,
        (file_time is None, file_time or 0),
        (time is None, time or 0),
        path,
        revision,
        line,
    )


def nearness(claimed: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what decides between equally good lines of several transcripts (R4): the least counts.

    That is the *claimed* owner's order without the time of the copy, for which the later one counts.
    """
    return (*claimed[:3], *claimed[4:6])


def reason(owner: tuple[Any, ...], other: tuple[Any, ...]) -> str | None:
    """Return why the first of two claims comes first; None where they are of one transcript."""
    pairs = zip(owner[:_REVISION], other[:_REVISION], REASONS, strict=True)
    return next((why for one, two, why in pairs if one != two), None)
