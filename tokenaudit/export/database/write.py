"""Adds a ledger to a database in one transaction: a better count replaces a worse, nothing shrinks."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from msgspec import Struct
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    Table,
    and_,
    create_engine,
    delete,
    insert,
    inspect,
    make_url,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateColumn

from tokenaudit.export.database import SCHEMES
from tokenaudit.export.database.tables import COLUMNS, KEYS, RANK, TABLES, VERSION, metadata
from tokenaudit.files import atomic as files
from tokenaudit.ledger.frame import Ledger, measures
from tokenaudit.merge.value import IS_CUT
from tokenaudit.model.errors import OutputError, UsageError

if TYPE_CHECKING:
    from sqlalchemy.sql import ColumnElement

__all__ = ["Added", "add", "shown"]

_CUT: Final = 4
"""What one host knows to be cut no other knows to be whole (R4)."""
_RANKS: Final = {"final": 3, "repaired": 2, "lower_bound": 1, "placeholder": 0}
_BATCH: Final = 5000
_OF_CONNECTIONS: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""How long PostgreSQL, or the way to it, may let a run wait: a connection that was cut is given up."""
_OF_TRANSACTIONS: Final = {
    "lock_timeout": "600s",
    "statement_timeout": "900s",
    "idle_in_transaction_session_timeout": "300s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""How long the server lets a statement take, and a run that is gone hold what the next one waits for."""
_LOCK: Final = 0x746F6B656E
"""What runs on PostgreSQL take in turn: any number that only they use."""


class Added(Struct, frozen=True):
    """What the tables hold afterwards."""

    responses: int
    """Rows of `responses` that are new or better than before."""
    tables: dict[str, int]
    """Rows that each table holds."""


def shown(place: str) -> str:
    """Return *place* as it may be shown: without its password, and its parameters, which may hold one."""
    try:
        return make_url(place).set(query={}).render_as_string(hide_password=True)
    except (SQLAlchemyError, ValueError):
        return "the database"


def add(ledger: Ledger, frame: pl.DataFrame, place: str, host: str) -> Added:
    """Add *frame*, rows of *ledger* that *host* knows, to the database at *place*.

    Raises UsageError for an address that is none, OutputError where the database cannot be written;
    neither shows credentials.
    """
    try:
        engine = _engine(place)
        _make_private(engine.url)
        with engine.begin() as connection:
            return _Writer(connection).add(ledger, _responses(frame, host))
    except SQLAlchemyError as error:
        raise OutputError(f"{shown(place)}: cannot be written: {_reason(error)}") from None


def _make_private(url: URL) -> None:
    """Make the file of a database, if that is one and is not there yet, for the user alone."""
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path.startswith((":", "file:")):
        return
    with suppress(OSError):  # SQLite says what is wrong, or it is there
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, files.PRIVATE))


def _limits(url: URL) -> dict[str, int]:
    """Return what the address itself does not say."""
    return {name: value for name, value in _OF_CONNECTIONS.items() if name not in url.query}


def _engine(place: str) -> Engine:
    try:
        url = make_url(place)
        backend = url.get_backend_name()
        return create_engine(
            url.set(drivername=SCHEMES[backend]),
            poolclass=NullPool,
            connect_args=_limits(url) if backend == "postgresql" else {},
        )
    except (SQLAlchemyError, ValueError, KeyError, ImportError):
        raise UsageError(
            f"{shown(place)}: not the address of a database that is known",
            hint="Write sqlite:///FILE or postgresql://HOST/DATABASE.",
        ) from None


def _reason(error: SQLAlchemyError) -> str:
    """Return the first line of what the driver said: never the statement, nor its values."""
    said = str(getattr(error, "orig", None) or type(error).__name__).strip()
    return said.splitlines()[0] if said else type(error).__name__


def _responses(frame: pl.DataFrame, host: str) -> pl.DataFrame:
    moment = pl.col("time").dt.strftime(_MOMENT)
    keyed = frame.with_columns(
        request_key=pl.coalesce("request_id", moment, pl.lit("")),
        host=pl.lit(host),
        quality_rank=pl.when(IS_CUT)
        .then(_CUT)
        .otherwise(pl.col("quality").replace_strict(_RANKS, return_dtype=pl.Int64)),
    )
    ordinal = pl.int_range(pl.len()).over("response_id", "request_key")
    return keyed.with_columns(ordinal=ordinal).select(COLUMNS["responses"].keys())


class _Writer:
    """One transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_exact = connection.dialect.name == "postgresql"
        self._tables = metadata(exact_numbers=self._is_exact)

    def add(self, ledger: Ledger, responses: pl.DataFrame) -> Added:
        self._prepare()
        improved = self._upsert("responses", responses, self._is_better)
        days = responses["time"].dt.date().unique()
        self._rebuild_daily(days)
        kept = self._kept(responses["session_id"].drop_nulls().unique())
        for name, facts, keys in (
            ("sessions", ledger.sessions.drop("branches", "versions"), ["session_id"]),
            ("agents", ledger.agents, ["session_id", "agent_id"]),
        ):
            sums = _measured(kept, keys)
            known = facts.join(sums, on=keys, how="inner", nulls_equal=True)
            self._upsert(name, known.drop_nulls(keys).select(COLUMNS[name].keys()), _is_other)
        return Added(improved, self._counts())

    def _prepare(self) -> None:
        if self._is_exact:
            for name, value in _OF_TRANSACTIONS.items():
                self._connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
            self._connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        else:
            self._connection.exec_driver_sql("PRAGMA busy_timeout = 600000")
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        self._tables.create_all(self._connection)
        versions = self._tables.tables["tokenaudit"]
        found = self._connection.execute(select(versions.c.version)).scalars().all()
        if not found:
            self._connection.execute(insert(versions), [{"version": VERSION}])
        elif max(found) > VERSION:
            raise OutputError(
                f"the tables are of version {max(found)}, this tokenaudit writes version {VERSION}"
            )
        elif found != [VERSION]:
            self._add_columns()
            self._connection.execute(update(versions).values(version=VERSION))

    def _add_columns(self) -> None:
        """Add to the tables of an earlier version what they lack: null in the rows that are there."""
        is_there = inspect(self._connection)
        for table in self._tables.sorted_tables:
            known = {column["name"] for column in is_there.get_columns(table.name)}
            for column in table.columns:
                if column.name not in known:
                    added = CreateColumn(column).compile(dialect=self._connection.dialect)
                    self._connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {added}")

    def _table(self, name: str) -> Table:
        return self._tables.tables[name]

    def _upsert(self, name: str, frame: pl.DataFrame, is_wanted: Any) -> int:
        """Insert the rows of *frame*, and replace those there for which *is_wanted* holds.

        Returns how many rows are new or were replaced.
        """
        table = self._table(name)
        dialect: Any = postgresql if self._is_exact else sqlite
        statement = dialect.insert(table)
        changed = {
            column.name: statement.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        }
        upsert = statement.on_conflict_do_update(
            index_elements=list(KEYS[name]),
            set_=changed,
            where=is_wanted(table, statement.excluded),
        )
        if not self._is_exact:
            return self._send(upsert, frame)
        incoming = self._copied(table, frame)
        columns = [column.name for column in table.columns]
        chosen = select(*(incoming.c[column] for column in columns))
        return self._changed(upsert.from_select(columns, chosen))

    def _copied(self, table: Table, frame: pl.DataFrame) -> Table:
        """Copy *frame* into a passing table like *table*: far faster than rows as parameters."""
        incoming = table.to_metadata(MetaData(), name=f"incoming_{table.name}")
        self._connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE {incoming.name} (LIKE {table.name}) ON COMMIT DROP"
        )
        # PostgreSQL holds no NUL in a text
        texts = pl.col(pl.String).str.replace_all("\0", "\N{REPLACEMENT CHARACTER}", literal=True)
        data = frame.with_columns(texts).write_csv(
            include_header=False, quote_style="non_numeric", datetime_format=_MOMENT
        )
        names = ", ".join(f'"{name}"' for name in frame.columns)
        cursor = self._connection.connection.cursor()
        with cursor.copy(f"COPY {incoming.name} ({names}) FROM STDIN (FORMAT csv)") as copy:
            copy.write(data)
        return incoming

    def _send(self, statement: Any, frame: pl.DataFrame) -> int:
        """Execute *statement* for each row of *frame*; return how many rows it changed."""
        plain = frame if self._is_exact else _as_texts(frame)
        return sum(
            self._changed(statement, batch.to_dicts()) for batch in plain.iter_slices(_BATCH)
        )

    def _changed(self, statement: Any, rows: list[dict[str, Any]] | None = None) -> int:
        counted = self._connection.execution_options(preserve_rowcount=True)
        return counted.execute(statement, rows).rowcount

    def _is_better(self, table: Table, new: Any) -> "ColumnElement[bool]":
        """Of equal quality the larger output counts; of the same count, what was said last."""
        rank, output = table.c[RANK], table.c.output_tokens
        return or_(
            new[RANK] > rank,
            and_(
                new[RANK] == rank,
                or_(
                    new.output_tokens > output,
                    and_(new.output_tokens == output, _is_other(table, new)),
                ),
            ),
        )

    def _rebuild_daily(self, days: pl.Series) -> None:
        """Sum the responses of *days* anew: all that the table holds, whoever said them."""
        table, daily = self._table("responses"), self._table("daily")
        dated = days.drop_nulls().sort()
        if dated.is_empty():
            return
        names = ["time", "host", "project", "model", *_SUMMED]
        rows = self._read(table, names, self._within(table, dated))
        summed = _measured(rows.with_columns(day=pl.col("time").dt.date()), list(KEYS["daily"]))
        known = summed.filter(pl.col("day").is_in(dated.implode())).with_columns(
            pl.col("project", "model").fill_null("")
        )
        shown_days = dated.to_list() if self._is_exact else dated.cast(pl.String).to_list()
        self._connection.execute(delete(daily).where(daily.c.day.in_(shown_days)))
        self._send(insert(daily), known.select(COLUMNS["daily"].keys()))

    def _within(self, table: Table, days: pl.Series) -> Any:
        first = datetime.combine(days[0], time(), UTC)
        end = datetime.combine(days[-1], time(), UTC) + timedelta(days=1)
        if self._is_exact:
            return and_(table.c.time >= first, table.c.time < end)
        return table.c.time.between(f"{first:%Y-%m-%d}", f"{end:%Y-%m-%d}")

    def _kept(self, sessions: pl.Series) -> pl.DataFrame:
        """Return what the table says of all responses of *sessions*."""
        table = self._table("responses")
        names = ["session_id", "agent_id", *_SUMMED]
        ids = sessions.to_list()
        parts = [
            self._read(table, names, table.c.session_id.in_(ids[start : start + _BATCH]))
            for start in range(0, len(ids), _BATCH)
        ]
        return pl.concat(parts) if parts else self._read(table, names, table.c.session_id.is_(None))

    def _read(self, table: Table, names: Sequence[str], which: Any) -> pl.DataFrame:
        rows = self._connection.execute(select(*(table.c[name] for name in names)).where(which))
        types = {name: COLUMNS["responses"][name] for name in names}
        raw = types if self._is_exact else {name: _stored(dtype) for name, dtype in types.items()}
        frame = pl.DataFrame([tuple(row) for row in rows], schema=raw, orient="row")
        return frame if self._is_exact else _from_texts(frame, types)

    def _counts(self) -> dict[str, int]:
        from sqlalchemy import func

        return {
            name: self._connection.execute(
                select(func.count()).select_from(self._table(name))
            ).scalar_one()
            for name in TABLES
        }


_SUMMED: Final = (
    *("input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens", "total_tokens", "cost_usd"),
)


def _measured(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    summed = rows.group_by(keys).agg(measures())
    counts = [name for name, dtype in summed.schema.items() if dtype == pl.Int128]
    return summed.cast(dict.fromkeys(counts, pl.Int64))


def _is_other(table: Table, new: Any) -> "ColumnElement[bool]":
    return or_(
        *(
            new[column.name].is_distinct_from(column)
            for column in table.columns
            if not column.primary_key and column.name not in _NO_NEWS
        )
    )


_NO_NEWS: Final = frozenset({"host", "copies", "source_path", "source_line"})
"""What may differ from host to host, or grow with copies, and makes a row no better."""
_MOMENT: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"


def _as_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame* for SQLite: money, times and days as texts."""
    return frame.with_columns(
        *(
            pl.col(name).dt.strftime(_MOMENT)
            if isinstance(dtype, pl.Datetime)
            else pl.col(name).cast(pl.String)
            for name, dtype in frame.schema.items()
            if isinstance(dtype, pl.Datetime | pl.Decimal) or dtype == pl.Date
        )
    )


def _stored(dtype: Any) -> Any:
    return pl.String if isinstance(dtype, pl.Datetime | pl.Decimal) or dtype == pl.Date else dtype


def _from_texts(frame: pl.DataFrame, types: dict[str, Any]) -> pl.DataFrame:
    return frame.with_columns(
        pl.col(name).str.to_datetime(_MOMENT, time_unit="us").dt.replace_time_zone("UTC")
        if isinstance(dtype, pl.Datetime)
        else pl.col(name).cast(dtype)
        for name, dtype in types.items()
    )
