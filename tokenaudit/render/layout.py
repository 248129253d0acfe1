"""Decides what of a section fits a screen: exact or short figures, shortened texts, which columns."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.render.cells import NUMBERS, CellLine, Role, Words, Writing
from tokenaudit.render.texts import cell_width, shorten
from tokenaudit.reports.report import Column, Section, Unit

__all__ = ["Fitting", "Sheet", "TableLayout"]

_SHORT_ID: Final = 8
_LEAST_TEXT: Final = 8
_READABLE_TEXT: Final = 16
_COMFORTABLE_TEXT: Final = 24


class _Plan(NamedTuple):
    """One way to save room."""

    exact: bool
    heading_lines: int
    least_text: int | None
    """Down to which width texts and ids may be shortened; None for not at all."""
    gap: int


# In the order of preference: exact figures are worth more than long texts, any column more than
# exact figures; but names that can be read and air between columns are worth more than a column
# that is not essential.
_WIDE: Final = (
    _Plan(exact=True, heading_lines=1, least_text=None, gap=2),
    _Plan(exact=True, heading_lines=2, least_text=None, gap=2),
    _Plan(exact=True, heading_lines=2, least_text=_COMFORTABLE_TEXT, gap=2),
)
_SHORT: Final = _Plan(exact=False, heading_lines=2, least_text=_READABLE_TEXT, gap=2)
_NARROW: Final = _Plan(exact=False, heading_lines=2, least_text=_LEAST_TEXT, gap=2)
_TIGHT: Final = _Plan(exact=False, heading_lines=3, least_text=_LEAST_TEXT, gap=1)


class TableLayout(Struct, frozen=True):
    """The columns that a screen has room for, their widths, and what stands in them."""

    columns: tuple[Column, ...]
    lines: tuple[CellLine, ...]
    widths: tuple[int, ...]
    gap: int
    """Blanks between two columns."""
    folds: bool
    """Whether a text too long for its column goes on below; else it has been shortened."""

    @property
    def width(self) -> int:
        """The width of the whole table."""
        return sum(self.widths) + self.gap * (len(self.widths) - 1)


class Fitting:
    """The ways to fit a section into a width."""

    def __init__(self, section: Section, writing: Writing, width: int) -> None:
        """Prepare to fit *section* into *width*, in words as *writing* says, exact or in short."""
        self.section = section
        self.writing = writing
        self.width = width

    @cached_property
    def exact(self) -> "Sheet":
        """The section with figures in full."""
        return Sheet(self.section, replace(self.writing, exact=True))

    @cached_property
    def short(self) -> "Sheet":
        """The section with figures in short."""
        return Sheet(self.section, replace(self.writing, exact=False))

    def whole(self) -> TableLayout | None:
        """Return the best layout of the section; None where not even its essentials fit."""
        everything = range(len(self.section.columns))
        for plan in _WIDE:
            if layout := self.exact.fit(everything, plan, self.width):
                return layout
        if self.exact.folds:
            return None
        *fewer, essential = _ever_fewer(self.section.columns)
        for shown in fewer:
            if layout := self.short.fit(shown, _SHORT, self.width):
                return layout
        return self.short.fit(essential, _NARROW, self.width) or self.short.fit(
            essential, _TIGHT, self.width
        )

    def figures(self) -> list[int]:
        """Return the places of the essential figures."""
        return [
            at
            for at, column in enumerate(self.section.columns)
            if column.unit in NUMBERS and column.essential
        ]

    def figures_alone(self) -> TableLayout | None:
        """Return the best layout of the essential figures without any text; None where none fits."""
        figures = self.figures()
        if not figures:
            return None
        return self.short.fit(figures, _NARROW, self.width) or self.short.fit(
            figures, _TIGHT, self.width
        )


def _ever_fewer(columns: Sequence[Column]) -> Iterator[list[int]]:
    """Yield the places of all columns, then without the last that is not essential, and so on."""
    shown = list(range(len(columns)))
    yield list(shown)
    for at in range(len(columns) - 1, 0, -1):  # the first names the rows
        if not columns[at].essential:
            shown.remove(at)
            yield list(shown)


class _Room(NamedTuple):
    """How wide a column would be, and how wide it must be."""

    whole: int
    least: int


class Sheet:
    """A section in words, measured."""

    def __init__(self, section: Section, writing: Writing) -> None:
        """Prepare to write and measure *section*."""
        self._section = section
        self._words = Words(section, writing)
        self._widths: dict[int, int] = {}
        self._ellipsis = writing.text("…")
        # A text that is not beside figures is there to be read: it is folded, never shortened.
        figures = {Unit.TOKENS, Unit.USD, Unit.PRICE}
        self.folds = all(each.unit not in figures for each in section.columns)

    @cached_property
    def lines(self) -> list[CellLine]:
        """The whole section, uncut."""
        return self._words.lines()

    def width(self, at: int) -> int:
        """Return the width of the widest cell of a column."""
        if at not in self._widths:
            self._widths[at] = _widest(self._words.column(at))
        return self._widths[at]

    def fit(self, shown: Sequence[int], plan: _Plan, width: int) -> TableLayout | None:
        """Return the columns at the places *shown* in *width*, as *plan* says; None if too wide."""
        available = width - plan.gap * (len(shown) - 1)
        rooms: list[_Room] = []
        for at in shown:
            rooms.append(self._room(at, plan))
            if sum(room.least for room in rooms) > available:
                return None  # without having written the columns that follow
        widths = _shared(rooms, available)
        cells = [self._cut(at, given) for at, given in zip(shown, widths, strict=True)]
        columns = [self._section.columns[at] for at in shown]
        if not self.folds:  # what is short now may leave room that nothing needs
            headings = [_heading_width(column.label, plan.heading_lines) for column in columns]
            widths = [max(_widest(cut), least) for cut, least in zip(cells, headings, strict=True)]
        lines = zip(self._words.roles, zip(*cells, strict=True), strict=True)
        return TableLayout(
            tuple(columns),
            tuple(CellLine(role, line) for role, line in lines),
            tuple(widths),
            plan.gap,
            self.folds,
        )

    def _cut(self, at: int, width: int) -> list[str]:
        """Return the cells of a column as they stand in *width*."""
        cells = self._words.column(at)
        if self.folds or self.width(at) <= width:
            return cells
        column = self._section.columns[at]
        return [
            shorten(cell, width, column, role, self._ellipsis)
            for cell, role in zip(cells, self._words.roles, strict=True)
        ]

    def _room(self, at: int, plan: _Plan) -> _Room:
        column = self._section.columns[at]
        heading = _heading_width(column.label, plan.heading_lines)
        whole, least = self.width(at), self._least(at, plan.least_text)
        if column.unit is Unit.ID and plan.least_text is not None:
            whole = max(least, min(whole, _COMFORTABLE_TEXT if self._is_labelled(at) else least))
        return _Room(max(whole, heading), max(least, heading))

    def _is_labelled(self, at: int) -> bool:
        return at == 0 and self._section.breakdown is not None

    def _least(self, at: int, least_text: int | None) -> int:
        """Return how narrow the cells of a column may become."""
        unit = self._section.columns[at].unit
        if least_text is None or unit in NUMBERS:
            return self.width(at)
        if unit in {Unit.DATE, Unit.TIME}:  # only the names of their parts can be shortened
            cells = zip(self._words.column(at), self._words.roles, strict=True)
            return _widest(cell for cell, role in cells if role is Role.ROW)
        return min(self.width(at), _SHORT_ID if unit is Unit.ID else least_text)


def _widest(cells: Iterable[str]) -> int:
    return max(map(cell_width, cells), default=0)


def _heading_width(label: str, most_lines: int) -> int:
    """Return the least width in which *label* takes no more lines than that, its words whole."""
    width = max(map(len, label.split()), default=0)
    while len(textwrap.wrap(label, max(width, 1))) > most_lines:
        width += 1
    return width


def _shared(rooms: Sequence[_Room], available: int) -> list[int]:
    """Return a width for each column; where there is too little, the widest give first."""
    widths = [min(room.whole, max(available, room.least)) for room in rooms]
    while (excess := sum(widths) - available) > 0:
        giving = [at for at, room in enumerate(rooms) if widths[at] > room.least]
        widest = max(giving, key=lambda at: widths[at])
        widths[widest] -= 1 if len(giving) > 1 else excess
    return widths
