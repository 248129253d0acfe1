"""A report as GitHub tables."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_samples import (
    COST,
    DAY,
    HOSTILE,
    MEASURES,
    PROJECT,
    RESPONSES,
    by_model,
    daily,
    measures,
    report,
    section,
)

from tokenaudit.render import Style
from tokenaudit.render.clean import visible
from tokenaudit.render.markdown import render
from tokenaudit.reports.report import Report


def written(report_: Report) -> str:
    return render(report_, Style()).decode()


def cells(text: str) -> list[str]:
    """Return what a reader of *text* as Markdown sees in the body of its tables."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inside = [tokens[at + 1] for at, token in enumerate(tokens) if token.type == "td_open"]
    assert all(
        {child.type for child in token.children or ()} <= {"text", "text_special"}
        for token in inside
    )
    return ["".join(child.content for child in token.children or ()) for token in inside]


def test_the_document_of_a_report() -> None:
    """A heading, a table with exact figures at the right, the notes as a list."""
    one = section(
        (DAY, RESPONSES, COST),
        [(date(2026, 3, 1), 1204, Decimal("1355.82")), (None, 1, None)],
        {"responses": 1205, "cost_usd": Decimal("1355.82"), "unpriced_responses": 1},
        cut_rows=2,
    )

    assert written(report(one, notes=("One.", "Two."))) == (
        "# Usage by day\n"
        "\n"
        "| Day | Resp. | Cost |\n"
        "| :-- | --: | --: |\n"
        "| 2026-03-01 | 1,204 | \\$1,355.82 |\n"
        "| undated | 1 | — |\n"
        "| **Total** | **1,205** | **≥ \\$1,355.82** |\n"
        "\n"
        "… 2 more rows, counted in the totals\n"
        "\n"
        "- One.\n"
        "- Two.\n"
    )


def test_all_sections_are_written() -> None:
    """Each under its own heading; one without rows says so."""
    other = section((PROJECT, *MEASURES), [], title="By project")

    text = written(report(daily(1), other, title="Overview", notes=()))

    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Overview",
        "## Usage by day",
        "## By project",
    ]
    assert text.endswith("## By project\n\nnothing in this selection\n")


def test_parts_stand_below_their_row() -> None:
    """Each under its day."""
    parts = [
        (date(2026, 3, 1), "claude-opus-4-5-20251101", *measures(1, 1, 2, 3, 4, 5, cost="2.5"))
    ]

    assert "| └ claude-opus-4-5-20251101 | 1 | 1 | 2 |" in written(
        report(by_model(daily(1), parts))
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_read_as_it_is(name: str) -> None:
    """It is never a cell of its own, code, HTML, or a link."""
    text = written(report(section((PROJECT,), [(name,)], title=name), notes=(name,)))

    assert [visible(name)] == cells(text)


@given(st.lists(st.text(min_size=1).filter(lambda text: text == text.strip() != ""), min_size=1))
def test_any_name_is_read_as_it_is(names: list[str]) -> None:
    """Each name is one cell, whatever it holds."""
    text = written(report(section((PROJECT,), [(name,) for name in names]), notes=()))

    assert [visible(name) for name in names] == cells(text)
