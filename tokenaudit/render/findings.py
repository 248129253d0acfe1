"""What the formats for findings share: which rows there are, and their words."""

from typing import Any, Final

from tokenaudit.model.errors import UsageError
from tokenaudit.reports.report import Report

__all__ = ["finding_rows", "place", "subject"]

_NEEDED: Final = frozenset({"severity", "finding", "subject", "message", "action", "path", "line"})


def finding_rows(report: Report, form: str) -> list[dict[str, Any]]:
    """Return the findings of *report*, one dictionary each.

    Raises UsageError where its first section holds no findings: *form* says nothing else.
    """
    rows = report.sections[0].rows
    if not _NEEDED.issubset(rows.columns):
        raise UsageError(
            f"--format {form} is for findings alone", hint="Use it with `tokenaudit check`."
        )
    return rows.to_dicts()


def subject(row: dict[str, Any]) -> str:
    """Return the name of a finding with what it is about."""
    return row["finding"] if row["subject"] is None else f"{row['finding']}: {row['subject']}"


def place(row: dict[str, Any]) -> str:
    """Return where the example of a finding stands, as `path:line`; empty where there is none."""
    if row["path"] is None:
        return ""
    return row["path"] if row["line"] is None else f"{row['path']}:{row['line']}"
