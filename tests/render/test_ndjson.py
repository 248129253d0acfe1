"""A report as one JSON object per row."""

import json
from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from report_samples import (
    COST,
    HOSTILE,
    MEASURES,
    PROJECT,
    TOKENS,
    by_model,
    daily,
    measures,
    report,
    section,
)

from tokenaudit.render import Style
from tokenaudit.render.ndjson import render


def test_each_row_is_a_line() -> None:
    """The rows of the first section, and nothing else."""
    one = section((PROJECT, COST), [("app", 1), ("web", None)], {"cost_usd": 1})

    assert (
        render(report(one, daily()), Style())
        == b'{"project":"app","cost_usd":"1.00"}\n{"project":"web","cost_usd":null}\n'
    )


def test_a_breakdown_stands_instead_of_its_rows() -> None:
    """Each line is complete: the day, the model, the measures."""
    parts = [(date(2026, 3, 1), "opus", *measures(1, 1, 2, 3, 4, 5, cost="2.5"))]

    (line,) = render(report(by_model(daily(), parts)), Style()).splitlines()

    assert ["day", "model", *(column.name for column in MEASURES)] == list(json.loads(line))


@given(st.lists(st.tuples(st.sampled_from(HOSTILE) | st.text(), st.integers(0, 2**53))))
def test_what_is_read_back_is_equal(rows: list[tuple[str, int]]) -> None:
    """However lines are split: no name can break one."""
    text = render(report(section((PROJECT, TOKENS[0]), rows)), Style()).decode()

    read = [json.loads(line) for line in text.splitlines()]
    assert rows == [(row["project"], row["input_tokens"]) for row in read]
