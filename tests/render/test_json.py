"""A report as a JSON document."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from report_samples import (
    COST,
    DAY,
    FLAG,
    HOSTILE,
    MEASURES,
    META,
    PROJECT,
    SESSION,
    START,
    TOKENS,
    by_model,
    daily,
    measures,
    report,
    section,
    total,
)

from tokenaudit.render import Style
from tokenaudit.render.frames import plain as plain_frame
from tokenaudit.render.json import render
from tokenaudit.render.plain import plain
from tokenaudit.reports.report import Column, Report, Section, Unit


def read(report_: Report) -> Any:
    return json.loads(render(report_, Style()))


def test_the_document_of_a_report() -> None:
    """Its basis, its rows and its totals, in this order, indented."""
    one = section(
        (DAY, *MEASURES), [(date(2026, 3, 1), *measures(2, 1, 2, 3, 4, 5, cost="1.2345"))], total()
    )
    written = render(report(one), Style())

    assert written.startswith(b'{\n  "meta": {\n    "format": 1,\n    "tool": "tokenaudit",\n')
    assert written.endswith(b"}\n")
    document = json.loads(written)
    assert list(document) == ["meta", "rows", "totals"]
    assert document["rows"] == [
        {
            "day": "2026-03-01",
            "responses": 2,
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_read_tokens": 3,
            "cache_write_5m_tokens": 4,
            "cache_write_1h_tokens": 5,
            "total_tokens": 15,
            "cost_usd": "1.2345",
            "unpriced_responses": 0,
        }
    ]
    assert ["day", *(column.name for column in MEASURES)] == list(document["rows"][0])
    assert document["totals"]["cost_usd"] == "0.00"


def test_meta_says_what_the_report_stands_on() -> None:
    """All of it, in values that any program reads."""
    assert read(report(daily()))["meta"] == {
        "format": 1,
        "tool": "tokenaudit",
        "version": "1.2.3",
        "generated_at": "2026-03-09T08:30:15Z",
        "command": "daily",
        "filters": {"since": "2026-03-01", "project": ["app"]},
        "timezone": "Europe/Vienna",
        "pricing": {"card": "2026-11-21", "sha256": "ab12", "verified_through": "2026-11-20"},
        "intake": {
            "files": 3,
            "gone": 0,
            "lines": 400,
            "usage_lines": 60,
            "responses": 20,
            "copies": 40,
            "rejects": 0,
            "incomplete": 0,
            "odd_values": 0,
            "undated_responses": 0,
            "unpriced_responses": 0,
            "refused_attempts": 0,
            "bytes": 123456,
            "quality": {"final": 0, "repaired": 0, "lower_bound": 0, "placeholder": 0},
        },
        "selected": {
            "responses": 20,
            "unpriced_responses": 1,
            "quality": {"final": 19, "placeholder": 1},
        },
        "cost_meaning": "API list-price equivalent, not an invoice",
    }


def test_null_cost_is_not_zero_cost() -> None:
    """Nothing priced is null; truly free is zero."""
    rows = [
        ("a", *measures(1, 1, 1, 1, 1, 1, cost=None)),
        ("b", *measures(1, 1, 1, 1, 1, 1, cost="0")),
    ]

    document = read(report(section((PROJECT, *MEASURES), rows)))

    assert [row["cost_usd"] for row in document["rows"]] == [None, "0.00"]
    assert document["totals"] is None


def test_times_are_in_utc() -> None:
    """Written as transcripts write them: milliseconds, and finer only where there is more."""
    exact = datetime(2026, 3, 2, 13, 5, 7, tzinfo=UTC)
    rows = [
        (exact,),
        (exact + timedelta(milliseconds=120),),
        (exact + timedelta(microseconds=5),),
        (None,),
    ]

    assert [row["start"] for row in read(report(section((START,), rows)))["rows"]] == [
        "2026-03-02T13:05:07.000Z",
        "2026-03-02T13:05:07.120Z",
        "2026-03-02T13:05:07.000005Z",
        None,
    ]


def test_times_of_another_zone_are_in_utc_too() -> None:
    """A frame cut in the user's zone is the same moment."""
    local = pl.Series("start", [datetime(2026, 3, 2, 13, 5, tzinfo=UTC)]).dt.convert_time_zone(
        "Asia/Tokyo"
    )
    one = Section("usage", "Usage", (START,), local.to_frame())

    assert read(report(one))["rows"] == [{"start": "2026-03-02T13:05:00.000Z"}]


def test_a_month_stays_a_month() -> None:
    """Periods that are no day are texts already."""
    month = Column("month", Unit.DATE, "Month")
    one = Section("usage", "Usage", (month,), pl.DataFrame({"month": ["2026-03"]}))

    assert read(report(one))["rows"] == [{"month": "2026-03"}]


def test_a_breakdown_stands_inside_its_row() -> None:
    """Without the dimensions, which the row says already."""
    parts = [(date(2026, 3, 2), "opus", *measures(1, 1, 2, 3, 4, 5, cost="2.5"))]

    rows = read(report(by_model(daily(2), parts)))["rows"]

    assert [[part["model"] for part in row["breakdown"]] for row in rows] == [[], ["opus"]]
    assert ["model", *(column.name for column in MEASURES)] == list(rows[1]["breakdown"][0])
    assert rows[1]["breakdown"][0]["cost_usd"] == "2.50"


def test_further_sections_stand_by_name() -> None:
    """The first is at the top and not repeated."""
    other = section(
        (PROJECT, COST), [("app", Decimal(1))], {"cost_usd": Decimal(1)}, name="projects"
    )

    document = read(report(daily(), other))

    assert document["sections"] == {
        "projects": {
            "rows": [{"project": "app", "cost_usd": "1.00"}],
            "totals": {"cost_usd": "1.00"},
        }
    }
    assert len(document["rows"]) == 3


def test_columns_that_are_not_the_section_s_are_left_out() -> None:
    """A frame may hold more than is shown."""
    frame = pl.DataFrame({"project": ["app"], "secret": ["x"]})

    assert read(report(Section("usage", "Usage", (PROJECT,), frame)))["rows"] == [
        {"project": "app"}
    ]


def test_rows_that_a_limit_left_out_are_counted() -> None:
    """Else nobody could tell why the rows do not add up to the totals."""
    assert read(report(daily(cut_rows=12)))["cut_rows"] == 12
    assert "cut_rows" not in read(report(daily()))


def test_flags_are_true_or_false() -> None:
    """Or null."""
    rows = read(report(section((FLAG,), [(True,), (False,), (None,)])))["rows"]

    assert [row["is_sidechain"] for row in rows] == [True, False, None]


def test_names_are_the_same_when_read() -> None:
    """They are escaped, not changed."""
    rows = [(name, None) for name in HOSTILE]

    document = read(report(section((PROJECT, SESSION), rows)))

    assert list(HOSTILE) == [row["project"] for row in document["rows"]]


def test_a_sum_beyond_64_bits_is_exact() -> None:
    """Whatever a hostile transcript makes of it."""
    tokens = TOKENS[0]
    frame = pl.DataFrame({tokens.name: pl.Series([2**70], dtype=pl.Int128)})
    one = Section("usage", "Usage", (tokens,), frame, {tokens.name: 2**70})

    document = read(report(one))

    assert [{tokens.name: 2**70}] == document["rows"]
    assert {tokens.name: 2**70} == document["totals"]


def test_a_lone_surrogate_does_not_stop_a_report() -> None:
    """In a filter that the user typed, for one."""
    typed = replace(META, filters={"project": ["\ud83d"]})

    document = read(replace(report(daily()), meta=typed))

    assert document["meta"]["filters"] == {"project": ["?"]}


MONEY = st.decimals(min_value=-(10**20), max_value=10**20, places=12) | st.none()
MICROSECOND = timedelta(microseconds=1)
MOMENTS = st.none() | st.integers(0, 2**52).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + us * MICROSECOND
)


@given(st.lists(st.tuples(st.text(), st.integers(0, 2**63 - 1) | st.none(), MONEY, MOMENTS)))
def test_what_is_read_back_is_equal(
    rows: list[tuple[str, int | None, Decimal | None, datetime | None]],
) -> None:
    """No digit, no moment and no character is lost."""
    columns = (PROJECT, TOKENS[0], COST, START)

    document = read(report(section(columns, rows)))

    assert rows == [
        (
            row["project"],
            row["input_tokens"],
            None if row["cost_usd"] is None else Decimal(row["cost_usd"]),
            None if row["start"] is None else datetime.fromisoformat(row["start"]),
        )
        for row in document["rows"]
    ]


@given(st.lists(st.tuples(MONEY, MOMENTS, st.dates() | st.none())))
def test_whole_columns_are_written_as_single_values_are(
    rows: list[tuple[Decimal | None, datetime | None, date | None]],
) -> None:
    """Rows and totals of the same value look the same."""
    columns = (COST, START, DAY)

    frame = plain_frame(section(columns, rows).rows, columns)

    assert [tuple(map(plain, row)) for row in rows] == frame.rows()
