"""What may be written for a day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenaudit.cli.days import parse_day
from tokenaudit.model.errors import UsageError

MONDAY, SATURDAY, SUNDAY = 0, 5, 6
WEDNESDAY = date(2026, 3, 18)
"""The day on which the words below are said; its month began on a Sunday."""


def parsed(text: str, today: date = WEDNESDAY, start_of_week: int = MONDAY) -> date:
    return parse_day(text, today, start_of_week, option="--since")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        # written out
        ("2026-03-01", date(2026, 3, 1)),
        ("20260301", date(2026, 3, 1)),
        ("2026-03", date(2026, 3, 1)),
        ("2028-02-29", date(2028, 2, 29)),
        ("20280229", date(2028, 2, 29)),
        ("0001-01-01", date(1, 1, 1)),
        ("9999-12-31", date(9999, 12, 31)),
        # words
        ("today", date(2026, 3, 18)),
        ("yesterday", date(2026, 3, 17)),
        ("this-week", date(2026, 3, 16)),
        ("last-week", date(2026, 3, 9)),
        ("this-month", date(2026, 3, 1)),
        ("last-month", date(2026, 2, 1)),
        # as far back
        ("0d", date(2026, 3, 18)),
        ("1d", date(2026, 3, 17)),
        ("7d", date(2026, 3, 11)),
        ("18d", date(2026, 2, 28)),
        ("0w", date(2026, 3, 18)),
        ("2w", date(2026, 3, 4)),
        ("0m", date(2026, 3, 18)),
        ("3m", date(2025, 12, 18)),
        ("12m", date(2025, 3, 18)),
        ("27m", date(2023, 12, 18)),
        ("007d", date(2026, 3, 11)),
        # as people type
        ("Today", date(2026, 3, 18)),
        (" LAST-MONTH ", date(2026, 2, 1)),
        ("7D", date(2026, 3, 11)),
    ],
)
def test_each_form_is_a_day(text: str, day: date) -> None:
    """Dates, months, words and distances."""
    assert day == parsed(text)


@pytest.mark.parametrize(
    ("today", "start_of_week", "first", "last"),
    [
        (date(2026, 3, 16), MONDAY, date(2026, 3, 16), date(2026, 3, 9)),
        (date(2026, 3, 22), MONDAY, date(2026, 3, 16), date(2026, 3, 9)),
        (date(2026, 3, 21), SUNDAY, date(2026, 3, 15), date(2026, 3, 8)),
        (date(2026, 3, 22), SUNDAY, date(2026, 3, 22), date(2026, 3, 15)),
        (date(2026, 3, 20), SATURDAY, date(2026, 3, 14), date(2026, 3, 7)),
        (date(2026, 1, 1), MONDAY, date(2025, 12, 29), date(2025, 12, 22)),
        (date(2028, 3, 1), SUNDAY, date(2028, 2, 27), date(2028, 2, 20)),
    ],
)
def test_weeks_start_on_the_day_that_was_set(
    today: date, start_of_week: int, first: date, last: date
) -> None:
    """Over the ends of months and years too; the start itself belongs to its week."""
    assert first == parsed("this-week", today, start_of_week)
    assert last == parsed("last-week", today, start_of_week)


@pytest.mark.parametrize(
    ("today", "text", "day"),
    [
        (date(2026, 3, 31), "1m", date(2026, 2, 28)),
        (date(2028, 3, 31), "1m", date(2028, 2, 29)),
        (date(2026, 3, 29), "1m", date(2026, 2, 28)),
        (date(2026, 7, 31), "1m", date(2026, 6, 30)),
        (date(2026, 8, 31), "1m", date(2026, 7, 31)),
        (date(2026, 1, 31), "1m", date(2025, 12, 31)),
        (date(2026, 12, 31), "1m", date(2026, 11, 30)),
        (date(2028, 2, 29), "12m", date(2027, 2, 28)),
        (date(2028, 2, 29), "48m", date(2024, 2, 29)),
        (date(2026, 2, 28), "1m", date(2026, 1, 28)),
        (date(2028, 3, 1), "yesterday", date(2028, 2, 29)),
        (date(2026, 1, 1), "yesterday", date(2025, 12, 31)),
        (date(2026, 1, 31), "last-month", date(2025, 12, 1)),
        (date(2026, 3, 31), "last-month", date(2026, 2, 1)),
        (date(2026, 3, 31), "this-month", date(2026, 3, 1)),
        (date(2028, 3, 1), "1d", date(2028, 2, 29)),
        (date(2028, 3, 7), "1w", date(2028, 2, 29)),
    ],
)
def test_months_have_different_ends(today: date, text: str, day: date) -> None:
    """Where the earlier month has no such day, its last one is meant."""
    assert day == parsed(text, today)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "tomorrow",
        "next-week",
        "this-year",
        "monday",
        "2026",
        "2026-3-1",
        "2026-3",
        "26-03-01",
        "2026/03/01",
        "01.03.2026",
        "2026-13",
        "2026-00",
        "2026-13-01",
        "2026-02-29",
        "2026-02-30",
        "20260229",
        "20261301",
        "0000-01-01",
        "2026-03-01T12:00:00Z",
        "2026-W10",
        "2026-061",
        "7",
        "d",
        "-7d",
        "+7d",
        "1.5d",
        "7 d",
        "7days",
        "7h",
        "1y",
        "99999m",
        "100000d",
        "7d\x00",
        "\u0667d",
        "\u0662\u0660\u0662\u0666-03-01",
    ],
    ids=ascii,
)
def test_what_is_no_day_is_an_error_of_the_option(text: str) -> None:
    """It names the option and what was written, and says what could be."""
    with pytest.raises(UsageError) as caught:
        parse_day(text, WEDNESDAY, MONDAY, option="--until")

    assert f"--until: not a day: {text}" == str(caught.value)
    assert caught.value.hint is not None
    assert "2026-03-01" in caught.value.hint


def test_a_distance_beyond_the_calendar_is_an_error() -> None:
    """There are no days before the year 1."""
    for text in ("99999w", "99999m"):
        with pytest.raises(UsageError):
            parsed(text, date(1900, 1, 1))


@given(st.dates(), st.dates(date(2000, 1, 1)), st.integers(MONDAY, SUNDAY))
def test_an_iso_date_is_that_date(day: date, today: date, start_of_week: int) -> None:
    """In both its forms, whatever day it is; without a day it is the first of the month."""
    assert day == parsed(day.isoformat(), today, start_of_week)
    assert day == parsed(day.isoformat().replace("-", ""), today, start_of_week)
    assert day.replace(day=1) == parsed(day.isoformat()[:7], today, start_of_week)


@given(st.dates(date(2000, 1, 1)), st.integers(0, 9999))
def test_days_and_weeks_back_are_counted(today: date, number: int) -> None:
    """Seven days make a week."""
    assert today - timedelta(days=number) == parsed(f"{number}d", today)
    assert parsed(f"{7 * number}d", today) == parsed(f"{number}w", today)


@given(st.dates(date(2000, 1, 1)), st.integers(0, 11_000))
def test_months_back_are_counted(today: date, number: int) -> None:
    """The month is that many earlier, and the day the same or the last there is."""
    day = parsed(f"{number}m", today)
    following = day + timedelta(days=1) if day < date.max else date.max

    assert number == (today.year - day.year) * 12 + today.month - day.month
    assert day.day == today.day or (day.day < today.day and following.day == 1)


@given(st.dates(date(2000, 1, 1)), st.integers(MONDAY, SUNDAY))
def test_this_week_holds_today(today: date, start_of_week: int) -> None:
    """It starts on its weekday, at most six days ago; the week before it seven days earlier."""
    first = parsed("this-week", today, start_of_week)

    assert start_of_week == first.weekday()
    assert 0 <= (today - first).days < 7
    assert first - timedelta(days=7) == parsed("last-week", today, start_of_week)


@given(st.text(st.characters()) | st.text("0123456789-dwm", max_size=12))
def test_any_text_is_a_day_or_an_error(text: str) -> None:
    """Nothing that is typed ends in another way."""
    day: date | None
    try:
        day = parsed(text)
    except UsageError:
        day = None

    assert isinstance(day, date | None)
