"""Tells whether a transcript still begins as it did when it was read: by digests of its two ends."""

from hashlib import blake2b
from typing import BinaryIO, Final, NamedTuple

__all__ = ["Digests", "digests_of", "still_holds"]

_SAMPLE: Final = 1024
"""Bytes at each end that are looked at."""


class Digests(NamedTuple):
    """Digests of the first and of the last bytes of what has been read of a file."""

    head: str
    tail: str


def digests_of(file: BinaryIO, end: int) -> Digests:
    """Return the digests of the first *end* bytes of *file*. Raises OSError where it cannot be read."""
    size = min(_SAMPLE, end)
    file.seek(0)
    head = file.read(size)
    file.seek(end - size)
    return Digests(_digest(head), _digest(file.read(size)))


def still_holds(path: str, digests: Digests, end: int) -> bool:
    """Tell whether the first *end* bytes of the file at *path* are, as far as one can see, as they were.

    Raises OSError where it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return digests_of(file, end) == digests


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()
