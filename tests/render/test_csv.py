"""A report as CSV."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import (
    COST,
    DURATION,
    FLAG,
    HOSTILE,
    MEASURES,
    PROJECT,
    SESSION,
    START,
    TOKENS,
    by_model,
    daily,
    measures,
    report,
    section,
)

from tokenaudit.render import Style
from tokenaudit.render.csv import render
from tokenaudit.reports.report import Report


def read(report_: Report, *, raw: bool = False) -> list[list[str]]:
    text = render(report_, Style(raw_csv=raw)).decode()
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_the_lines_of_a_report() -> None:
    """A header, plain figures, times in UTC, nothing where there is nothing; lines end in LF."""
    moment = datetime(2026, 3, 2, 13, 5, tzinfo=UTC)
    columns = (PROJECT, START, DURATION, FLAG, TOKENS[0], COST)
    rows = [("app", moment, 61, True, 1_234_567, Decimal("1.5")), (None, None, None, None, 0, None)]

    assert render(report(section(columns, rows), daily()), Style()) == (
        b"project,start,duration_s,is_sidechain,input_tokens,cost_usd\n"
        b"app,2026-03-02T13:05:00.000Z,61,true,1234567,1.50\n"
        b",,,,0,\n"
    )


def test_null_cost_is_not_zero_cost() -> None:
    """An empty cell is no number; a spreadsheet does not count it as zero either."""
    rows = [("a", None), ("b", Decimal(0))]

    assert read(report(section((PROJECT, COST), rows)))[1:] == [["a", ""], ["b", "0.00"]]


def test_a_breakdown_stands_instead_of_its_rows() -> None:
    """So that each figure is there once and columns can be summed."""
    parts = [(date(2026, 3, 1), "opus", *measures(1, 1, 2, 3, 4, 5, cost="2.5"))]

    header, row = read(report(by_model(daily(), parts)))

    assert ["day", "model", *(column.name for column in MEASURES)] == header
    assert row[:3] == ["2026-03-01", "opus", "1"]


@pytest.mark.parametrize("first", "=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20")
def test_no_text_is_a_formula(first: str) -> None:
    """Neither a name nor an id can be run by a spreadsheet."""
    name = f"{first}cmd|' /C calc'!A0"

    (_, (project, session)) = read(report(section((PROJECT, SESSION), [(name, name)])))

    assert "'" == project[0] == session[0]


def test_figures_are_never_defused() -> None:
    """A negative amount is a number, not a formula."""
    assert read(report(section((COST,), [(Decimal("-1.5"),)])))[1:] == [["-1.50"]]


def test_names_keep_to_their_line() -> None:
    """A line feed in a name is shown, so that one row is one line for any tool."""
    lines = render(report(section((PROJECT,), [(name,) for name in HOSTILE])), Style()).splitlines()

    assert 1 + len(HOSTILE) == len(lines)


@given(
    st.lists(
        st.sampled_from(HOSTILE)
        | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
    )
)
def test_raw_texts_are_as_they_were(names: list[str]) -> None:
    """Who asks for raw texts gets them, quoted where they must be."""
    kept = [name for name in names if "\0" not in name]  # Python 3.11 reads no such line

    rows = read(report(section((PROJECT, SESSION), [(name, name) for name in kept])), raw=True)

    assert [[name, name] for name in kept] == rows[1:]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**63 - 1) | st.none(),
            st.decimals(min_value=-(10**20), max_value=10**20, places=12) | st.none(),
        )
    )
)
def test_what_is_read_back_is_equal(rows: list[tuple[int | None, Decimal | None]]) -> None:
    """No digit is lost, and nothing is written as a float."""
    read_back = read(report(section((TOKENS[0], COST), rows)))[1:]

    assert rows == [
        (int(tokens) if tokens else None, Decimal(cost) if cost else None)
        for tokens, cost in read_back
    ]
