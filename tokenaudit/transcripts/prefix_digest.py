"""Tells whether a transcript still begins as it did when it was read: by a digest of each block of it.

A file has blocks of `DIGESTED` bytes from its beginning on; what was read of it is as many of these as fit,
and what is left. A digest is taken while a file is read, at a fiftieth of what reading costs.
"""

import os
from typing import BinaryIO, Final

from xxhash import xxh3_64, xxh3_64_intdigest

__all__ = [
    "DIGESTED",
    "REWRITTEN",
    "SHRANK",
    "Digester",
    "Digests",
    "ends_alike",
    "fate_of",
    "joined",
    "started",
]

REWRITTEN: Final = "rewritten"
SHRANK: Final = "shrank"

DIGESTED: Final = 1 << 18
"""Bytes of a block that has a digest of its own."""

Digests = list[int]
"""The digest, 64 bits of XXH3, of each block of what has been read of a file; the last may be a short one."""


class Digester:
    """Takes the digests of what is read, one piece after another."""

    def __init__(self, before: bytes = b"") -> None:
        """Go on behind *before*: what stands in the block in which reading starts, ahead of it."""
        self._whole: Digests = []
        self._block = xxh3_64(before)
        self._room = DIGESTED - len(before)

    def add(self, data: bytes | memoryview) -> None:
        """Take in what was read next."""
        rest = memoryview(data)
        while len(rest) >= self._room:
            self._block.update(rest[: self._room])
            self._whole.append(self._block.intdigest())
            rest, self._room = rest[self._room :], DIGESTED
            self._block.reset()
        self._block.update(rest)
        self._room -= len(rest)

    def digests(self) -> Digests:
        """Return those of all blocks from the one in which reading started on."""
        return [*self._whole, self._block.intdigest()] if self._room < DIGESTED else [*self._whole]


def started(file: BinaryIO, start: int) -> bytes:
    """Return what of *file* stands ahead of *start* in its block. Raises OSError."""
    size = start % DIGESTED
    if not size:
        return b""
    file.seek(start - size)
    return file.read(size)


def joined(before: Digests, start: int, digests: Digests) -> Digests:
    """Return the digests of what was read up to *start*, and of what was read from there on."""
    return [*before[: start // DIGESTED], *digests]


def fate_of(file: BinaryIO, digests: Digests, end: int) -> str | None:
    """Return what became of the first *end* bytes of *file*, all of which are read: REWRITTEN or SHRANK.

    None: they are as they were. Raises OSError where it cannot be read.
    """
    return _fate(file, digests, end, 0)


def ends_alike(file: BinaryIO, digests: Digests, end: int) -> bool:
    """Tell whether the last block of the first *end* bytes of *file* is as it was; no other is read.

    A file that something was put into, or taken from, seldom is. Raises OSError.
    """
    return _fate(file, digests, end, max(len(digests) - 1, 0)) is None


def _fate(file: BinaryIO, digests: Digests, end: int, first: int) -> str | None:
    if os.fstat(file.fileno()).st_size < end:
        return SHRANK
    file.seek(first * DIGESTED)
    buffer = bytearray(DIGESTED)
    view = memoryview(buffer)
    for number in range(first, len(digests)):
        size = _filled(file, view[: end - number * DIGESTED])
        if size < min(DIGESTED, end - number * DIGESTED):
            return SHRANK  # just now: it was longer when it was opened
        if xxh3_64_intdigest(view[:size]) != digests[number]:
            return REWRITTEN
    return None


def _filled(file: BinaryIO, view: memoryview) -> int:
    """Read into *view* as far as there is anything; return how many bytes that was."""
    size = 0
    while size < len(view) and (read := file.readinto(view[size:])):  # type: ignore[attr-defined]
        size += read
    return size
