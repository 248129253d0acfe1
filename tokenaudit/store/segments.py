"""Segments: files of rows that are written once and never changed, one Parquet file per table in a ZIP.

Parquet because it comes back as columns at the speed of the disk, is small, and can be read by any
other tool; a database of rows would have to be turned into columns in each run. The ZIP makes one
commit one file, and its checksums show every flipped bit.
"""

import io
import secrets
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokenaudit.files import atomic as files
from tokenaudit.files import inputs
from tokenaudit.model.errors import StoreError
from tokenaudit.store.index import Segment

if TYPE_CHECKING:
    import polars as pl

    from tokenaudit.store.rows import Rows

__all__ = [
    "Tables",
    "load",
    "remove_others",
    "rows_of",
    "size_of",
    "table",
    "write",
    "write_tables",
]

Tables = Mapping[str, bytes]
"""What a segment holds: for each table that has rows, a Parquet file."""

_PREFIX: Final = "rows-"
MERGED: Final = "merged-"
_SUFFIX: Final = ".zip"
_TABLE: Final = ".parquet"


def write(rows: "Rows", folder: Path) -> Segment:
    """Write *rows* to a new segment in *folder*, whole or not at all. Raises OSError."""
    name, size = write_tables(rows.frames(), folder, _PREFIX)
    return Segment(name, rows.parts["part"].to_list(), rows.records.height, size)


def write_tables(
    frames: "Mapping[str, pl.DataFrame]", folder: Path, prefix: str = MERGED
) -> tuple[str, int]:
    """Write *frames* to a new file in *folder*; return its name, and its size in bytes.

    Whole or not at all. Raises OSError.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, frame in frames.items():
            if not frame.is_empty():
                archive.writestr(name + _TABLE, _parquet(frame))
    name = f"{prefix}{secrets.token_hex(8)}{_SUFFIX}"
    data = buffer.getvalue()
    files.replace(folder / name, data)
    return name, len(data)


def _parquet(frame: "pl.DataFrame") -> bytes:
    """Write *frame* without the columns that say nothing, as one group of rows: read as one chunk."""
    said = [column.name for column in frame if column.null_count() < frame.height]
    buffer = io.BytesIO()
    frame.select(said).write_parquet(
        buffer, compression="lz4", statistics=False, row_group_size=frame.height
    )
    return buffer.getvalue()


def load(name: str, folder: Path) -> Tables:
    """Return what the segment called *name* holds, without Polars.

    Raises StoreError where it is not what was written.
    """
    path = folder / name
    try:
        with inputs.opened(path, follow_links=False) as file, zipfile.ZipFile(file) as archive:
            return {name.removesuffix(_TABLE): archive.read(name) for name in archive.namelist()}
    except FileNotFoundError:
        raise StoreError(f"{path}: is missing") from None
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ) as error:
        raise StoreError(f"{path}: is damaged: {error}") from None


def rows_of(tables: Tables) -> "Rows":
    """Return the rows in *tables*. Raises StoreError where they are not rows of this format."""
    from tokenaudit.store.rows import TABLES, Rows

    return Rows(**{name: table(tables, name, schema) for name, schema in TABLES.items()})


def table(
    tables: Tables, name: str, schema: Mapping[str, Any], parts: "pl.Series | None" = None
) -> "pl.DataFrame":
    """Return the columns of *schema* of one of *tables*: its rows of *parts*, or all.

    Raises StoreError where they are not those of this format.
    """
    import polars as pl

    data = tables.get(name)
    if not data:
        return pl.DataFrame(schema=schema)
    try:
        there = pl.read_parquet_schema(io.BytesIO(data))
        columns = [name for name in schema if name in there]
        if parts is None:
            found = pl.read_parquet(io.BytesIO(data), columns=columns or None)
        else:
            wanted = pl.col("part").is_in(parts.implode())
            found = pl.scan_parquet(io.BytesIO(data)).filter(wanted).select(columns).collect()
        # A missing column takes no memory as long as it is one value for all rows.
        empty = {name: pl.lit(None, kind) for name, kind in schema.items() if name not in there}
        return found.with_columns(**empty).select(schema.keys()).cast(pl.Schema(schema))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise StoreError(f"rows of the store cannot be read: {error}") from None


def set_aside(segment: Segment, folder: Path) -> None:
    """Give *segment*, which is damaged, a name under which it is left alone. Raises OSError."""
    path = folder / segment.name
    if path.exists():
        path.rename(path.with_name(f"{segment.name}.damaged"))


def remove_others(keep: Iterable[str], folder: Path) -> None:
    """Remove the segments in *folder* but those called *keep*, and what writers left half-written."""
    kept = set(keep)
    for path in folder.iterdir():
        is_segment = path.name.startswith((_PREFIX, MERGED)) and path.name.endswith(_SUFFIX)
        if (is_segment and path.name not in kept) or files.is_temporary(path):
            path.unlink(missing_ok=True)


def size_of(folder: Path) -> int:
    """Return how many bytes the files in *folder* take; 0 where there is none. Raises OSError."""
    if not folder.is_dir():
        return 0
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another run has replaced it meanwhile
            total += path.stat().st_size
    return total
