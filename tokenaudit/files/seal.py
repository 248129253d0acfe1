"""A seal over a whole file: the digest of all its bytes, itself as zeros, written into it.

So any flipped byte of an export shows, in its rows, its metadata, or the seal.
"""

import hashlib
import re
from typing import Final

__all__ = ["UNSEALED", "is_intact", "last_seal", "sealed"]

_PREFIX: Final = "sha256:"
_DIGITS: Final = 64
UNSEALED: Final = _PREFIX + "0" * _DIGITS
"""What stands in a file where its seal will be."""
_SEAL: Final = re.compile(rb"sha256:[0-9a-f]{%d}" % _DIGITS)


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


def last_seal(data: bytes) -> str | None:
    """Return the last text in *data* that looks like a seal; None where there is none.

    It is found without reading the file's format, which damage can make dangerous to read.
    """
    found = _SEAL.findall(data)
    return found[-1].decode() if found else None


def _with(data: bytes, at: int, seal: str) -> bytes:
    return data[:at] + seal.encode() + data[at + len(UNSEALED) :]
