"""The file that the status line counts in: its tables, and what its errors mean.

A cache: any of it can be made again, and is where it is damaged.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat

from tokenaudit.statusline.files import made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["OF_TRANSCRIPTS", "TABLES", "get", "is_damage", "is_locked", "opened", "put"]

_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_VERSION = 3
"""Of what stands in the file; another one is thrown away."""

_SCHEMA = """
create table if not exists meta(key text primary key, value);
create table if not exists file(
  path text primary key, identity text, offset integer, mark integer, grown real, session text,
  agent text, is_whole integer, first integer);
create table if not exists response(
  key text primary key, base text, message text, uuid text, path text, owner_first integer, owner_path text,
  session text, agent text, time integer, owner_time integer, said_time integer, is_final integer, said integer, is_progress integer, is_sidechain integer,
  kind text, counts text, iterations text, searches integer, is_free integer,
  tokens integer, prompt integer, cost integer);
create index if not exists response_time on response(time);
create index if not exists response_message on response(message);
create index if not exists response_session on response(session);
create index if not exists response_base on response(base);
create table if not exists alias(key text primary key, other text);
create table if not exists result(agent text, counts text, output integer);
create table if not exists tariff(kind text, first integer, until integer, value text);
"""

OF_TRANSCRIPTS = ("file", "response", "alias", "result")
"""The tables of what transcripts say."""

TABLES = (*OF_TRANSCRIPTS, "meta", "tariff")
"""All tables."""

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_DAMAGE = (
    *(*_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH),
)
"""What another call may do better: the file is locked, or there is no room or no right."""


def opened(path: str) -> sqlite3.Connection:
    """Open the file at *path*, which has its tables then; raises sqlite3.Error or OSError if it cannot."""
    made(os.path.dirname(path))  # noqa: PTH120 - no pathlib here
    _secure(path)
    db = sqlite3.connect(path, timeout=0.5)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _secure(path: str) -> None:
    """Make the file for the user alone, if there is none; what is no file is damage."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CREAT | _SAFELY, 0o600)
    except OSError as error:
        if error.errno == errno.EISDIR:
            return  # SQLite cannot open it either, and says so
        if error.errno not in {errno.ELOOP, errno.ENXIO}:
            raise
        raise sqlite3.DatabaseError(f"not a file: {path}") from error
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise sqlite3.DatabaseError(f"not a file: {path}")
    finally:
        os.close(number)


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("pragma synchronous = off")  # after a crash of the machine it is made again
    db.execute("pragma journal_mode = truncate")
    version = db.execute("pragma user_version").fetchone()[0]
    if version not in {0, _VERSION}:
        raise sqlite3.DatabaseError(f"made by another version: {version}")
    if not version:
        db.executescript(f"begin immediate; {_SCHEMA} pragma user_version = {_VERSION}; commit;")


def get(db: sqlite3.Connection, key: str) -> Any:
    """Return what `put` wrote; None where it wrote nothing."""
    row = db.execute("select value from meta where key = ?", (key,)).fetchone()
    return json.loads(row[0]) if row else None


def put(db: sqlite3.Connection, key: str, value: Any) -> None:
    """Write one *value* that is not of a transcript."""
    db.execute("insert or replace into meta values (?, ?)", (key, json.dumps(value)))


def is_damage(error: Exception) -> bool:
    """Tell whether *error* means that what stands in the file cannot be used."""
    if isinstance(error, sqlite3.Error):
        return _code(error) not in _NO_DAMAGE
    return isinstance(error, ValueError | TypeError | LookupError)


def is_locked(error: sqlite3.Error) -> bool:
    """Tell whether another call writes just now."""
    return _code(error) in _LOCKED


def _code(error: sqlite3.Error) -> int:
    """Return the code of an error of the library; 0 for one of its caller."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF
