"""Replaces what names a customer or a person by a keyed hash that only the organisation can repeat.

The same text gives the same hash on every host that has the secret, so that copies still merge and
groups still add up; without the secret it cannot be found by trying likely names.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

import polars as pl

__all__ = ["REDACTED", "redact"]

REDACTED: Final = ("project", "branch", "cwd")
"""Columns that are replaced whole; of paths all but the file's name, which is an id, is replaced."""

_PATHS: Final = ("owner_path", "source_path")
_MARK: Final = "hmac:"
_DIGITS: Final = 32


def redact(rows: pl.DataFrame, secret: bytes) -> pl.DataFrame:
    """Return *rows* with project, branch, cwd and the folders of paths as HMAC-SHA-256 by *secret*."""

    def of(text: str) -> str:
        digest = hmac.new(secret, text.encode("utf-8", "surrogatepass"), sha256).hexdigest()
        return f"{_MARK}{digest[:_DIGITS]}"

    def of_path(path: str) -> str:
        parts = PurePosixPath(path.replace("\\", "/"))
        return f"{of(str(parts.parent))}/{parts.name}"

    return rows.with_columns(
        *(_replaced(rows[name], of) for name in REDACTED),
        *(_replaced(rows[name], of_path) for name in _PATHS),
    )


def _replaced(texts: pl.Series, of: Callable[[str], str]) -> pl.Series:
    """Return *texts* with each distinct one replaced; those replaced before stay."""
    distinct = texts.drop_nulls().unique()
    plain = distinct.filter(~distinct.str.starts_with(_MARK))
    if plain.is_empty():
        return texts
    return texts.replace(plain, pl.Series([of(text) for text in plain], dtype=pl.String))
