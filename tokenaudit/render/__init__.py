"""Reports as bytes: one file per format behind one function; nothing here counts, prices or reads."""

from enum import StrEnum
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from tokenaudit.render.style import Style

if TYPE_CHECKING:  # a command line that only asks which formats there are must not wait for Polars
    from tokenaudit.reports.report import Report

__all__ = ["OF_FINDINGS", "Format", "Style", "format_of", "render"]


class Format(StrEnum):
    """How a report can be written."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    SARIF = "sarif"


OF_FINDINGS: Final = frozenset({Format.JUNIT, Format.SARIF})
"""Formats that hold findings alone."""

_ENDINGS: Final = {
    ".json": Format.JSON,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
    ".xlsx": Format.XLSX,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".txt": Format.TABLE,
    ".sarif": Format.SARIF,
}


def format_of(path: str) -> Format | None:
    """Return the format that the ending of *path* asks for; None where it says nothing."""
    return _ENDINGS.get(PurePath(path).suffix.lower())


def render(report: "Report", format: Format, style: Style) -> bytes:  # noqa: A002 - the word of the field
    """Write *report* in *format*; each renderer, and what it needs, is imported only when asked for.

    The file of a format is called as the format is.
    """
    write = import_module(f"{__name__}.{format.value}").render
    written: bytes = write(report, style)
    return written
