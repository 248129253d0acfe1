"""Values as words for people."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from report_samples import (
    COST,
    DAY,
    DURATION,
    FLAG,
    MEASURES,
    PROJECT,
    SESSION,
    START,
    TITLE,
    by_model,
    daily,
    measures,
    section,
    total,
)

from tokenaudit.render.cells import CellLine, Role, Words, Writing, cut_rows, format_duration
from tokenaudit.reports.report import Bound, Column, Section, Unit

VIENNA = Writing(ZoneInfo("Europe/Vienna"))


def cells(section_: Section, writing: Writing = VIENNA) -> list[tuple[str, ...]]:
    return [line.cells for line in Words(section_, writing).lines()]


def test_exact_and_short_figures() -> None:
    """Tokens alone have a short form: responses and cost are always whole."""
    one = section(
        (DAY, *MEASURES), [(date(2026, 3, 2), *measures(1234, 1, 2, 3_456_789, 0, 0, cost="1.5"))]
    )
    short = Writing(VIENNA.zone, exact=False)

    assert cells(one) == [
        ("2026-03-02", "1,234", "1", "2", "3,456,789", "0", "0", "3,456,792", "$1.50", "0")
    ]
    assert cells(one, short) == [
        ("2026-03-02", "1,234", "1", "2", "3.5M", "0", "0", "3.5M", "$1.50", "0")
    ]


@pytest.mark.parametrize(
    ("cost", "unpriced", "words"),
    [
        (None, 3, "—"),
        ("0", 0, "$0.00"),
        ("0.000000000001", 0, "<$0.01"),
        ("1.2", 0, "$1.20"),
        ("1.2", 3, "≥ $1.20"),
        ("0", 3, "≥ $0.00"),
        ("1355.82", 0, "$1,355.82"),
    ],
)
def test_a_cost_says_how_far_it_can_be_trusted(cost: str | None, unpriced: int, words: str) -> None:
    """Nothing priced, truly free, and at least so much are three different things."""
    one = section(
        (PROJECT, *MEASURES), [("app", *measures(5, 1, 1, 1, 1, 1, cost=cost, unpriced=unpriced))]
    )

    assert words == cells(one)[0][-2]


def test_a_total_with_unpriced_responses_is_a_lower_bound() -> None:
    """So is each part by model that has them."""
    parts = [(date(2026, 3, 1), "m", *measures(1, 1, 1, 1, 1, 1, cost="2", unpriced=1))]
    totals = total(cost_usd=Decimal(7), unpriced_responses=1)
    one = section(
        (DAY, *MEASURES), [(date(2026, 3, 1), *measures(1, 1, 1, 1, 1, 1, cost="7"))], totals
    )

    assert [row[-2] for row in cells(by_model(one, parts))] == ["$7.00", "≥ $2.00", "≥ $7.00"]


def test_a_recorded_cost_is_no_lower_bound() -> None:
    """What Claude Code wrote down itself knows nothing of the rate card."""
    recorded = Column("recorded_usd", Unit.USD, "Recorded")
    unpriced = MEASURES[-1]
    one = section((PROJECT, COST, recorded, unpriced), [("app", Decimal(1), Decimal(2), 4)])

    assert cells(one) == [("app", "≥ $1.00", "$2.00", "4")]


def test_of_a_budget_what_is_used_is_the_least_and_what_is_left_the_most() -> None:
    """Where something is unpriced; the amount itself is what it is."""
    columns = (
        Column("amount_usd", Unit.USD, "Amount"),
        COST,
        Column("used_percent", Unit.PERCENT, "Share", bound=Bound.LEAST),
        Column("left_usd", Unit.USD, "Left", bound=Bound.MOST),
        MEASURES[-1],
    )
    rows = [
        (Decimal(8), Decimal(5), 62.5, Decimal(3), 2),
        (Decimal(4), Decimal(5), 125.0, Decimal(-1), 1),
        (Decimal(8), Decimal(5), 62.5, Decimal(3), 0),
    ]
    ascii_only = Writing(VIENNA.zone, unicode=False)

    assert cells(section(columns, rows)) == [
        ("$8.00", "≥ $5.00", "≥ 62.5%", "≤ $3.00", "2"),
        ("$4.00", "≥ $5.00", "≥ 125.0%", "≤ -$1.00", "1"),
        ("$8.00", "$5.00", "62.5%", "$3.00", "0"),
    ]
    assert cells(section(columns, rows[:1]), ascii_only) == [
        ("$8.00", ">= $5.00", ">= 62.5%", "<= $3.00", "2")
    ]


def test_what_is_missing_is_said() -> None:
    """A dimension without a time is undated; any other missing value is a dash."""
    columns = (DAY, SESSION, TITLE, START, DURATION)
    one = section(columns, [(None, None, None, None, None)], dimensions=("day", "session_id"))

    assert cells(one) == [("undated", "—", "—", "—", "—")]


def test_flags_are_words() -> None:
    """And a flag that nobody raised is none."""
    assert cells(section((FLAG,), [(True,), (False,), (None,)])) == [("yes",), ("no",), ("—",)]


def test_times_are_those_of_the_report_s_zone() -> None:
    """The zone is the report's, whatever the machine's is; summer time included."""
    rows = [(datetime(2026, month, 2, 13, 5, 59, tzinfo=UTC),) for month in (1, 7)]

    assert cells(section((START,), rows)) == [("2026-01-02 14:05",), ("2026-07-02 15:05",)]


def test_parts_stand_below_their_row() -> None:
    """Each model follows the day that it is a part of, also the day that is none."""
    zeros = measures(1, 0, 0, 0, 0, 0, cost="0")
    one = section((DAY, *MEASURES), [(date(2026, 3, 1), *zeros), (None, *zeros)], total())
    split = by_model(
        one,
        [(None, "b", *zeros), (date(2026, 3, 1), "a", *zeros), (date(2026, 3, 1), None, *zeros)],
    )

    assert [(line.role, line.cells[0]) for line in Words(split, VIENNA).lines()] == [
        (Role.ROW, "2026-03-01"),
        (Role.PART, "└ a"),
        (Role.PART, "└ no model named"),
        (Role.ROW, "undated"),
        (Role.PART, "└ b"),
        (Role.TOTALS, "Total"),
    ]


def test_totals_leave_names_blank() -> None:
    """A total has no title; a figure that it lacks has no cell, one that is null has a dash."""
    one = section(
        (SESSION, TITLE, START, *MEASURES),
        [],
        {"session_id": None, "responses": 3, "cost_usd": None, "total_tokens": 4},
    )

    assert [
        CellLine(Role.TOTALS, ("Total", "", "", "3", "", "", "", "", "", "4", "—", "")),
    ] == Words(one, VIENNA).lines()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (725, "12m 05s"),
        (3599.9, "1h 00m"),
        (18_420, "5h 07m"),
        (86_400 * 3 + 3600 * 4, "3d 04h"),
        (Decimal("61.5"), "1m 02s"),
    ],
)
def test_durations_are_written_by_their_two_largest_units(seconds: float, words: str) -> None:
    """No unit is ever written as sixty of the next smaller."""
    assert words == format_duration(seconds)


def test_rows_that_a_limit_left_out_are_counted() -> None:
    """Where there are totals, they hold them all the same."""
    assert cut_rows(daily(), VIENNA) is None
    assert cut_rows(section((DAY,), [], cut_rows=1), VIENNA) == "… 1 more row"
    assert (
        cut_rows(daily(cut_rows=1200), Writing(VIENNA.zone, unicode=False))
        == "... 1,200 more rows, counted in the totals"
    )
