"""Cutting and folding texts to a width in cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import COST, PROJECT, SESSION, TITLE
from rich.cells import cell_len

from tokenaudit.render.cells import Role
from tokenaudit.render.clean import visible
from tokenaudit.render.texts import cell_width, flow, fold, shorten
from tokenaudit.reports.report import Column, Unit

MODEL = Column("model", Unit.TEXT, "Model")


@pytest.mark.parametrize(
    ("cell", "width", "column", "role", "short"),
    [
        ("app", 3, PROJECT, Role.ROW, "app"),
        ("/home/anna/work/backend", 15, PROJECT, Role.ROW, "/home/…/backend"),
        ("/home/anna/work/backend", 8, PROJECT, Role.ROW, "backend"),
        ("Refactor the payments", 12, TITLE, Role.ROW, "Refactor th…"),
        ("Refactor the payments", 10, TITLE, Role.ROW, "Refactor…"),
        ("supercalifragilistic", 9, TITLE, Role.ROW, "supe…stic"),
        ("5e0c1b2a-1111-4222-8333", 8, SESSION, Role.ROW, "5e0c1b2a"),
        ("msg_01Z6nC5Pr8SvbmtcvU9QeTNj", 8, SESSION, Role.ROW, "…U9QeTNj"),
        ("claude-opus-4-5-20251101", 8, MODEL, Role.ROW, "opus-4-5"),
        ("claude-opus-5", 13, MODEL, Role.ROW, "opus-5"),
        ("└ claude-opus-4-5-20251101", 10, SESSION, Role.PART, "└ opus-4-5"),
        ("└ internal-experiment", 10, SESSION, Role.PART, "└ interna…"),
        ("日本語のタイトル", 9, TITLE, Role.ROW, "日本…トル"),
    ],
)
def test_texts_are_shortened_where_they_tell_least(
    cell: str, width: int, column: Column, role: Role, short: str
) -> None:
    """An id keeps its start, words their start, a path its last part, a model its name."""
    assert short == shorten(cell, width, column, role, "…")


@given(st.text().map(visible), st.integers(8, 40), st.sampled_from([PROJECT, SESSION, COST, MODEL]))
def test_a_shortened_text_is_never_wider(text: str, width: int, column: Column) -> None:
    """Whatever the script, it fits its column."""
    for role in Role:
        assert cell_width(shorten(text, width, column, role, "...")) <= width


@given(st.text().map(visible), st.integers(2, 40))
def test_a_folded_text_is_whole_and_never_wider(text: str, width: int) -> None:
    """Only blanks may be lost where a line ends."""
    folded = fold(text, width)

    assert all(cell_width(line) <= width for line in folded)
    assert text.replace(" ", "") == "".join(folded).replace(" ", "")


def test_texts_flow_side_by_side() -> None:
    """Two blanks between them, a new line where there is no room."""
    assert flow(["one", "two", "a much longer text", "three"], 13) == [
        "one  two",
        "a much longer",
        "text  three",
    ]


@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_ascii_is_as_wide_as_it_is_long(text: str) -> None:
    """The short cut agrees with Rich."""
    assert cell_len(text) == cell_width(text)
