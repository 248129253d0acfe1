"""Writes files whole or not at all, for the user alone; it never looks inside."""

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PRIVATE", "create", "is_temporary", "make_folder", "replace"]

PRIVATE: Final = 0o600
"""The mode of new files, unless the umask is stricter."""

_PREFIX: Final = ".tokenaudit-"
_SUFFIX: Final = ".tmp"
_GRACE_S: Final = 24 * 3600
"""How long a temporary file may be that of a run that still writes it."""


def replace(target: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Let *target* hold *data*: a new file beside it is brought to disk, and only then gets the name.

    A file keeps its mode, a new one has *mode*, less what the umask takes. Raises OSError; then
    *target* holds what it held before.
    """
    temporary = _temporary(target)
    kept = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    try:
        _write(temporary, data, mode, kept)
        temporary.replace(target)
    except BaseException:  # an interrupt too must leave nothing behind
        _remove(temporary)
        raise
    _sync_folder(target.parent)
    _remove_leftovers(target.parent)


def create(target: Path, data: bytes) -> bool:
    """Let *target* hold *data* if there is none yet; tell whether it does. Raises OSError."""
    temporary = _temporary(target)
    try:
        _write(temporary, data, PRIVATE, None)
        return _linked(temporary, target)
    finally:
        _remove(temporary)


def _linked(temporary: Path, target: Path) -> bool:
    """Give the file the name *target* too, if nothing has it; where there are no links, move it there."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}:
            raise
        if os.path.lexists(target):  # also a link that leads nowhere
            return False
        temporary.replace(target)
    _sync_folder(target.parent)
    return True


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make *folder* and those above it that are missing: with *mode*, less what the umask takes."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode, exist_ok=True)
    if not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def is_temporary(path: Path) -> bool:
    """Tell whether *path* is a file that was not yet whole when its writer was stopped."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def _temporary(target: Path) -> Path:
    return target.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")


def _remove(path: Path) -> None:
    """Remove a file; where that is denied, it is removed by a later run."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove what writers in *folder* have left that were killed, after a day of grace."""
    oldest = time.time() - _GRACE_S
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        os.unlink(entry.path)  # noqa: PTH108 - an entry, not a Path


def _write(path: Path, data: bytes, mode: int, kept: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        if kept is not None:  # before there is anything that others might read
            path.chmod(kept)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring the new name to disk: without this a power failure may leave the old one, or none."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows, and folders that may be written but not listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)
