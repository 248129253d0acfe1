"""R6: what the iterations of a response tell that its top level does not."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Final

__all__ = ["APART", "FALLBACK", "MESSAGE", "inferences_of", "tell_more"]

MESSAGE: Final = "message"
FALLBACK: Final = "fallback_message"
"""Who answers where the model that was asked first refused: then each `message` was refused."""
APART: Final = {"advisor_message": "advisor", "compaction": "compaction"}
"""Types that are responses of their own, outside the top level, and the kind of each."""


def tell_more(types: Collection[str | None]) -> bool:
    """Tell whether iterations of these *types* say anything beside the top level."""
    return len(types) > 1 or any(each != MESSAGE for each in types)


def inferences_of(
    iterations: Iterable[tuple[str | None, Sequence[int]]], whole: Sequence[int]
) -> list[Sequence[int]]:
    """Return the counts of those of *iterations* that the counts of the *whole* response add up from.

    Each is a type and its counts by class. None where it is one, or where they do not add up: then
    the top level stands alone, for it is what is counted.
    """
    found = list(iterations)
    served = FALLBACK if any(kind == FALLBACK for kind, _ in found) else MESSAGE
    parts = [counts for kind, counts in found if kind == served]
    sums = [sum(column) for column in zip(*parts, strict=True)]
    return parts if len(parts) > 1 and sums == list(whole) else []
