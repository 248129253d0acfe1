"""A report as tables for a terminal: as exact as its width allows, never wider, never interpreted."""

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from tokenaudit.render import grid, picture, stacked
from tokenaudit.render.cells import NO_ROWS, Writing, cut_rows, telling
from tokenaudit.render.layout import Fitting
from tokenaudit.render.looks import Look, StyledRun, painted
from tokenaudit.render.style import Style
from tokenaudit.render.texts import fold
from tokenaudit.reports.report import Report, Section

__all__ = ["render"]

_LEAST_WIDTH: Final = 20
"""Below this a terminal says nothing true about itself."""


_INDENT: Final = 2
"""Of the lines of a note after its first."""


def render(report: Report, style: Style, /) -> bytes:
    """Write every section of *report* as a table no wider than *style* says, and its notes below."""
    writing = Writing(ZoneInfo(report.meta.timezone), unicode=style.unicode)
    width = max(style.width, _LEAST_WIDTH)
    lines = [painted(line, color=style.color) for line in _lines(report, writing, width)]
    return "".join(f"{line}\n" for line in lines).encode()


def _lines(report: Report, writing: Writing, width: int) -> Iterator[list[StyledRun]]:
    if report.title != report.sections[0].title:
        yield from _text(report.title, writing, width, Look.BOLD)
        yield []
    for number, section in enumerate(report.sections):
        if number:
            yield []
        yield from _section(section, writing, width)
    if report.notes:
        yield []
    for note in report.notes:
        first, *others = fold(writing.text(note), width, _INDENT)
        yield [StyledRun(first, Look.DIM)]
        yield from ([StyledRun(" " * _INDENT + line, Look.DIM)] for line in others)


def _text(text: str, writing: Writing, width: int, look: Look) -> Iterator[list[StyledRun]]:
    for line in fold(writing.text(text), width) if text else ():
        yield [StyledRun(line, look)]


def _section(section: Section, writing: Writing, width: int) -> Iterator[list[StyledRun]]:
    yield from _text(section.title, writing, width, Look.BOLD)
    yield []
    if section.rows.is_empty():
        yield from _text(NO_ROWS, writing, width, Look.DIM)
        return
    if section.curve is not None:
        yield from picture.draw(section.rows, section.curve, writing, width)
        return
    words = cut_rows(section, writing)
    cut = fold(words, width) if words else []
    fitting = Fitting(telling(section), writing, width)
    layout = fitting.whole()
    if layout is None:
        yield from stacked.draw(fitting, cut)
    else:
        yield from grid.draw(layout, writing, cut)
