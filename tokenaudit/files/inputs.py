"""The one way to read a file that a user or the disk names: regular files only, and bounded.

A pipe or a device may never end, or never begin; a file of rates with a gigabyte is none.
"""

import errno
import os
import stat

TYPE_CHECKING = False  # the status line reads by this too, and has no time for typing
if TYPE_CHECKING:
    from typing import IO

__all__ = ["GIBIBYTE", "MEBIBYTE", "opened", "read"]

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
_BLOCK = 1 << 20
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # what became a pipe since it was looked at is not waited for
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_KINDS = (
    (stat.S_ISFIFO, "it is a pipe, not a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
    (stat.S_ISCHR, "it is a device, not a file"),
    (stat.S_ISBLK, "it is a device, not a file"),
)


def read(path: "str | os.PathLike[str]", most: int, *, follow_links: bool = True) -> bytes:
    """Return what the regular file at *path* holds; nothing for the null device.

    Raises OSError, whose `strerror` says what is wrong, also where it holds more than *most* bytes,
    or is a link and those are not to be followed; ValueError where *path* cannot be one.
    """
    with opened(path, follow_links=follow_links) as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > most else file.read(size + 1)
        while size < len(data) <= most and (
            more := file.read(_BLOCK)
        ):  # it grows, or hides its size
            data += more
    if max(size, len(data)) > most:
        raise OSError(errno.EFBIG, f"it is larger than {_written(most)}", str(path))
    return data


def opened(path: "str | os.PathLike[str]", *, follow_links: bool = True) -> "IO[bytes]":
    """Open the regular file at *path*, or the null device, to be read. Raises as `read` does."""
    # opening a device may do something
    _check(os.stat(path, follow_symlinks=follow_links), path)  # noqa: PTH116 - no pathlib here
    number = os.open(path, _FLAGS if follow_links else _FLAGS | _NO_LINK)
    try:
        _check(os.fstat(number), path)
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def _check(found: os.stat_result, path: "str | os.PathLike[str]") -> None:
    mode = found.st_mode
    if stat.S_ISREG(mode) or _is_null_device(found):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a link, which is not followed here", str(path))
    said = next((words for is_kind, words in _KINDS if is_kind(mode)), "it is not a file")
    raise OSError(errno.EINVAL, said, str(path))


def _is_null_device(found: os.stat_result) -> bool:
    """Tell the null device, by which users say that there is nothing to read."""
    if not stat.S_ISCHR(found.st_mode):
        return False
    try:
        return os.path.samestat(found, os.stat(os.devnull))  # noqa: PTH116 - no pathlib here
    except OSError:
        return False


def _written(size: int) -> str:
    return f"{size >> 30} GiB" if size >= GIBIBYTE else f"{size >> 20} MiB"
