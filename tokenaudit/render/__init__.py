"""Reports as bytes: one file per format behind one function; nothing here counts, prices or reads."""

from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, assert_never

from tokenaudit.render.style import Style

if TYPE_CHECKING:  # a command line that only asks which formats there are must not wait for Polars
    from tokenaudit.reports.report import Report

__all__ = ["Format", "Style", "format_of", "render"]


class Format(StrEnum):
    """How a report can be written."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"
    MARKDOWN = "markdown"


_ENDINGS: Final = {
    ".json": Format.JSON,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".txt": Format.TABLE,
}


def format_of(path: str) -> Format | None:
    """Return the format that the ending of *path* asks for; None where it says nothing."""
    return _ENDINGS.get(PurePath(path).suffix.lower())


def render(report: "Report", format: Format, style: Style) -> bytes:  # noqa: A002 - the word of the field
    """Write *report* in *format*; each renderer, and what it needs, is imported only when asked for."""
    match format:
        case Format.TABLE:
            from tokenaudit.render.table import render as write
        case Format.JSON:
            from tokenaudit.render.json import render as write
        case Format.NDJSON:
            from tokenaudit.render.ndjson import render as write
        case Format.CSV:
            from tokenaudit.render.csv import render as write
        case Format.PARQUET:
            from tokenaudit.render.parquet import render as write
        case Format.MARKDOWN:
            from tokenaudit.render.markdown import render as write
        case _:
            assert_never(format)
    return write(report, style)
