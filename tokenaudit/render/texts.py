"""Cuts and folds texts to a width in terminal cells, of which wide characters take two."""

import re
from typing import Final

from rich.cells import cell_len, chop_cells, set_cell_size

from tokenaudit.render.cells import Role
from tokenaudit.reports.report import Column, Unit

__all__ = ["cell_width", "flow", "fold", "shorten"]

_UNICODE: Final = "latest"
"""The tables of widths to use: Rich would ask the environment."""


def cell_width(text: str) -> int:
    """Return how many cells of a terminal *text* takes."""
    return len(text) if text.isascii() else cell_len(text, _UNICODE)


def shorten(cell: str, width: int, column: Column, role: Role, ellipsis: str) -> str:
    """Return *cell* of a column that must be cut to *width*.

    An id is cut at its end, words at their end, a path or a name inside; models lose what they all
    share, and the day of their release, even those that would fit: one column, one way to write.
    """
    if role is Role.PART or column.name == "model":
        cell = re.sub(r"claude-|-20\d{6}(?!\d)", "", cell)
    if cell_width(cell) <= width:
        return cell
    if role is Role.ROW and column.unit is Unit.ID:
        return _short_id(cell, width, ellipsis)
    room = width - len(ellipsis)
    if " " in cell:
        return _start(cell, room) + ellipsis
    end = _end(cell, room // 2)
    if "/" in cell:  # a path is known by its last part
        last = cell[cell.rfind("/") + 1 :]
        end = _end(cell, room * 3 // 4)
        if "/" not in end and last and cell_width(last) <= width:
            return last
        end = end[max(end.find("/"), 0) :]
    return _start(cell, room - cell_width(end)) + ellipsis + end


def _short_id(text: str, width: int, ellipsis: str) -> str:
    """Return the start of an id; its end where all such ids start alike: `msg_01…`, `req_011…`."""
    if re.match(r"[a-z]+_", text):
        return ellipsis + _end(text, width - len(ellipsis))
    return _start(text, width)


def _start(text: str, width: int) -> str:
    return set_cell_size(text, width, _UNICODE).rstrip()


def _end(text: str, width: int) -> str:
    end = text[len(text) - width :]
    while cell_width(end) > width:
        end = end[1:]
    return end


def fold(text: str, width: int, hanging: int = 0) -> list[str]:
    """Return *text* in lines of at most *width* cells, cut between words where there are any.

    All lines but the first leave room for an indent of *hanging* cells.
    """
    folded = [""]
    for word in text.split(" "):
        line = f"{folded[-1]} {word}" if folded[-1] else word
        if cell_width(line) <= width - (hanging if len(folded) > 1 else 0):
            folded[-1] = line
        else:
            pieces = chop_cells(word, width - hanging, _UNICODE)
            folded = [*(part for part in folded if part), *pieces]
    return folded


def flow(texts: list[str], width: int) -> list[str]:
    """Return *texts* side by side in lines of at most *width* cells; one that is longer is folded."""
    lines: list[str] = []
    for text in texts:
        beside = f"{lines[-1]}  {text}" if lines else text
        if lines and cell_width(beside) <= width:
            lines[-1] = beside
        else:
            lines += fold(text, width)
    return lines
