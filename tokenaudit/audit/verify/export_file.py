"""An export as a file: what it states of itself, its rows, and whether any byte of it was changed."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from tokenaudit.audit.reconcile.claims.parquet import is_parquet, opened
from tokenaudit.files import inputs
from tokenaudit.files.seal import is_intact
from tokenaudit.model.errors import TokenauditError

__all__ = ["ExportError", "Exported", "content", "read_export"]

_KNOWN: Final = "Only JSON and Parquet of `tokenaudit export` can be verified."


class ExportError(TokenauditError):
    """A file that is no export of ours that can be verified."""


class Exported(Struct, frozen=True):
    """An export as it was read."""

    is_parquet: bool
    """Otherwise it is JSON."""
    meta: Mapping[str, Any]
    data: bytes
    is_intact: bool


def read_export(path: Path) -> Exported:
    """Read the export at *path*; raises TokenauditError for what cannot be verified."""
    try:
        data = inputs.read(path, 4 * inputs.GIBIBYTE)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from None
    if not data:
        raise ExportError(f"{path}: is empty")
    as_parquet = is_parquet(data)
    meta = opened(data, str(path))[0] if as_parquet else _json_meta(path, data)
    if "provenance" not in meta or "seal" not in meta:
        raise ExportError(
            f"{path}: was not made by `tokenaudit export`, so it carries no digests",
            hint=_KNOWN,
        )
    seal = str(meta["seal"])
    return Exported(as_parquet, meta, data, is_intact(data, seal, is_last=as_parquet))


def _json_meta(path: Path, data: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ExportError(f"{path}: is neither Parquet nor JSON: {error}", hint=_KNOWN) from None
    meta = document.get("meta") if isinstance(document, dict) else None
    if not isinstance(meta, dict) or meta.get("tool") != "tokenaudit":
        raise ExportError(f"{path}: is no export of tokenaudit")
    return meta


def content(data: bytes, *, is_parquet: bool) -> Counter[bytes]:
    """Return the rows and totals of an export, each as a text that is equal for equal ones."""
    if is_parquet:
        import io

        import polars as pl

        frame = pl.read_parquet(io.BytesIO(data))
        return Counter(repr(row).encode() for row in frame.iter_rows())
    document = msgspec.json.decode(data)
    parts = [document, *document.get("sections", {}).values()]
    rows = [row for part in parts for row in (*part["rows"], part.get("totals"))]
    return Counter(msgspec.json.encode(row, order="deterministic") for row in rows)
