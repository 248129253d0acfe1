"""Tells whether a transcript still begins as it did when it was read: by digests of its two ends."""

import os
from hashlib import blake2b
from typing import BinaryIO, Final, NamedTuple

__all__ = ["REWRITTEN", "SHRANK", "Digests", "digests_of", "fate_of"]

REWRITTEN: Final = "rewritten"
SHRANK: Final = "shrank"

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


def fate_of(file: BinaryIO, digests: Digests, end: int) -> str | None:
    """Return what became of the first *end* bytes of *file*: REWRITTEN or SHRANK.

    None: as far as one can see they are as they were. Raises OSError where it cannot be read.
    """
    if os.fstat(file.fileno()).st_size < end:
        return SHRANK
    return None if digests_of(file, end) == digests else REWRITTEN


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()
