"""A question in SQL to the ledger: Polars answers it, over four tables and nothing else.

Read-only. Polars' SQL knows no way to run code, but statements that change its own tables, and table
functions that read files and addresses. Three locks, each enough for what is known today:

1. A statement must begin as a query does; what creates, drops or deletes begins otherwise.
2. No name may begin with `read_` or `scan_`, as every function does that reads a file. Names are looked
   for in the bare text, in strings and comments too: what is refused by mistake can be named otherwise.
3. The plan that Polars makes of it is looked at before it runs: whatever it calls itself, nothing may
   be read but frames that are in memory.

What it takes is bounded by its text (`ledger.sql`), and where joins multiply rows: they stream past, so that pairs are counted and
summed without ever being held, and an answer that grows beyond all use ends the query. What must see all
rows before it gives the first one, as ORDER BY does, still holds what it is given.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Final, Literal

import polars as pl
from msgspec.structs import replace

from tokenaudit.ledger.frame import Ledger
from tokenaudit.ledger.sql import refusal
from tokenaudit.model.errors import UsageError
from tokenaudit.pricing.cost import PRICED, USD
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import assemble

__all__ = ["TABLES", "query"]

TABLES: Final = ("usage", "sessions", "agents", "rejects")

_BLANK: Final = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_BEGINS: Final = frozenset({"select", "with", "from", "values", "show"})
_READER: Final = re.compile(r"(?<!\w)((?:read|scan)_\w*)", re.IGNORECASE)
_SCAN: Final = re.compile(r"^\s*\w+ SCAN\b", re.IGNORECASE | re.MULTILINE)
"""A step of a plan that reads a file: `Csv SCAN [/etc/passwd]`."""
_HINT: Final = f"There are the tables {', '.join(TABLES)}."
_MICROSECONDS: Final = 1_000_000
_MOST_CELLS: Final = 10_000_000
"""How much an answer may hold, unless it has no more rows than one of the tables."""
_MOST_BYTES: Final = 1 << 30


def query(ledger: Ledger, request: Request, sql: str) -> Report:
    """Return the answer to *sql*, a query over TABLES of what *request* selects.

    `usage` has the columns of the ledger and `hour`, `day`, `week`, `month`; `sessions`, `agents` and
    `rejects` are what is known of these. With filters, sessions and agents are those of the responses
    that are left. Raises UsageError for anything but a query, and for one that cannot be answered.
    """
    rows = select(ledger.frame, request.selection).collect()
    answer = _answer(sql, _tables(ledger, request, rows))
    if answer.estimated_size() > _MOST_BYTES:
        raise UsageError(f"query: the answer has more than {_MOST_BYTES >> 20:,} MiB")
    columns, frame = _readable(answer)
    limit = request.shape.limit
    shown = frame if limit is None else frame.head(limit)
    section = Section("query", "Query", columns, shown, cut_rows=frame.height - shown.height)
    report = assemble(ledger, request, rows, (section,), title="Query")
    filters = {**report.meta.filters, "sql": sql}
    return replace(report, meta=replace(report.meta, filters=filters))


def _tables(ledger: Ledger, request: Request, rows: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    sessions, agents = ledger.sessions, ledger.agents
    if request.selection.filters():
        sessions = sessions.join(rows, on="session_id", how="semi", nulls_equal=True)
        agents = agents.join(rows, on=["session_id", "agent_id"], how="semi", nulls_equal=True)
    frames = (rows, sessions, agents, ledger.rejects)
    return dict(zip(TABLES, frames, strict=True))


def _answer(sql: str, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    _check(sql)
    try:
        with pl.SQLContext(frames=tables, register_globals=False, eager=False) as context:
            plan = context.execute(sql)
            steps = plan.explain(optimized=False)
            if _SCAN.search(steps):
                raise UsageError("query: it would read a file", hint=_HINT)
            return _collected(plan, tables, has_joins=" JOIN" in steps)
    except pl.exceptions.ColumnNotFoundError as error:
        raise _no_column(str(error), tables) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).strip().partition("\n")[0] or "Polars cannot answer it"
        raise UsageError(f"query: {reason}", hint=_HINT) from None
    except (OSError, ValueError, OverflowError, RecursionError, TypeError) as error:
        raise UsageError(f"query: {error}", hint=_HINT) from None


def _collected(
    plan: pl.LazyFrame, tables: Mapping[str, pl.DataFrame], *, has_joins: bool
) -> pl.DataFrame:
    """Return the answer. Raises UsageError for one that has no end in sight.

    Joins are streamed, for the in-memory engine makes all pairs before it looks at the first one. That
    engine, in turn, keeps the order of rows where none is asked for.
    """
    columns = max(1, len(plan.collect_schema()))
    most = max(_MOST_CELLS // columns, *(table.height for table in tables.values()))
    engine: Literal["streaming", "in-memory"] = "streaming" if has_joins else "in-memory"
    answer = plan.head(most + 1).collect(engine=engine)
    if answer.height > most:
        raise UsageError(
            f"query: the answer has more than {most:,} rows of"
            f" {columns:,} {'column' if columns == 1 else 'columns'}",
            hint="Say LIMIT, or join on a condition: ON usage.session_id = sessions.session_id.",
        )
    return answer


def _no_column(message: str, tables: Mapping[str, pl.DataFrame]) -> UsageError:
    """Return the error for a column that is not there, with those that are called almost so."""
    reason = message.strip().partition("\n")[0].partition("; valid columns")[0]
    named = re.search(r'"([^"]*)"', reason)
    columns = dict.fromkeys(name for table in tables.values() for name in table.columns)
    near = difflib.get_close_matches(named[1], columns, n=3) if named else []
    hint = f"Did you mean {', '.join(near)}?" if near else f"Of usage: {', '.join(columns)}."
    return UsageError(f"query: {reason}", hint=hint)


def _check(sql: str) -> None:
    """Refuse what is no query, or names what reads files."""
    blank = _BLANK.match(sql)
    first = re.match(r"\w*", sql[blank.end() if blank else 0 :])
    word = first[0].lower() if first else ""
    if word not in _BEGINS:
        raise UsageError(
            f"query: only queries are answered, not {word.upper() or 'this'}",
            hint="Begin with SELECT or WITH.",
        )
    if reason := refusal(sql):
        raise UsageError(f"query: {reason}", hint=_HINT)
    if reader := _READER.search(sql):
        raise UsageError(f"query: {reader[1]}: no name may begin with read_ or scan_", hint=_HINT)


def _readable(answer: pl.DataFrame) -> tuple[tuple[Column, ...], pl.DataFrame]:
    """Give every column a unit by its name and type; what has none becomes text, what is no number null."""
    columns, series = [], []
    for name, values in zip(answer.columns, answer.iter_columns(), strict=True):
        if not name.isprintable() or name in {"", "*"} or name.startswith("^"):
            raise UsageError(f"query: not a name for a column: {name!r}")
        unit, plain = _understood(name, values)
        bound = Bound.LEAST if unit is Unit.USD and name in PRICED else None
        columns.append(Column(name, unit, name, bound=bound))
        series.append(plain.alias(name))
    return tuple(columns), pl.DataFrame(series)


def _understood(name: str, values: pl.Series) -> tuple[Unit, pl.Series]:
    dtype = values.dtype
    if dtype.is_integer():
        return (Unit.TOKENS if name.endswith("_tokens") else Unit.COUNT), values
    if isinstance(dtype, pl.Decimal) and (dtype.scale or 0) >= USD.scale:
        return Unit.USD, values  # money keeps its places, whatever it is divided by
    if dtype.is_float() or dtype.is_decimal():
        values = values.cast(pl.Float64)
        finite = pl.when(pl.first().is_finite()).then(pl.first())
        return Unit.NUMBER, values.to_frame().select(finite).to_series()
    if dtype.is_temporal():
        return _temporal(values)
    if isinstance(dtype, pl.Boolean):
        return Unit.FLAG, values
    is_id = isinstance(dtype, pl.String) and name.endswith("_id")
    return (Unit.ID if is_id else Unit.TEXT), _text(values)


def _temporal(values: pl.Series) -> tuple[Unit, pl.Series]:
    dtype = values.dtype
    if isinstance(dtype, pl.Date):
        return Unit.DATE, values
    if isinstance(dtype, pl.Datetime):
        aware = values if dtype.time_zone else values.dt.replace_time_zone("UTC")
        return Unit.TIME, aware.dt.convert_time_zone("UTC")
    if isinstance(dtype, pl.Duration):
        return Unit.DURATION, values.dt.total_microseconds() / _MICROSECONDS
    return Unit.TEXT, values.cast(pl.String)


def _text(values: pl.Series) -> pl.Series:
    """Write nested and other values as text; lists of texts with commas."""
    if isinstance(values.dtype, pl.List) and values.dtype.inner == pl.String:
        return values.list.join(", ")
    if values.dtype.is_nested():
        return pl.Series([None if each is None else repr(each) for each in values], dtype=pl.String)
    return values.cast(pl.String, strict=False)
