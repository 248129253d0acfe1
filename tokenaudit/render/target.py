"""Where a report goes: a file, whole or not at all, or standard output; it never looks inside."""

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from tokenaudit.files import atomic as files
from tokenaudit.model.errors import OutputError

__all__ = ["check", "reason_of", "write", "write_stdout"]

_REASONS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "larger than a file may be here",
    errno.EROFS: "the file system is read-only",
    errno.EBADF: "it is closed",
}
# Standard streams are written to as they are: what stands behind them is the shell's to decide.
_STREAMS: Final = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")


def check(path: str) -> None:
    """Raise OutputError if *path* plainly cannot be written, so that no work is done in vain."""
    try:
        problem = _problem(path)
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error
    if problem:
        raise OutputError(f"{path}: {problem}")


def _problem(path: str) -> str | None:
    target = Path(path)
    if target.is_dir():
        return "is a folder, not a file"
    if target.exists() and not os.access(target, os.W_OK):
        return "is not writable"
    return None if _is_written_directly(path) else _problem_of_folder(target.resolve().parent)


def _problem_of_folder(folder: Path) -> str | None:
    if not folder.exists():
        return f"its folder does not exist: {folder}"
    if not folder.is_dir():
        return f"not a folder: {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"its folder is not writable: {folder}"
    return None


def write(data: bytes, path: str, mode: int = files.PRIVATE) -> None:
    """Write *data* to *path*: afterwards it holds all of them, or on failure what it held before.

    A link stays a link, a file keeps its mode, a new one has *mode*; devices and pipes are written to
    directly. Raises OutputError with the reason; BrokenPipeError if the reader of a pipe has gone.
    """
    try:
        if _is_written_directly(path):
            _write_directly(data, path)
        else:
            files.replace(Path(path).resolve(), data, mode)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


def _is_written_directly(path: str) -> bool:
    if path.startswith(_STREAMS):
        return True
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _write_directly(data: bytes, path: str) -> None:
    """Append: a stream that the shell opened for `>>` keeps what it had, and a device does not care."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
        file.write(data)


def write_stdout(data: bytes) -> None:
    """Write *data* to standard output.

    Raises BrokenPipeError if its reader has gone, which is for the caller to end on quietly, and
    OutputError for anything else. After either nothing more goes to standard output.
    """
    if sys.stdout is None:
        raise OutputError("standard output: is closed")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _mute_stdout()
        raise
    except OSError as error:
        _mute_stdout()
        raise _cannot_write("standard output", error) from error


def _mute_stdout() -> None:
    """Let what is still buffered go nowhere: Python would try again at its end, and complain."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def reason_of(error: OSError | ValueError) -> str:
    """Return in words why something cannot be written."""
    code = error.errno if isinstance(error, OSError) else None
    return _REASONS.get(code or 0) or getattr(error, "strerror", None) or str(error)


def _cannot_write(where: str, error: OSError | ValueError) -> OutputError:
    return OutputError(f"{where}: cannot be written: {reason_of(error)}")
