"""R4: which line's usage counts for a response, and what a repair asks for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["LARGEST_PLACEHOLDER", "prompt_of", "worth"]

LARGEST_PLACEHOLDER: Final = 30
"""Output counts up to this, on a line without a stop reason, are what stands there at the start."""


def worth(output_tokens: int, is_final: bool, is_cut: bool = False) -> tuple[bool, bool, int]:  # noqa: FBT001, FBT002 - called for each line: keywords cost a tenth
    """Return what decides whose usage counts: the greatest, and of equal ones the later.

    What is known to be cut comes first, for its stop reason is an invention wherever it stands; then
    the finished ones, whose counts are not compared; then those with the most output. Within a
    transcript the place of a line says which is later, among transcripts its time.
    """
    return is_cut, is_final, 0 if is_final else output_tokens


def prompt_of(fresh: int, read: int, short: int, long: int) -> tuple[int, int, int]:
    """Return what must be equal for a parent's total to be of a reply: input, cache reads, cache writes.

    How long writes last is not compared: the parent's total may not say it.
    """
    return fresh, read, short + long
