"""R8: when a response was, and how a time is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["earlier", "earlier_written", "micros"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR: Final = 2
_LAST_YEAR: Final = 9998
"""In the years around them the day, week or month of a time may lie outside the calendar."""
_MICROSECOND: Final = timedelta(microseconds=1)
_USUAL: Final = len("2026-03-02T09:00:00.000Z")
# Compiled when they are first needed, which is hardly ever: that takes longer than all other imports.
_EPOCH_FORM: Final = r"\s*\d{9,19}(\.\d+)?\s*"
_END_OF_DAY: Final = r"^(.*?)[T ]24:00(:00(\.0+)?)?([Z+-].*)?$"
_LEAP_SECOND: Final = r"^(.*:\d\d):60(\.\d+)?(.*)$"


def earlier(one: int | None, other: int | None) -> int | None:
    """Return the earlier of two times of a response, which is its own; what has none is no time."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def earlier_written(one: str | None, other: str | None) -> str | None:
    """Return the earlier of two times as lines write them; one that cannot be read is later."""
    if one is None or other is None or one == other:
        return one or other
    if len(one) == len(other) == _USUAL and one[-1] == other[-1] == "Z":
        first = min(one, other)  # as texts, in a sixth of the time that reading both takes
        if _is_usual(first):
            return first
    known, later = micros(one), micros(other)
    return other if known is None or (later is not None and later < known) else one


def micros(value: object) -> int | None:
    """Read a time as microseconds since 1970 in UTC; None where no ISO 8601 or epoch form fits.

    A time without a zone is taken as UTC. Epochs may be in seconds, milliseconds, microseconds or
    nanoseconds: the one that falls after 1973 and before 2300. Years 1 and 9999 are no times: their
    days have no place in the calendar of every zone.
    """
    if isinstance(value, str):
        # Some epochs would pass for dates of the year 1712: only a dash tells.
        if value[4:5] == "-" or not re.fullmatch(_EPOCH_FORM, value, re.ASCII):
            moment = _from_iso(value)
            return None if moment is None else (moment - _EPOCH) // _MICROSECOND
        value = float(value) if "." in value else int(value)
    if not isinstance(value, int | float):
        return None
    return _from_epoch(value)


def _is_usual(value: str) -> bool:
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
    if match := re.match(_END_OF_DAY, value, re.ASCII):
        value, later = f"{match[1]}T00:00{match[4] or ''}", timedelta(days=1)
    elif match := re.match(_LEAP_SECOND, value, re.ASCII):
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
