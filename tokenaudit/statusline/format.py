"""Writes money, tokens and times as reports do, without what reports import."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenaudit.statusline.usage_cache import Sum

__all__ = ["clock", "least", "money", "short", "usd"]

_PICO = 10**12
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S

_WEEKDAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
"""From the first day of 1970 on."""


def usd(used: Sum, amount: int | None = None, *, is_all: bool) -> str:
    """Write the cost of what was *used*, or an *amount* made of it.

    It is the least it can be where something is unpriced or could not be read yet.
    """
    if used.responses and used.unpriced == used.responses:
        return "n/a"
    return f"{least(used, is_all=is_all)}{money(used.cost if amount is None else amount)}"


def least(used: Sum, *, is_all: bool) -> str:
    """Return the sign of a lower bound where something *used* is unpriced or could not be read yet."""
    return "" if is_all and not used.unpriced else "≥ "


def money(picodollars: int) -> str:
    """Write US dollars as reports do: `$1.23`, `<$0.01`."""
    if 0 < picodollars < _PICO // 100:
        return "<$0.01"
    cents, rest = divmod(picodollars, _PICO // 100)
    twice = rest * 2
    cents += twice > _PICO // 100 or (twice == _PICO // 100 and cents % 2 == 1)
    return f"${cents // 100:,}.{cents % 100:02}"


def short(tokens: int) -> str:
    """Write a count of tokens or the size of a window: `200k`, `1M`, `1.5k`."""
    for size, sign in ((10**6, "M"), (10**3, "k")):
        if tokens >= size:
            whole, rest = divmod(tokens, size)
            tenth = rest * 10 // size
            return f"{whole}.{tenth}{sign}" if tenth else f"{whole}{sign}"
    return str(tokens)


def clock(at: int, now: int, offsets: Sequence[Sequence[int]]) -> str:
    """Write a time of the week around *now*, both in seconds: `14:00`, on another day `Thu 14:00`.

    Nothing where it is further away, or the zone is not known.
    """
    if abs(at - now) > 7 * _DAY_S or not offsets or at < offsets[0][0]:
        return ""
    nearest = (at + 30) // 60 * 60
    today = (now + _offset(now, offsets)) // _DAY_S
    day, second = divmod(nearest + _offset(nearest, offsets), _DAY_S)
    text = f"{second // _HOUR_S:02}:{second % _HOUR_S // 60:02}"
    return text if day == today else f"{_WEEKDAYS[day % 7]} {text}"


def _offset(at: int, offsets: Sequence[Sequence[int]]) -> int:
    """Return by how many seconds the zone is ahead of UTC at that time."""
    return next((offset for since, offset in reversed(offsets) if since <= at), 0)
