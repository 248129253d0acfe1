"""Draws a section as rows and columns: a light rule under the headings and one above the totals."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from tokenaudit.render.cells import NUMBERS, CellLine, Role, Writing
from tokenaudit.render.layout import TableLayout
from tokenaudit.render.looks import Look, StyledRun, look_of, rule
from tokenaudit.render.texts import cell_width, fold
from tokenaudit.reports.report import Column

__all__ = ["draw", "draw_headings", "draw_line"]


def draw(layout: TableLayout, writing: Writing, cut_rows: list[str]) -> Iterator[list[StyledRun]]:
    """Yield the lines of a section that fits; *cut_rows* say which rows a limit left out."""
    yield from draw_headings(layout, writing)
    for line in layout.lines:
        if line.role is not Role.TOTALS:
            yield from draw_line(line, layout)
    yield from ([StyledRun(text, Look.DIM)] for text in cut_rows)
    for line in layout.lines:
        if line.role is Role.TOTALS:
            yield rule(layout.width, writing)
            yield from draw_line(line, layout)


def draw_headings(layout: TableLayout, writing: Writing) -> Iterator[list[StyledRun]]:
    """Yield the lines of the headings, which stand on a rule, and the rule."""
    wrapped = [
        textwrap.wrap(column.label, max(width, 1))
        for column, width in zip(layout.columns, layout.widths, strict=True)
    ]
    height = max(map(len, wrapped))
    standing = [[""] * (height - len(texts)) + texts for texts in wrapped]
    for texts in zip(*standing, strict=True):
        yield _row(texts, [Look.HEADING] * len(texts), layout)
    yield rule(layout.width, writing)


def draw_line(line: CellLine, layout: TableLayout) -> Iterator[list[StyledRun]]:
    """Yield a line of *layout*: more than one where its texts are folded."""
    looks = [
        look_of(cell, column, line.role)
        for cell, column in zip(line.cells, layout.columns, strict=True)
    ]
    if not layout.folds:
        yield _row(line.cells, looks, layout)
        return
    folded = [fold(cell, width) for cell, width in zip(line.cells, layout.widths, strict=True)]
    for texts in zip_longest(*folded, fillvalue=""):
        yield _row(texts, looks, layout)


def _row(texts: Sequence[str], looks: Sequence[Look], layout: TableLayout) -> list[StyledRun]:
    """Return one line of cells, numbers at the right of their columns, all else at the left."""
    runs: list[StyledRun] = []
    cells = zip(texts, looks, layout.columns, layout.widths, strict=True)
    for text, look, column, width in cells:
        if runs:
            runs.append(StyledRun(" " * layout.gap))
        runs.extend(_cell(text, look, column, width))
    return runs


def _cell(text: str, look: Look, column: Column, width: int) -> tuple[StyledRun, StyledRun]:
    filling = StyledRun(" " * (width - cell_width(text)))
    return (
        (filling, StyledRun(text, look))
        if column.unit in NUMBERS
        else (StyledRun(text, look), filling)
    )
