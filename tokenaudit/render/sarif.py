"""Findings as SARIF 2.1.0, for code scanning: one rule per kind of finding, one result per finding."""

from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

import msgspec

from tokenaudit.render.clean import storable
from tokenaudit.render.findings import finding_rows
from tokenaudit.render.plain import encode, plain
from tokenaudit.render.style import Style
from tokenaudit.reports.report import Report

__all__ = ["render"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {"error": "error", "warning": "warning", "info": "note"}


def render(report: Report, _style: Style, /) -> bytes:
    """Write the findings of *report*; raises UsageError for a report that holds none."""
    rows = finding_rows(report, "sarif")
    rules = {row["finding"]: _rule(row) for row in rows}
    driver = {
        "name": "tokenaudit",
        "version": report.meta.version,
        "rules": list(rules.values()),
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(row, list(rules).index(row["finding"])) for row in rows],
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(encode(document), indent=2).encode() + b"\n"


def _rule(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": storable(row["finding"]),
        "shortDescription": {"text": storable(row["finding"].replace("_", " "))},
        "help": {"text": storable(row["action"])},
        "defaultConfiguration": {"level": _LEVELS[row["severity"]]},
    }


def _result(row: dict[str, Any], index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": storable(row["finding"]),
        "ruleIndex": index,
        "level": _LEVELS[row["severity"]],
        "message": {"text": storable(f"{row['message']} {row['action']}")},
        "properties": {
            "subject": plain(row["subject"]),
            "count": row["count"],
            "tokens": row["tokens"],
            "cost_usd": plain(row["cost_usd"]),
        },
    }
    if row["path"] is not None:
        result["locations"] = [{"physicalLocation": _location(row)}]
    return result


def _location(row: dict[str, Any]) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(row["path"])}}
    if row["line"] is not None:
        location["region"] = {"startLine": row["line"]}
    return location


def _uri(path: str) -> str:
    """Return *path* as a URI: absolute ones with their scheme, as the format asks for."""
    text = quote(storable(path).replace("\\", "/"))
    return f"file://{text}" if PurePath(path).is_absolute() else text
