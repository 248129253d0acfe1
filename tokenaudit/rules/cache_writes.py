"""R7: cache writes by how long they last."""

from __future__ import annotations

__all__ = ["split"]


def split(flat: int, short: int, long: int) -> tuple[int, int]:
    """Return the 5-minute and the 1-hour writes of a response, in tokens.

    *flat* is the sum as its own field says it, *short* and *long* the split. Where they differ the
    larger counts; what is not split was written for five minutes.
    """
    return max(flat, short + long) - long, long
