"""Lets one run at a time change what several share: a lock of the system's, which dies with its owner."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from warnings import catch_warnings, simplefilter

__all__ = ["held"]

_PRIVATE: Final = 0o600
_CANNOT_LOCK: Final = frozenset(
    {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
)
"""What file systems say that have no locks, such as those of some networks."""


@contextmanager
def held(path: Path, patience_s: float) -> Iterator[bool]:
    """Hold the lock at *path*; yield whether it is one of the system's.

    Where the file system has none, a file beside it stands in for one: if its owner is killed, the
    next run of the same machine finds that out, another machine waits in vain. Raises TimeoutError
    where another holds it for longer than *patience_s*, OSError where none can be had.
    """
    from filelock import FileLock, SoftFileLock

    lock = FileLock(path, timeout=patience_s, mode=_PRIVATE)
    is_native = True
    try:
        with catch_warnings():
            simplefilter("ignore")  # of what it does where there is no flock at all
            lock.acquire()
    except TimeoutError:
        raise
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _CANNOT_LOCK:
            raise
        is_native = False
    if not is_native:
        lock = SoftFileLock(f"{path}.held", timeout=patience_s, mode=_PRIVATE)
        lock.acquire()
    try:
        yield is_native
    finally:
        lock.release()
