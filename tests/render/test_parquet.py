"""A report as a Parquet file."""

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from report_samples import (
    COST,
    DAY,
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
from tokenaudit.render.parquet import render
from tokenaudit.reports.report import Column, Report, Section, Unit


def read(report_: Report) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(render(report_, Style())))


def test_columns_have_types() -> None:
    """Also where a frame has no value to tell them from, or another type for the same thing."""
    columns = (SESSION, DAY, START, DURATION, FLAG, TOKENS[0], COST)
    nothing = pl.DataFrame({column.name: [None] for column in columns})

    assert {
        "session_id": pl.String,
        "day": pl.Date,
        "start": pl.Datetime("us", "UTC"),
        "duration_s": pl.Int64,
        "is_sidechain": pl.Boolean,
        "input_tokens": pl.Int64,
        "cost_usd": pl.Decimal(38, 12),
    } == read(report(Section("usage", "Usage", columns, nothing))).schema


def test_categories_counts_and_zones_become_the_usual_types() -> None:
    """A reader need not know how a report came about."""
    frame = pl.DataFrame(
        {
            "project": pl.Series(["app"], dtype=pl.Categorical),
            "start": pl.Series([datetime(2026, 3, 2, 13, 5, tzinfo=UTC)]).dt.convert_time_zone(
                "Asia/Tokyo"
            ),
            "input_tokens": pl.Series([5], dtype=pl.Int128),
            "month": ["2026-03"],
            "more": [1],
        }
    )
    columns = (PROJECT, START, TOKENS[0], Column("month", Unit.DATE, "Month"))

    written = read(report(Section("usage", "Usage", columns, frame)))

    assert [pl.String, pl.Datetime("us", "UTC"), pl.Int64, pl.String] == written.dtypes
    assert [("app", datetime(2026, 3, 2, 13, 5, tzinfo=UTC), 5, "2026-03")] == written.rows()


def test_a_sum_beyond_64_bits_is_exact() -> None:
    """It becomes a decimal without places rather than another number."""
    frame = pl.DataFrame({"input_tokens": pl.Series([2**70, 1], dtype=pl.Int128)})

    written = read(report(Section("usage", "Usage", (TOKENS[0],), frame)))

    assert written["input_tokens"].to_list() == [2**70, 1]


def test_the_file_says_what_it_stands_on() -> None:
    """The same as the meta of JSON, by key."""
    metadata = pl.read_parquet_metadata(io.BytesIO(render(report(daily()), Style())))
    ours = {key: value for key, value in metadata.items() if key.startswith("tokenaudit.")}

    assert {
        "tokenaudit.format": "1",
        "tokenaudit.version": "1.2.3",
        "tokenaudit.generated_at": "2026-03-09T08:30:15Z",
        "tokenaudit.command": "daily",
        "tokenaudit.timezone": "Europe/Vienna",
        "tokenaudit.cost_meaning": "API list-price equivalent, not an invoice",
    }.items() <= ours.items()
    assert json.loads(ours["tokenaudit.filters"]) == {"since": "2026-03-01", "project": ["app"]}
    assert json.loads(ours["tokenaudit.intake"])["lines"] == 400
    assert json.loads(ours["tokenaudit.selected"])["responses"] == 20
    assert json.loads(ours["tokenaudit.pricing"])["card"] == "2026-11-21"


def test_a_breakdown_stands_instead_of_its_rows() -> None:
    """So that each figure is there once and columns can be summed."""
    parts = [(date(2026, 3, 1), "opus", *measures(1, 1, 2, 3, 4, 5, cost="2.5"))]

    written = read(report(by_model(daily(), parts)))

    assert ["day", "model", *(column.name for column in MEASURES)] == written.columns
    assert (date(2026, 3, 1), "opus", 1) == written.row(0)[:3]


def test_names_are_the_same_when_read() -> None:
    """Whatever they hold."""
    written = read(report(section((PROJECT,), [(name,) for name in HOSTILE])))

    assert list(HOSTILE) == written["project"].to_list()


@given(
    st.lists(
        st.tuples(
            st.text() | st.none(),
            st.integers(-(2**63), 2**63 - 1) | st.none(),
            st.decimals(min_value=-(10**20), max_value=10**20, places=12) | st.none(),
        )
    )
)
def test_what_is_read_back_is_equal(
    rows: list[tuple[str | None, int | None, Decimal | None]],
) -> None:
    """No digit is lost."""
    assert rows == read(report(section((PROJECT, TOKENS[0], COST), rows))).rows()
