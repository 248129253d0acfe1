"""What a user may write for a day; pure: today is an argument."""

import re
from datetime import date, timedelta

from tokenaudit.model.errors import UsageError

__all__ = ["parse_day"]

_AGO = re.compile(r"(\d{1,5})([dwm])", re.ASCII)


def parse_day(text: str, today: date, start_of_week: int, *, option: str) -> date:
    """Return the day that *text* means.

    `2026-03-01`, `20260301`, `2026-03` (its first day), `today`, `yesterday`, `7d`, `2w`, `3m` (as
    far back), `this-week`, `last-week`, `this-month`, `last-month` (their first days). The week starts
    on weekday *start_of_week*, Monday being 0. Raises UsageError naming *option* for anything else.
    """
    word = text.strip().lower()
    monday = today - timedelta(days=(today.weekday() - start_of_week) % 7)
    first = today.replace(day=1)
    named = {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "this-week": monday,
        "last-week": monday - timedelta(days=7),
        "this-month": first,
        "last-month": _months_before(first, 1),
    }
    found = named.get(word) or _ago(word, today) or _written(word)
    if found is None:
        raise UsageError(
            f"{option}: not a day: {text}",
            hint="Write 2026-03-01, 20260301, today, yesterday, 7d, this-week or this-month.",
        )
    return found


def _written(word: str) -> date | None:
    if re.fullmatch(r"\d{4}-\d{2}", word):
        word += "-01"
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{8}", word):
        return None
    try:
        return date.fromisoformat(word)
    except ValueError:
        return None


def _ago(word: str, today: date) -> date | None:
    match = _AGO.fullmatch(word)
    if not match:
        return None
    number = int(match[1])
    try:
        if match[2] == "m":
            return _months_before(today, number)
        return today - timedelta(days=number * (7 if match[2] == "w" else 1))
    except (OverflowError, ValueError):
        return None


def _months_before(day: date, months: int) -> date:
    """Return the day that many months earlier, or the month's last where it has no such day."""
    count = day.year * 12 + day.month - 1 - months
    first = date(count // 12, count % 12 + 1, 1)
    following = date((count + 1) // 12, (count + 1) % 12 + 1, 1)
    return min(first.replace(day=1) + timedelta(days=day.day - 1), following - timedelta(days=1))
