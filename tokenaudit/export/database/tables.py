"""The tables: names, keys and types, the same in every database but for what it has no type for.

Money is NUMERIC(38, 12); SQLite, whose numbers are binary, keeps it as exact decimal text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

from tokenaudit.ledger.frame import MEASURES, SCHEMA
from tokenaudit.ledger.sessions import AGENTS, SESSIONS

__all__ = ["COLUMNS", "KEYS", "RANK", "TABLES", "VERSION", "metadata"]

VERSION: Final = 2
"""Number of the shape of the tables. 1: the first, without `iteration` and `is_unbilled`."""

RANK: Final = "quality_rank"
_USD: Final = pl.Decimal(38, 12)
_MEASURES: Final[Mapping[str, Any]] = {
    name: _USD if name == "cost_usd" else pl.Int64 for name in MEASURES
}

COLUMNS: Final[Mapping[str, Mapping[str, Any]]] = {
    "responses": {
        "response_id": pl.String,
        "request_key": pl.String,  # the request id, else the time: one of them tells responses apart
        "ordinal": pl.Int64,  # 0, but where neither does
        "host": pl.String,  # that last said something better of it
        RANK: pl.Int64,  # 4 known to be cut, 3 final, 2 repaired, 1 other lower bound, 0 placeholder
        **{name: dtype for name, dtype in SCHEMA.items() if name != "response_id"},
    },
    "sessions": {
        **{name: dtype for name, dtype in SESSIONS.items() if not isinstance(dtype, pl.List)},
        **_MEASURES,
    },
    "agents": {**AGENTS, **_MEASURES},
    "daily": {
        "day": pl.Date,  # of UTC
        "host": pl.String,
        "project": pl.String,
        "model": pl.String,
        **_MEASURES,
    },
}
KEYS: Final[Mapping[str, Sequence[str]]] = {
    "responses": ("response_id", "request_key", "ordinal"),
    "sessions": ("session_id",),
    "agents": ("session_id", "agent_id"),
    "daily": ("day", "host", "project", "model"),
}
TABLES: Final = tuple(COLUMNS)


def metadata(*, exact_numbers: bool) -> MetaData:
    """Return the tables for a database that has, or has not, exact decimal numbers."""
    found = MetaData()
    for name, columns in COLUMNS.items():
        Table(
            name,
            found,
            *(
                Column(
                    column,
                    _type(dtype, exact_numbers=exact_numbers),
                    primary_key=column in KEYS[name],
                    autoincrement=False,
                )
                for column, dtype in columns.items()
            ),
        )
    Table("tokenaudit", found, Column("version", Integer, primary_key=True, autoincrement=False))
    return found


def _type(dtype: Any, *, exact_numbers: bool) -> TypeEngine[Any]:
    if isinstance(dtype, pl.Decimal):
        return Numeric(38, 12) if exact_numbers else Text()
    if isinstance(dtype, pl.Datetime):
        return DateTime(timezone=True) if exact_numbers else Text()
    if dtype == pl.Date:
        return Date() if exact_numbers else Text()
    if dtype == pl.Int64:
        return BigInteger()
    return Boolean() if dtype == pl.Boolean else Text()
