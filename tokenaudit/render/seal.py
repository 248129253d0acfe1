"""A seal over a whole file: the digest of all its bytes, itself as zeros, written into it.

So any flipped byte of an export shows, in its rows, its metadata, or the seal.
"""

import hashlib
from typing import Final

__all__ = ["UNSEALED", "is_intact", "sealed"]

_PREFIX: Final = "sha256:"
_DIGITS: Final = 64
UNSEALED: Final = _PREFIX + "0" * _DIGITS
"""What stands in a file where its seal will be."""


def sealed(data: bytes, *, is_last: bool = False) -> bytes:
    """Return *data* with its digest in the place of UNSEALED: the first such place, or the last."""
    at = data.rfind(UNSEALED.encode()) if is_last else data.find(UNSEALED.encode())
    if at < 0:
        return data
    seal = _PREFIX + hashlib.sha256(data).hexdigest()
    return _with(data, at, seal)


def is_intact(data: bytes, seal: str, *, is_last: bool = False) -> bool:
    """Tell whether *data*, in which *seal* was found, is what was sealed."""
    at = data.rfind(seal.encode()) if is_last else data.find(seal.encode())
    if at < 0 or len(seal) != len(UNSEALED):
        return False
    digest = hashlib.sha256(_with(data, at, UNSEALED)).hexdigest()
    return seal == _PREFIX + digest


def _with(data: bytes, at: int, seal: str) -> bytes:
    return data[:at] + seal.encode() + data[at + len(UNSEALED) :]
