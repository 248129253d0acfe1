"""How the parts of a table look on a terminal: few colours, one meaning each."""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from rich.color import ColorSystem
from rich.style import Style as Paint

from tokenaudit.render.cells import Role, Writing
from tokenaudit.reports.report import Column, Unit

__all__ = ["Look", "StyledRun", "look_of", "painted", "rule"]

_FAINT: Final = frozenset({"—", "-", "undated", "0"})


class Look(Enum):
    """What a run of characters looks like."""

    PLAIN = Paint()
    BOLD = Paint(bold=True)
    HEADING = Paint(color="cyan")
    DIM = Paint(dim=True)
    MONEY = Paint(color="green")
    BOLD_MONEY = Paint(bold=True, color="green")


class StyledRun(NamedTuple):
    """Characters that look the same."""

    text: str
    look: Look = Look.PLAIN


def look_of(cell: str, column: Column, role: Role) -> Look:
    """Return the look of a cell: totals stand out; parts, zeros and what is missing stand back."""
    is_money = column.unit in {Unit.USD, Unit.PRICE}
    if role is Role.TOTALS:
        return Look.BOLD_MONEY if is_money else Look.BOLD
    if role is Role.PART or cell in _FAINT:
        return Look.DIM
    return Look.MONEY if is_money else Look.PLAIN


def rule(width: int, writing: Writing) -> list[StyledRun]:
    """Return a light line across the table."""
    return [StyledRun(("─" if writing.unicode else "-") * width, Look.DIM)]


def painted(line: Sequence[StyledRun], *, color: bool) -> str:
    """Return *line* as a terminal takes it; without colour it holds no escape sequence at all."""
    if not color:
        return "".join(run.text for run in line).rstrip()
    last = max((at for at, run in enumerate(line, 1) if run.text.strip()), default=0)
    return "".join(
        run.look.value.render(run.text, color_system=ColorSystem.STANDARD) for run in line[:last]
    )
