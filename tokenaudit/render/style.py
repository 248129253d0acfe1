"""What the reader's screen or spreadsheet can take; the one thing that a renderer is told beside the report."""

from dataclasses import dataclass

__all__ = ["Style"]


@dataclass(frozen=True, slots=True)
class Style:
    """What the reader's screen or spreadsheet can take; machine formats look the same in any style."""

    width: int = 80
    """Columns of the terminal: no line of a table is longer."""
    color: bool = False
    """Whether a table may hold escape sequences: colour, bold, dim."""
    unicode: bool = True
    """Whether the terminal shows more than ASCII."""
    raw_csv: bool = False
    """Whether texts in CSV stay as they are, even those that a spreadsheet would run."""
