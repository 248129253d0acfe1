"""A report as a workbook, read back by another library."""

import io
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import polars as pl
import pytest
from report_samples import (
    COST,
    DAY,
    FLAG,
    HOSTILE,
    MEASURES,
    PROJECT,
    START,
    TOKENS,
    by_model,
    daily,
    measures,
    report,
    section,
)

from tokenaudit.model.errors import OutputError
from tokenaudit.render import Style, xlsx
from tokenaudit.reports.report import Column, Report, Section, Unit


def book(report_: Report) -> Any:
    return openpyxl.load_workbook(io.BytesIO(xlsx.render(report_, Style())))


def rows(sheet: Any) -> list[tuple[Any, ...]]:
    return list(sheet.iter_rows(values_only=True))


def test_numbers_are_numbers_and_days_are_days() -> None:
    """With the heading of every machine format; nothing is nothing, not zero."""
    columns = (PROJECT, DAY, START, TOKENS[0], COST, FLAG)
    frame = pl.DataFrame(
        {
            "project": ["app", None],
            "day": [date(2026, 3, 2), None],
            "start": [datetime(2026, 3, 2, 13, 5, 1, 250_000, tzinfo=UTC), None],
            "input_tokens": pl.Series([1234, None], dtype=pl.Int128),
            "cost_usd": pl.Series([Decimal("0.100000000001"), None], dtype=pl.Decimal(38, 12)),
            "is_sidechain": [True, None],
        }
    )
    sheet = book(report(Section("usage", "Usage", columns, frame)))["usage"]

    assert rows(sheet) == [
        ("project", "day", "start", "input_tokens", "cost_usd", "is_sidechain"),
        (
            *("app", datetime(2026, 3, 2), datetime(2026, 3, 2, 13, 5, 1, 250_000)),  # noqa: DTZ001
            *(1234, 0.100000000001, True),
        ),
        (None,) * 6,
    ]
    assert [cell.data_type for cell in sheet[2]] == ["s", "d", "d", "n", "n", "b"]


def test_money_is_the_nearest_number_there_is() -> None:
    """Fifteen digits come back as they were; Meta has every digit of the total."""
    costs = ["1234.56789012345", "0.000000000001", "99999999999999.99"]
    frame = pl.DataFrame({"cost_usd": pl.Series(map(Decimal, costs), dtype=pl.Decimal(38, 12))})
    total = Decimal("100000000001234.557890123451")
    found = book(report(Section("usage", "Usage", (COST,), frame, totals={"cost_usd": total})))

    assert [row[0] for row in rows(found["usage"])[1:]] == [float(cost) for cost in costs]
    meta = dict(rows(found["Meta"]))
    assert meta["totals.usage.cost_usd"] == "100000000001234.557890123451"
    assert "some 15 digits" in meta["numbers"]


@pytest.mark.parametrize("name", [*HOSTILE, "=1+1", "+1", "@SUM(A1)", "https://x", "12", "{=1}"])
def test_texts_are_texts(name: str) -> None:
    """Never a formula, a link or a number, on either sheet."""
    hostile = section((PROJECT, *MEASURES), [(name, *measures(1, 2, 3, 4, 5, 6, cost="1"))])
    found = book(report(hostile, notes=(name,)))

    for sheet in found.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f"
                assert cell.hyperlink is None
    assert found["usage"]["A2"].data_type in {"s", "n" if not name else "s"}
    assert found["Meta"]["B1"].data_type == "s"


def test_what_a_cell_cannot_hold_is_said_or_cut() -> None:
    """Long texts end in an ellipsis; days before 1900 are texts; names differ by more than case."""
    columns = (
        Column("text", Unit.TEXT, "Text"),
        Column("Text", Unit.DATE, "Day"),
        Column("TEXT", Unit.TIME, "Time"),
    )
    frame = pl.DataFrame(
        {
            "text": ["x" * 40_000],
            "Text": [date(1, 1, 1)],
            "TEXT": [datetime(1, 1, 1, tzinfo=UTC)],
        }
    )
    heading, row = rows(book(report(Section("meta", "Usage", columns, frame)))["meta 2"])

    assert heading == ("text", "Text 2", "TEXT 3")
    assert row == ("x" * 32_766 + "…", "0001-01-01", "0001-01-01T00:00:00.000Z")


def test_more_rows_than_a_sheet_holds_are_an_error() -> None:
    """Rather than a file that lacks some."""
    frame = pl.DataFrame({"project": pl.repeat("app", 1_048_576, eager=True)})
    with pytest.raises(OutputError, match=r"1,048,576 rows are more than the 1,048,575 of a sheet"):
        xlsx.render(report(Section("usage", "Usage", (PROJECT,), frame)), Style())


def test_other_sections_have_sheets_of_their_own() -> None:
    """Behind Meta, which stands second; a breakdown has its rows by model."""
    parts = [(date(2026, 3, 1), "opus", *measures(1, 2, 3, 4, 5, 6, cost="1"))]
    found = book(report(by_model(daily(1), parts), daily(), daily()))
    assert found.sheetnames == ["usage", "Meta", "usage 2", "usage 3"]
    assert [row[1] for row in rows(found["usage"])] == ["model", "opus"]
    assert [len(rows(found[name])) for name in ("usage 2", "usage 3")] == [4, 4]


def test_without_the_library_it_is_said_how_to_get_it() -> None:
    """One line, no traceback."""
    program = (
        "import sys; sys.modules['xlsxwriter'] = None\n"
        "from tokenaudit.__main__ import main\n"
        "sys.exit(main(['daily', '--demo', '--format', 'xlsx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "tokenaudit: error: xlsx: xlsxwriter is not installed"
    assert "tokenaudit-cli[xlsx]" in done.stderr
