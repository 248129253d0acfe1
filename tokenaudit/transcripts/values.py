"""How single values are read: counts (R9), times (R8) and texts. Pure; nothing here knows a line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tokenaudit.transcripts.wire import LARGEST_COUNT

__all__ = ["BadCountError", "count", "is_time", "micros", "text"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR: Final = 2
_LAST_YEAR: Final = 9998
"""In the years around them the day, week or month of a time may lie outside the calendar."""
_MICROSECOND: Final = timedelta(microseconds=1)
_DIGITS: Final = re.compile(r"\s*\+?\d{1,20}\s*", re.ASCII)
_EPOCH_FORM: Final = re.compile(r"\s*\d{9,19}(\.\d+)?\s*", re.ASCII)
_END_OF_DAY: Final = re.compile(r"^(.*?)[T ]24:00(:00(\.0+)?)?([Z+-].*)?$", re.ASCII)
_LEAP_SECOND: Final = re.compile(r"^(.*:\d\d):60(\.\d+)?(.*)$", re.ASCII)


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


def micros(value: object) -> int | None:
    """Read a time as microseconds since 1970 in UTC; None where no ISO 8601 or epoch form fits (R8).

    A time without a zone is taken as UTC. Epochs may be in seconds, milliseconds, microseconds or
    nanoseconds: the one that falls after 1973 and before 2300. Years 1 and 9999 are no times: their
    days have no place in the calendar of every zone.
    """
    if isinstance(value, str):
        # Some epochs would pass for dates of the year 1712: only a dash tells.
        if value[4:5] == "-" or not _EPOCH_FORM.fullmatch(value):
            moment = _from_iso(value)
            return None if moment is None else (moment - EPOCH) // _MICROSECOND
        value = float(value) if "." in value else int(value)
    if not isinstance(value, int | float):
        return None
    return _from_epoch(value)


def is_time(value: str) -> bool:
    """Tell whether *value* is a time in the form that is usual; any other form may be one too."""
    try:
        return _FIRST_YEAR <= datetime.fromisoformat(value).year <= _LAST_YEAR
    except ValueError:
        return False


def _from_iso(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return _from_odd_iso(value.strip().upper())
    return _in_utc(moment)


def _from_odd_iso(value: str) -> datetime | None:
    """Read the forms that ISO 8601 allows and `fromisoformat` refuses: 24:00, :60, `z`, blanks around."""
    later = timedelta()
    if match := _END_OF_DAY.match(value):
        value, later = f"{match[1]}T00:00{match[4] or ''}", timedelta(days=1)
    elif match := _LEAP_SECOND.match(value):
        value, later = f"{match[1]}:59{match[2] or ''}{match[3]}", timedelta(seconds=1)
    try:
        moment = datetime.fromisoformat(value) + later
    except (ValueError, OverflowError):
        return None
    return _in_utc(moment)


def _in_utc(moment: datetime) -> datetime | None:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _from_epoch(value: float) -> int | None:
    for per_second in (1, 10**3, 10**6, 10**9):
        if 10**8 * per_second <= value < 10**10 * per_second:
            if isinstance(value, int):
                return value * 10**6 // per_second
            return round(value * 10**6 / per_second)
    return None
