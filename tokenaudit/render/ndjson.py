"""A report as one JSON object per row, for pipes; what it stands on is not said here."""

from tokenaudit.render import frames
from tokenaudit.render.plain import encode_lines
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Report

__all__ = ["render"]


def render(report: Report, _style: Style, /) -> bytes:
    """Write the first section of *report*, by model where it is broken down, one row per line."""
    columns, frame = frames.flat(report.sections[0])
    return encode_lines(frames.plain(frame, columns).iter_rows(named=True)).encode()
