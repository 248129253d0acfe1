"""Where a lake lies: names and bytes, whole or not at all; it never looks inside a part."""

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from tokenaudit.export.lake.bucket import SCHEME, open_bucket
from tokenaudit.files import atomic as files
from tokenaudit.files import inputs
from tokenaudit.model.errors import OutputError, UsageError
from tokenaudit.render import target as targets

__all__ = ["Folder", "Storage", "open_storage"]


class Storage(Protocol):
    """A tree of immutable files, named by paths relative to its top, with `/`."""

    def names(self, under: str = "") -> list[str]:
        """Return the names of all files below *under*, sorted; hidden ones are no part of a lake.

        A name that ends in `/` is a folder that cannot be listed, or that leads back to one above it.
        Raises UsageError where that is the lake itself.
        """

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
        try:
            return sorted(_names(self.top / under, under and f"{under}/"))
        except OSError as error:
            raise UsageError(f"{self.top}: cannot be listed: {error.strerror}") from error

    def read(self, name: str) -> bytes:
        """Return what the file holds."""
        return inputs.read(self.top / name, 4 * inputs.GIBIBYTE)

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
        """Write a new file beside the name, bring it to disk, and only then give it the name.

        Whoever may read the folder of the lake may read it.
        """
        path = self.top / name
        try:
            files.make_folder(self.top)
            mode = stat.S_IMODE(self.top.stat().st_mode) & 0o777 | stat.S_IRWXU
            files.make_folder(path.parent, mode)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made: {error.strerror}") from error
        targets.write(data, str(path), mode & 0o666)

    def remove(self, name: str) -> None:
        """Remove the file."""
        (self.top / name).unlink(missing_ok=True)


def _names(top: Path, start: str) -> Iterator[str]:
    """Yield the names below the folder *top*, each with *start* before it. Raises OSError."""
    pending: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(str(top), start, frozenset())]
    while pending:
        folder, prefix, above = pending.pop()
        try:
            identity = _identity(folder)
            entries = [] if identity in above else _entries(folder)
        except FileNotFoundError:
            continue
        except OSError:
            if not prefix:
                raise
            yield prefix
            continue
        if identity in above:
            yield prefix
        for path, name, is_folder in entries:
            if is_folder:
                pending.append((path, f"{prefix}{name}/", above | {identity}))
            else:
                yield prefix + name


def _identity(folder: str) -> tuple[int, int]:
    found = os.stat(folder)  # noqa: PTH116 - a lake may have a million of them
    return found.st_dev, found.st_ino


def _entries(folder: str) -> list[tuple[str, str, bool]]:
    """Return path, name and whether it is a folder of each that is not hidden. Raises OSError."""
    with os.scandir(folder) as entries:
        return [
            (entry.path, entry.name, _is_folder(entry))
            for entry in entries
            if not entry.name.startswith((".", "_"))
        ]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: whoever reads it is told
        return False


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
