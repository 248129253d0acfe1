"""How single values are read: counts (R9) and texts; times are R8's. Pure; nothing here knows a line."""

import re
from typing import Final

from tokenaudit.transcripts.wire import LARGEST_COUNT

__all__ = ["BadCountError", "count", "text"]

_DIGITS: Final = re.compile(r"\s*\+?\d{1,20}\s*", re.ASCII)


class BadCountError(ValueError):
    """A value that is no count; its text says what is wrong."""


def count(value: object) -> int:
    """Read a count of tokens: a whole number from 0 to 2**53 - 1.

    `12.0` and `"12"` are accepted as 12 (R9). Raises BadCountError on anything else.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadCountError("missing" if value is None else "not a whole number")
    if value < 0:
        raise BadCountError("negative")
    if value > LARGEST_COUNT:
        raise BadCountError("too large")
    return value


def text(value: object) -> str | None:
    """Return *value* if it is a text that UTF-8 can hold, with lone surrogates replaced; else None."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode("utf-8")
