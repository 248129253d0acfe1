"""What is known of the terminal that is written to: whether it is one, its width, its colours."""

import os
import sys
from typing import TextIO

from tokenaudit.cli.options import Output
from tokenaudit.render import Style

__all__ = ["has_color", "is_terminal", "style_of"]


def style_of(output: Output, *, to_file: bool) -> Style:
    """Return how a report is to look: on the terminal, or in a file, which knows of none."""
    if to_file:
        return Style(width=80 if output.compact else 200, raw_csv=output.raw_csv)
    encoding = (sys.stdout.encoding or "ascii").lower()
    return Style(
        width=min(_width(), 80) if output.compact else _width(),
        color=has_color(sys.stdout),
        unicode=encoding.startswith("utf"),
        raw_csv=output.raw_csv,
    )


def _width() -> int:
    """Return the width to write for: COLUMNS, the terminal's, or a wide one where there is neither."""
    import shutil

    return max(20, shutil.get_terminal_size(fallback=(120, 24)).columns)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether *stream* is a terminal on which something can move."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_color(stream: TextIO) -> bool:
    """Tell whether colours are wanted on *stream*."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)
