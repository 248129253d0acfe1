"""What a user may write for a period of days; pure: today is an argument."""

import re
from datetime import date, timedelta
from typing import Final, NamedTuple

from tokenaudit.cli.days import parse_day
from tokenaudit.model.errors import UsageError

__all__ = ["Span", "find_span", "parse_span"]

_WEEK: Final = re.compile(r"(\d{4})-w(\d{2})", re.ASCII)
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_YEAR: Final = re.compile(r"(\d{4})", re.ASCII)
_LAST_DAYS: Final = re.compile(r"(\d{1,5})d", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d|\d{8}|today|yesterday", re.ASCII)
_NAMED: Final = {"this-week": 7, "last-week": 7, "this-month": None, "last-month": None}
_HINT: Final = "Write 2026-02, 2026-W09, 2026-03-02, 2026-03-01..2026-03-07, today, this-week, last-month or 7d."


class Span(NamedTuple):
    """Days from the first to the last, both included."""

    since: date
    until: date


def parse_span(text: str, today: date, start_of_week: int, *, option: str) -> Span:
    """Return the days that *text* means.

    `2026` (a year), `2026-02`, `2026-W09` (of ISO 8601, from Monday), `2026-03-02`, `20260302`,
    `2026-03-01..2026-03-07` (the last day may be left out: today), `today`, `yesterday`, `this-week`,
    `last-week`, `this-month`, `last-month`, `7d` (the last seven days, today included). Weeks that are
    named so start on weekday *start_of_week*, Monday being 0. Raises UsageError naming *option* for
    anything else.
    """
    found = find_span(text, today, start_of_week)
    if found is None:
        raise UsageError(f"{option}: not a period: {text}", hint=_HINT)
    if found.since > found.until:
        raise UsageError(f"{option}: ends before it begins: {text}")
    return found


def find_span(text: str, today: date, start_of_week: int) -> Span | None:
    """Return the days that *text* means, as for `parse_span`; None where it means none."""
    word = text.strip().lower()
    try:
        return _calendar(word) or _relative(word, today, start_of_week)
    except (ValueError, OverflowError, UsageError):  # no such week, month or day
        return None


def _calendar(word: str) -> Span | None:
    if match := _WEEK.fullmatch(word):
        monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
        return Span(monday, monday + timedelta(days=6))
    if match := _MONTH.fullmatch(word):
        return _month(date(int(match[1]), int(match[2]), 1))
    if match := _YEAR.fullmatch(word):
        return Span(date(int(match[1]), 1, 1), date(int(match[1]), 12, 31))
    return None


def _relative(word: str, today: date, start_of_week: int) -> Span | None:
    def day(text: str) -> date:
        return parse_day(text, today, start_of_week, option="")

    first, dots, last = word.partition("..")
    if dots:
        return Span(day(first), day(last) if last else today)
    if match := _LAST_DAYS.fullmatch(word):
        return Span(today - timedelta(days=int(match[1]) - 1), today) if int(match[1]) else None
    if _DAY.fullmatch(word):
        return Span(day(word), day(word))
    if word in _NAMED:
        start, days = day(word), _NAMED[word]
        return Span(start, start + timedelta(days=days - 1)) if days else _month(start)
    return None


def _month(first: date) -> Span:
    following = (first + timedelta(days=31)).replace(day=1)
    return Span(first, following - timedelta(days=1))
