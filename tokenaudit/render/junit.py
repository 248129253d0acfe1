"""Findings as JUnit XML, for continuous integration that shows tests: one test per kind of finding."""

from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tokenaudit.render.clean import storable, visible
from tokenaudit.render.findings import finding_rows, place, subject
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Report

__all__ = ["render"]

_NO_CHARACTERS: Final = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
"""What Unicode, and so XML, has no character for."""
_FAILING: Final = frozenset({"error", "warning"})


def render(report: Report, _style: Style, /) -> bytes:
    """Write the findings of *report*: errors and warnings fail their test, the others have output.

    Raises UsageError for a report that holds none.
    """
    rows = finding_rows(report, "junit")
    failing = sum(row["severity"] in _FAILING for row in rows)
    suite = Element(
        "testsuite",
        name="tokenaudit check",
        tests=str(max(len(rows), 1)),
        failures=str(failing),
        errors="0",
        skipped="0",
        timestamp=report.meta.generated_at.isoformat(timespec="seconds"),
    )
    for row in rows:
        _case(suite, row)
    if not rows:
        SubElement(suite, "testcase", classname="tokenaudit", name="no findings")
    indent(suite)
    document: bytes = tostring(suite, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _case(suite: Element, row: dict[str, Any]) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=f"tokenaudit.{row['severity']}",
        name=_safe(subject(row)),
    )
    if row["path"] is not None:
        case.set("file", _safe(row["path"]))
        if row["line"] is not None:
            case.set("line", str(row["line"]))
    words = _safe(f"{row['message']}\n{place(row)}\n{row['action']}")
    if row["severity"] in _FAILING:
        failure = SubElement(
            case, "failure", type=_safe(row["finding"]), message=_safe(row["message"])
        )
        failure.text = words
    else:
        SubElement(case, "system-out").text = words


def _safe(text: str) -> str:
    """Return *text* without what XML cannot hold, or a terminal would obey; its lines stay."""
    lines = "\n".join(visible(line) for line in storable(text).split("\n"))
    return lines.translate(_NO_CHARACTERS)
