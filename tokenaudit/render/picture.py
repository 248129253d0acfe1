"""Draws the rows of a section as bars: what a curve looks like in a terminal of any width."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import polars as pl

from tokenaudit.model.units import format_tokens
from tokenaudit.render.cells import Writing
from tokenaudit.render.looks import Look, StyledRun
from tokenaudit.reports.report import Curve

__all__ = ["draw"]

_HEIGHT: Final = 8
_WIDEST_BAR: Final = 4
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_EIGHTHS: Final = "   ..::##"
_MARK: Final = "^"
_TIME: Final = "time"


class _Bar(NamedTuple):
    """What stands in one place of the picture: the highest of its values."""

    value: int
    is_marked: bool


def draw(
    rows: pl.DataFrame, curve: Curve, writing: Writing, width: int
) -> Iterator[list[StyledRun]]:
    """Yield the lines of the picture: bars, the marks below them, and where it begins and ends."""
    values = rows[curve.values].fill_null(0).to_list()
    top = max(*values, 1)
    label = max(len(format_tokens(top)), 1)
    bars = list(_bars(values, rows[curve.marks].to_list(), max(width - label - 2, 1)))
    for level in range(_HEIGHT, 0, -1):
        text = {_HEIGHT: format_tokens(top), _HEIGHT // 2: format_tokens(top // 2)}.get(level, "")
        signs = "".join(_sign(bar.value, top, level, writing) for bar in bars)
        yield [StyledRun(f"{text.rjust(label)} {_edge(writing)}", Look.DIM), StyledRun(signs)]
    corner, across = ("└", "─") if writing.unicode else ("+", "-")
    yield [StyledRun(f"{'0'.rjust(label)} {corner}{across * len(bars)}", Look.DIM)]
    if any(bar.is_marked for bar in bars):
        marks = "".join(_MARK if bar.is_marked else " " for bar in bars).rstrip()
        yield [StyledRun(f"{' ' * (label + 2)}{marks}", Look.BOLD)]
    yield from _ends(rows, curve, writing, screen=width, indent=label + 2, width=len(bars))


def _edge(writing: Writing) -> str:
    return "│" if writing.unicode else "|"


def _bars(values: Sequence[int], marks: Sequence[bool], room: int) -> Iterator[_Bar]:
    """Yield the bars that fit *room*: several places for each row, or several rows in one place."""
    count = len(values)
    if count <= room:
        for value, is_marked in zip(values, marks, strict=True):
            yield _Bar(value, is_marked)
            for _ in range(min(room // count, _WIDEST_BAR) - 1):
                yield _Bar(value, is_marked=False)
        return
    for place in range(room):
        within = slice(place * count // room, (place + 1) * count // room)
        yield _Bar(max(values[within]), any(marks[within]))


def _sign(value: int, top: int, level: int, writing: Writing) -> str:
    filled = -(-value * _HEIGHT * 8 // top) - (level - 1) * 8  # rounded up: nothing looks like none
    return (_EIGHTHS if writing.unicode else _PLAIN_EIGHTHS)[min(max(filled, 0), 8)]


def _ends(
    rows: pl.DataFrame, curve: Curve, writing: Writing, *, screen: int, indent: int, width: int
) -> Iterator[list[StyledRun]]:
    """Yield the times of the first and the last row, and what a mark means."""
    times = rows[_TIME].drop_nulls()
    if not times.is_empty():
        first, last = (_written(times[at], writing) for at in (0, -1))
        gap = max(width - len(first) - len(last), 3)
        joined = f"{first}{' ' * gap}{last}"
        fits = indent + len(joined) <= screen
        for text in (joined,) if fits else (first, last):
            yield [StyledRun(" " * indent + text, Look.DIM)]
    if rows[curve.marks].any():
        yield [StyledRun(f"{' ' * indent}{_MARK} {curve.meaning}", Look.DIM)]


def _written(moment: datetime, writing: Writing) -> str:
    return moment.astimezone(writing.zone).strftime("%Y-%m-%d %H:%M")
