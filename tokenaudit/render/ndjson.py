"""A report as one JSON object per row, for pipes; what it stands on is not said here."""

from tokenaudit.render import Style, frames
from tokenaudit.render.plain import encode
from tokenaudit.reports.report import Report

__all__ = ["render"]


def render(report: Report, _style: Style, /) -> bytes:
    """Write the first section of *report*, by model where it is broken down, one row per line."""
    columns, frame = frames.flat(report.sections[0])
    rows = frames.plain(frame, columns).iter_rows(named=True)
    return "".join(f"{encode(row)}\n" for row in rows).encode()
