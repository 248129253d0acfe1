"""Blocks: five-hour windows as Claude plans count them, on whole hours since 1970; no frames, no clock.

The first activity opens a block at its full hour in UTC; it lasts five hours, whatever happens in it;
the first activity at or after its end opens the next. That is how users of plans reckon. Only the
server knows its own windows: what it said of them stands beside, never mixed in.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

__all__ = ["HOURS", "gaps", "per", "projected", "starts"]

HOURS = 5
"""The length of a block, and of a silence that is called a gap."""

_LEAST_ELAPSED_S = 60
"""A pace measured over less than this would say more of chance than of work."""


def starts(hours: Iterable[int]) -> list[int]:
    """Return the hours at which blocks open, given the *hours* in which there was activity."""
    found: list[int] = []
    for hour in sorted(set(hours)):
        if not found or hour >= found[-1] + HOURS:
            found.append(hour)
    return found


def gaps(blocks: Iterable[tuple[int, float, float]]) -> Iterator[tuple[int, int]]:
    """Yield from which hour to which no block was open, where nothing happened for five hours.

    *blocks* come in their order, each with the hour at which it opens, and its first and last
    activity, in hours too. Where the silence was that long but the blocks touch, there is no gap.
    """
    for (start, _, last), (following, first, _) in pairwise(blocks):
        if first - last >= HOURS and following > start + HOURS:
            yield start + HOURS, following


def per(amount: int, elapsed_s: int, span_s: int) -> int:
    """Return how much of *amount*, which took *elapsed_s* seconds, falls on *span_s* seconds."""
    return amount * span_s // max(elapsed_s, _LEAST_ELAPSED_S)


def projected(amount: int, elapsed_s: int, remaining_s: int) -> int:
    """Return what *amount* will have become after *remaining_s* more seconds at the pace so far."""
    return amount + per(amount, elapsed_s, remaining_s)
