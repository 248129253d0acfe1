"""Where a lake lies: names and bytes, whole or not at all; it never looks inside a part."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tokenaudit.export.lake.bucket import SCHEME, open_bucket
from tokenaudit.model.errors import OutputError, UsageError
from tokenaudit.render import target as targets

__all__ = ["Folder", "Storage", "open_storage"]


class Storage(Protocol):
    """A tree of immutable files, named by paths relative to its top, with `/`."""

    def names(self, under: str = "") -> list[str]:
        """Return the names of all files below *under*, sorted; hidden ones are no part of a lake."""

    def read(self, name: str) -> bytes:
        """Return what *name* holds; raises OSError."""

    def read_all(self, names: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield what each of *names* holds, in their order; an error is a value."""

    def modified(self, name: str) -> datetime:
        """Return when *name* was written; raises OSError."""

    def create(self, name: str, data: bytes) -> None:
        """Write *data* as *name*, whole or not at all; what is there already is the same."""

    def remove(self, name: str) -> None:
        """Remove *name*; that it is gone already is no error."""


class Folder(Struct, frozen=True):
    """A lake in a folder of a file system, local or shared."""

    top: Path

    def names(self, under: str = "") -> list[str]:
        """Return the names of all files below *under*, sorted."""
        return sorted(_names(self.top / under, under and f"{under}/"))

    def read(self, name: str) -> bytes:
        """Return what the file holds."""
        return (self.top / name).read_bytes()

    def read_all(self, names: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield what each file holds."""
        for name in names:
            try:
                yield self.read(name)
            except OSError as error:
                yield error

    def modified(self, name: str) -> datetime:
        """Return when the file was written."""
        return datetime.fromtimestamp((self.top / name).stat().st_mtime, UTC)

    def create(self, name: str, data: bytes) -> None:
        """Write a new file beside the name, bring it to disk, and only then give it the name."""
        path = self.top / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made: {error.strerror}") from error
        targets.write(data, str(path))

    def remove(self, name: str) -> None:
        """Remove the file."""
        (self.top / name).unlink(missing_ok=True)


def _names(folder: Path, prefix: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _names(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}"


def open_storage(lake: str, *, must_exist: bool) -> Storage:
    """Return the storage that *lake* names: a folder, or a bucket.

    Raises UsageError where it cannot be one, ConfigError where a bucket cannot be reached.
    """
    if lake.startswith(SCHEME):
        return open_bucket(lake, must_exist=must_exist)
    if "://" in lake:
        raise UsageError(
            f"{lake.partition('://')[0]}://: not a place that is known",
            hint="Name a folder, s3://BUCKET, sqlite:///FILE or postgresql://HOST/DATABASE.",
        )
    top = Path(lake)
    try:
        exists = top.exists()
        if exists and not top.is_dir():
            raise UsageError(f"{lake}: not a folder")
    except (OSError, ValueError) as error:
        raise UsageError(f"{lake}: cannot be opened: {error}") from error
    if not exists and must_exist:
        raise UsageError(f"{lake}: no such lake", hint="Make one with: tokenaudit export --to DIR.")
    return Folder(top)
