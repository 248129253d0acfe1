"""Values and the basis of a report as formats without types of their own hold them; no frames."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from tokenaudit.render.clean import escape_json, storable
from tokenaudit.reports.report import COST_MEANING, FORMAT, Report

__all__ = ["described", "encode", "encode_lines", "plain"]


def plain(value: object) -> Any:
    """Return *value* as JSON holds it: money as a text without loss, times in UTC, dates in ISO 8601.

    Money keeps all its digits, and at least two: `1.2345`, `0.00`.
    """
    match value:
        case str():
            return storable(value)
        case Decimal():
            return _money(value)
        case datetime():  # before date, which it is too
            return _time(value)
        case date():
            return value.isoformat()
        case _:
            return _container(value)


def _container(value: object) -> object:
    if isinstance(value, Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _money(value: Decimal) -> str:
    whole, _, fraction = f"{value:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _time(value: datetime) -> str:
    """Write milliseconds, as transcripts do, so that either can be searched for in the other."""
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    return _utc(value, precision)


def _utc(value: datetime, precision: str) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def described(report: Report) -> dict[str, Any]:
    """Return what *report* stands on (R12), as JSON's `meta` and Parquet's metadata hold it."""
    meta = report.meta
    sealed = {} if meta.provenance is None else {"provenance": plain(meta.provenance)}
    return {
        "format": FORMAT,
        "tool": "tokenaudit",
        "version": meta.version,
        "generated_at": _utc(meta.generated_at, "seconds"),
        "command": storable(meta.command),
        "filters": plain(meta.filters),
        "timezone": meta.timezone,
        "pricing": plain(meta.pricing),
        "intake": plain(meta.intake),
        "selected": plain(meta.selected),
        "cost_meaning": COST_MEANING,
        **sealed,
        **({} if meta.lake is None else {"lake": plain(meta.lake)}),
    }


def encode(value: object) -> str:
    """Write plain *value* as JSON on one line, safe to show on a terminal."""
    return escape_json(msgspec.json.encode(value).decode())


def encode_lines(values: Iterable[object]) -> str:
    """Write plain *values* as JSON, each on a line of its own, safe to show on a terminal."""
    return escape_json(msgspec.json.Encoder().encode_lines(values).decode())
