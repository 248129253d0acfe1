"""A report as a Parquet file with types and with what it stands on, for archives and for queries."""

from io import BytesIO
from typing import Any

from tokenaudit.files.seal import UNSEALED, sealed
from tokenaudit.render import frames
from tokenaudit.render.plain import described, encode
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Report

__all__ = ["render"]


def render(report: Report, _style: Style, /) -> bytes:
    """Write the first section of *report*, by model where it is broken down."""
    columns, frame = frames.flat(report.sections[0])
    file = BytesIO()
    metadata = {**_metadata(described(report)), "tokenaudit.seal": UNSEALED}
    frames.typed(frame, columns).write_parquet(file, metadata=metadata)
    return sealed(file.getvalue(), is_last=True)


def _metadata(meta: dict[str, Any]) -> dict[str, str]:
    """Return *meta* as Parquet holds it: texts, those with more inside as JSON."""
    return {
        f"tokenaudit.{key}": value if isinstance(value, str) else encode(value)
        for key, value in meta.items()
        if key != "tool"
    }
