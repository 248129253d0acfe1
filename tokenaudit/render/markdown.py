"""A report as GitHub tables, for issues and pull requests; no text can become markup."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from zoneinfo import ZoneInfo

from tokenaudit.render.cells import (
    NO_ROWS,
    NUMBERS,
    CellLine,
    Role,
    Words,
    Writing,
    cut_rows,
    telling,
)
from tokenaudit.render.clean import visible
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Column, Report, Section

__all__ = ["render"]

_MARKUP: Final = re.compile(r"[\\`*_{}\[\]<>|~#$&]|\A[-+]")


def render(report: Report, _style: Style, /) -> bytes:
    """Write every section of *report* as a table with exact figures, and its notes as a list."""
    return "".join(f"{line}\n" for line in _lines(report)).encode()


def _lines(report: Report) -> Iterator[str]:
    writing = Writing(ZoneInfo(report.meta.timezone))
    yield f"# {_text(report.title)}"
    for section in report.sections:
        if section.title != report.title:
            yield from ("", f"## {_text(section.title)}")
        yield ""
        yield from _section(section, writing)
    if report.notes:
        yield ""
    for note in report.notes:
        yield f"- {_text(note)}"


def _section(section: Section, writing: Writing) -> Iterator[str]:
    if section.rows.is_empty():
        yield NO_ROWS
        return
    section = telling(section)
    yield _row(_escaped(column.label) for column in section.columns)
    yield _row(map(_alignment, section.columns))
    for line in Words(section, writing).lines():
        yield _row(_cells(line))
    if cut := cut_rows(section, writing):
        yield from ("", cut)


def _alignment(column: Column) -> str:
    return "--:" if column.unit in NUMBERS else ":--"


def _cells(line: CellLine) -> Iterator[str]:
    for cell in line.cells:
        text = _escaped(cell)
        yield f"**{text}**" if text and line.role is Role.TOTALS else text


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    return _escaped(visible(text))


def _escaped(text: str) -> str:
    """Return *text* with a backslash before all that Markdown would take for its own."""
    return _MARKUP.sub(r"\\\g<0>", text)
