"""Writes files whole or not at all; it never looks inside."""

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final

__all__ = ["is_temporary", "replace"]

_PREFIX: Final = ".tokenaudit-"
_SUFFIX: Final = ".tmp"


def replace(target: Path, data: bytes) -> None:
    """Let *target* hold *data*: a new file beside it is brought to disk, and only then gets the name.

    A file keeps its mode. Raises OSError; then *target* holds what it held before.
    """
    temporary = target.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    try:
        _create(temporary, data, mode)
        temporary.replace(target)
    except BaseException:  # an interrupt too must leave nothing behind
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def is_temporary(path: Path) -> bool:
    """Tell whether *path* is a file that was not yet whole when its writer was stopped."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def _create(path: Path, data: bytes, mode: int | None) -> None:
    with path.open("xb") as file:
        if mode is not None:  # before there is anything that others might read
            path.chmod(mode)
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
