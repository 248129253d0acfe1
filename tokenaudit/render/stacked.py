"""Draws a section on a screen too narrow for its columns: texts on lines of their own, figures below."""

from collections.abc import Callable, Iterator

from tokenaudit.render.cells import NUMBERS, CellLine, Role
from tokenaudit.render.grid import draw_headings, draw_line
from tokenaudit.render.layout import Fitting, TableLayout
from tokenaudit.render.looks import Look, StyledRun, look_of, rule
from tokenaudit.render.texts import flow, fold

__all__ = ["draw"]

_INDENT = 2
_GAP = 3

_Figures = Callable[[int], Iterator[list[StyledRun]]]
"""What draws the figures of the line of that number."""


def draw(fitting: Fitting, cut_rows: list[str]) -> Iterator[list[StyledRun]]:
    """Yield the lines of a section: no column that is essential is lost, no text is cut."""
    cut = [[StyledRun(text, Look.DIM)] for text in cut_rows]
    if fitting.exact.folds:
        yield from _records(fitting)
        yield from cut
        return
    layout = fitting.figures_alone()
    if layout is None:
        figures, across = _with_labels(fitting), fitting.width
    else:
        figures, across = _in_columns(layout), layout.width
        yield from draw_headings(layout, fitting.writing)
    for number, line in enumerate(fitting.short.lines):
        if line.role is Role.TOTALS:
            yield from cut
            yield rule(across, fitting.writing)
        yield from _names(line, fitting)
        yield from figures(number)
    if fitting.section.totals is None:
        yield from cut


def _records(fitting: Fitting) -> Iterator[list[StyledRun]]:
    """Yield rows that are read rather than compared: each value on a line, beside its label."""
    columns, width = fitting.section.columns, fitting.width
    widest = min(max(len(column.label) for column in columns), width // 2)
    for number, line in enumerate(fitting.exact.lines):
        if number:
            yield []
        for cell, column in zip(line.cells, columns, strict=True):
            label = column.label[:widest].ljust(widest + 2)
            for text in fold(cell, width - len(label)):
                yield [
                    StyledRun(label, Look.HEADING),
                    StyledRun(text, look_of(cell, column, line.role)),
                ]
                label = " " * len(label)


def _names(line: CellLine, fitting: Fitting) -> Iterator[list[StyledRun]]:
    """Yield the essential texts of a row, whole."""
    cells = zip(line.cells, fitting.section.columns, strict=True)
    first, *others = [
        cell
        for at, (cell, column) in enumerate(cells)
        if column.unit not in NUMBERS and (column.essential or at == 0)
    ] or [""]
    texts = [first, *(text for text in others if text not in {"", fitting.writing.nothing})]
    look = Look.DIM if line.role is Role.PART else Look.BOLD
    for text in flow(texts, fitting.width):
        yield [StyledRun(text, look)]


def _in_columns(layout: TableLayout) -> _Figures:
    return lambda number: draw_line(layout.lines[number], layout)


def _with_labels(fitting: Fitting) -> _Figures:
    """Return what draws figures beside their labels, as many side by side as fit."""
    places, columns = fitting.figures(), fitting.section.columns
    room = fitting.width - _INDENT
    label = max((len(columns[at].label) for at in places), default=0)
    sheet = fitting.exact
    if label + 1 + max(map(sheet.width, places), default=0) > room:
        sheet = fitting.short
    figure = max(map(sheet.width, places), default=0)
    if label + 1 + figure > room:
        return _below_labels(fitting)
    per_line = max((room + _GAP) // (label + 1 + figure + _GAP), 1)

    def figures(number: int) -> Iterator[list[StyledRun]]:
        line = sheet.lines[number]
        for start in range(0, len(places), per_line):
            runs: list[StyledRun] = []
            for at in places[start : start + per_line]:
                cell, column = line.cells[at], columns[at]
                runs += [
                    StyledRun(" " * (_GAP if runs else _INDENT)),
                    StyledRun(column.label.ljust(label + 1), Look.HEADING),
                    StyledRun(cell.rjust(figure), look_of(cell, column, line.role)),
                ]
            yield runs

    return figures


def _below_labels(fitting: Fitting) -> _Figures:
    """Return what draws figures where not even one fits beside its label."""
    columns = fitting.section.columns

    def figures(number: int) -> Iterator[list[StyledRun]]:
        line = fitting.short.lines[number]
        for at in fitting.figures():
            cell, column = line.cells[at], columns[at]
            yield [StyledRun(column.label[: fitting.width], Look.HEADING)]
            yield [StyledRun(cell.rjust(fitting.width), look_of(cell, column, line.role))]

    return figures
