"""Digests of what was read: of each transcript as many bytes as were read, so that later ones do not matter."""

import hashlib
from collections.abc import Iterable
from typing import Final

__all__ = ["combined", "digest", "lines_in"]

_BLOCK: Final = 1 << 20


def digest(path: str, size: int) -> tuple[int, str] | None:
    """Return how many of the first *size* bytes of the file at *path* there are, and their SHA-256.

    None where the file cannot be read.
    """
    found = hashlib.sha256()
    left = size
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            while left and (block := file.read(min(left, _BLOCK))):
                found.update(block)
                left -= len(block)
    except OSError:
        return None
    return size - left, found.hexdigest()


def lines_in(path: str, size: int) -> int | None:
    """Return how many lines end in the first *size* bytes of the file at *path*; None where it is gone."""
    found, left = 0, size
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            while left and (block := file.read(min(left, _BLOCK))):
                found += block.count(b"\n")
                left -= len(block)
    except OSError:
        return None
    return found


def combined(digests: Iterable[str]) -> str:
    """Return one digest for several, in their order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()
