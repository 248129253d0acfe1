"""Periods of days as users write them."""

from datetime import date

import pytest

from tokenaudit.cli.periods import find_span, parse_span
from tokenaudit.model.errors import UsageError

TODAY = date(2026, 3, 4)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026", "2026-01-01", "2026-12-31"),
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-12", "2026-12-01", "2026-12-31"),
        ("2026-W09", "2026-02-23", "2026-03-01"),
        ("2026-w01", "2025-12-29", "2026-01-04"),
        ("2026-03-02", "2026-03-02", "2026-03-02"),
        ("20260302", "2026-03-02", "2026-03-02"),
        ("2026-03-01..2026-03-07", "2026-03-01", "2026-03-07"),
        ("2026-03-01..", "2026-03-01", "2026-03-04"),
        ("today", "2026-03-04", "2026-03-04"),
        ("Yesterday", "2026-03-03", "2026-03-03"),
        ("this-week", "2026-03-02", "2026-03-08"),
        ("last-week", "2026-02-23", "2026-03-01"),
        ("this-month", "2026-03-01", "2026-03-31"),
        ("last-month", "2026-02-01", "2026-02-28"),
        ("7d", "2026-02-26", "2026-03-04"),
    ],
)
def test_a_period_is_days_from_the_first_to_the_last(text: str, since: str, until: str) -> None:
    span = parse_span(text, TODAY, 0, option="PERIOD")

    assert (span.since.isoformat(), span.until.isoformat()) == (since, until)


def test_weeks_start_when_the_user_says() -> None:
    assert parse_span("this-week", TODAY, 6, option="PERIOD").since == date(2026, 3, 1)


@pytest.mark.parametrize(
    "text",
    ["", "2026-13", "2026-W54", "2026-02-30", "soon", "0d", "..", "msg_1", "999999d", "0000"],
)
def test_anything_else_is_no_period(text: str) -> None:
    assert find_span(text, TODAY, 0) is None
    with pytest.raises(UsageError, match="PERIOD: not a period"):
        parse_span(text, TODAY, 0, option="PERIOD")


def test_a_period_cannot_end_before_it_begins() -> None:
    with pytest.raises(UsageError, match="ends before it begins"):
        parse_span("2026-03-02..2026-03-01", TODAY, 0, option="PERIOD")
