"""Draws a section on a screen too narrow for its columns: texts on lines of their own, figures below."""

from collections.abc import Callable, Iterator

from tokenaudit.render.cells import NUMBERS, Line, Role
from tokenaudit.render.grid import draw_headings, draw_line
from tokenaudit.render.layout import Fitting, Layout
from tokenaudit.render.looks import Look, Run, look_of, rule
from tokenaudit.render.texts import flow, fold
from tokenaudit.reports.report import Column

__all__ = ["draw"]

_INDENT = 2
_GAP = 3

_Figures = Callable[[int], Iterator[list[Run]]]
"""What draws the figures of the line of that number."""


def draw(fitting: Fitting, cut_rows: str | None) -> Iterator[list[Run]]:
    """Yield the lines of a section: no essential figure is lost, and no text."""
    layout = fitting.figures_alone()
    if layout is None:
        figures, across = _with_labels(fitting), fitting.width
    else:
        figures, across = _in_columns(layout), layout.width
        yield from draw_headings(layout, fitting.writing)
    for number, line in enumerate(fitting.short.lines):
        if line.role is Role.TOTALS:
            yield from _cut_rows(cut_rows, fitting.width)
            yield rule(across, fitting.writing)
        yield from _names(line, fitting)
        yield from figures(number)
    if fitting.section.totals is None:
        yield from _cut_rows(cut_rows, fitting.width)


def _cut_rows(words: str | None, width: int) -> Iterator[list[Run]]:
    for text in fold(words, width) if words else ():
        yield [Run(text, Look.DIM)]


def _names(line: Line, fitting: Fitting) -> Iterator[list[Run]]:
    """Yield the texts of a row, whole."""
    cells = zip(line.cells, fitting.section.columns, strict=True)
    first, *others = [cell for cell, column in cells if column.unit not in NUMBERS] or [""]
    texts = [first, *(text for text in others if text not in {"", fitting.writing.nothing})]
    look = Look.DIM if line.role is Role.PART else Look.BOLD
    for text in flow(texts, fitting.width):
        yield [Run(text, look)]


def _in_columns(layout: Layout) -> _Figures:
    return lambda number: draw_line(layout.lines[number], layout)


def _with_labels(fitting: Fitting) -> _Figures:
    """Return what draws figures beside their labels, as many side by side as fit."""
    places, columns = fitting.figures(), fitting.section.columns
    room = fitting.width - _INDENT
    label = max((len(columns[at].label) for at in places), default=0)
    sheet = fitting.exact
    if label + 1 + sheet.widest(places) > room:
        sheet = fitting.short
    figure = sheet.widest(places)
    label = max(min(label, room - 1 - figure), 1)
    per_line = max((room + _GAP) // (label + 1 + figure + _GAP), 1)

    def figures(number: int) -> Iterator[list[Run]]:
        line = sheet.lines[number]
        pairs = [_pair(line.cells[at], columns[at], line.role, label, figure) for at in places]
        for start in range(0, len(pairs), per_line):
            first, *others = pairs[start : start + per_line]
            beside = (run for pair in others for run in (Run(" " * _GAP), *pair))
            yield [Run(" " * _INDENT), *first, *beside]

    return figures


def _pair(cell: str, column: Column, role: Role, label: int, figure: int) -> tuple[Run, Run]:
    name = column.label[:label].ljust(label + 1)
    return Run(name, Look.HEADING), Run(cell.rjust(figure), look_of(cell, column, role))
