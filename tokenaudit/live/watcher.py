"""Waits for changes below some folders: by the system's events, or by looking now and then.

Yields what may have changed, and never what did: who reads finds that out. It reads no transcript.
"""

import os
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from watchfiles.main import FileChange

__all__ = ["ALL", "Ending", "Watcher", "places", "rest"]

_Identity = tuple[int, int]

ALL: Final = "*"
"""Stands for all transcripts: any of them may have changed."""

_STEP_MS: Final = 40
"""How long it must be quiet before changes are yielded; each step is a wake-up of the processor."""
_DEBOUNCE_MS: Final = 100
"""How long changes are gathered at most."""
_TURN_MS: Final = 200
"""How long the system is waited for at once: an end, or other work, waits no longer."""
_RESTAT_S: Final = 30.0
"""How often all is looked at, in case the system lost an event, or one came too early."""
_SOON_S: Final = 1.0
"""How long after folders have changed all is looked at again: they may have filled before they were watched."""
_POLL_S: Final = 1.0
_NAP_S: Final = 0.1
_MOUNTS: Final = Path("/proc/self/mountinfo")
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "fuse.rclone", "drvfs"}
)
"""File systems of which the system does not tell what others write."""


def places(roots: Sequence[str]) -> list[str]:
    """Return the folders to be watched for *roots*: each with all that is below."""
    found = []
    for root in map(os.path.abspath, roots):
        projects = os.path.join(root, "projects")  # noqa: PTH118
        if os.path.isdir(projects):  # noqa: PTH112
            found.append(projects)
        elif os.path.isdir(root) and not os.path.isfile(f"{root}.jsonl"):  # noqa: PTH112, PTH113
            found.append(root)
        else:
            found.append(os.path.dirname(root))  # noqa: PTH120
    return [*dict.fromkeys(found)]


class Ending(Protocol):
    """Tells whether the watch is to end."""

    def is_set(self) -> bool:
        """Tell it."""
        ...


class Watcher:
    """Yields batches of paths that may have changed; an empty one now and then, when none has."""

    def __init__(self, roots: Sequence[str], *, poll: bool = False) -> None:
        """Begin to watch *roots*, or with *poll* to look at them; `why` says why it looks, if it must."""
        self.why: str | None = "because of --poll" if poll else None
        self._roots = roots
        self._must_poll = poll
        self._native: Generator[set[FileChange], None, None] | None = None
        self._early: set[FileChange] = set()
        self._watched: dict[str, _Identity] = {}
        self._begin()
        self._due = self._begun_at = monotonic()

    @property
    def is_polling(self) -> bool:
        """Whether it must look, for the system does not tell."""
        return self._native is None

    def _begin(self) -> None:
        if self._must_poll:
            return
        watched = places(self._roots)
        self.why = _remote(watched, _mounts())
        if self.why is not None:
            return
        from watchfiles import watch

        self._watched = _identities(watched)
        # No polling: ours looks at less. No error is passed over: it would leave folders unwatched.
        native = watch(
            *watched,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            rust_timeout=_TURN_MS,
            yield_on_timeout=True,
            debug=False,
            force_polling=False,
            ignore_permission_denied=False,
        )
        try:
            self._early = next(native)  # only now are the folders watched
        except (OSError, RuntimeError) as error:
            self.why = _unavailable(error)
        else:
            self._native = native

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self.close()

    def close(self) -> None:
        """End the watch."""
        if self._native is not None:
            self._native.close()
            self._native = None

    def _begin_anew(self) -> None:
        """Watch the folders that stand at the roots now: of those that are gone nothing is told any more."""
        if monotonic() - self._begun_at < _RESTAT_S:
            return
        self._begun_at = monotonic()
        if self._native is None or self._watched != _identities(places(self._roots)):
            self.close()
            self._begin()

    def wait(self, seconds: float, ending: Ending) -> frozenset[str]:
        """Return the paths that have changed, ALL among them when all are to be looked at.

        None at all after *seconds*, or when it is time for the *ending*.
        """
        left = max(self._due - monotonic(), 0.0)
        paths = self._changes(min(seconds, left), ending)
        if monotonic() >= self._due:
            self._begin_anew()
            self._due = monotonic() + (_POLL_S if self.is_polling else _RESTAT_S)
            return paths | {ALL}
        if any(not path.endswith(".jsonl") for path in paths):
            self._due = min(self._due, monotonic() + _SOON_S)
        return paths

    def _changes(self, seconds: float, ending: Ending) -> frozenset[str]:
        if self._native is None:
            rest(seconds, ending)
            return frozenset()
        found, self._early = self._early, set()
        until = monotonic() + seconds
        try:
            while not found and not ending.is_set() and monotonic() < until:
                found = next(self._native)
        except (OSError, RuntimeError) as error:  # a new folder was one too many
            self.close()
            self.why = _unavailable(error)
            return frozenset({ALL})
        return frozenset(path for _, path in found)


def _identities(paths: Iterable[str]) -> dict[str, _Identity]:
    """Return which folder stands at each of *paths*: device and inode."""
    found: dict[str, _Identity] = {}
    for path in paths:
        try:
            stat = os.stat(path)  # noqa: PTH116
        except OSError:
            continue
        found[path] = (stat.st_dev, stat.st_ino)
    return found


def _unavailable(error: Exception) -> str:
    """Say why in a few words: what follows in the message is where, and the same again."""
    reason = str(error).partition(" about [")[0].rstrip(".")
    hint = " (sysctl fs.inotify.max_user_watches raises it)" if "watch limit" in reason else ""
    return f"the system's events cannot be had: {reason}{hint}"


def rest(seconds: float, ending: Ending) -> None:
    """Do nothing for *seconds*, or until it is time for the *ending*."""
    until = monotonic() + seconds
    while not ending.is_set() and (left := until - monotonic()) > 0:
        sleep(min(left, _NAP_S))


def _mounts() -> dict[str, str]:
    """Return the kind of file system at each place where one is mounted; none where that is not told."""
    found: dict[str, str] = {}
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) > 4:  # noqa: PLR2004 - proc(5): the fifth is the mount point
            found[fields[4].replace("\\040", " ")] = kinds[0]
    return found


def _remote(watched: Iterable[str], mounts: dict[str, str]) -> str | None:
    """Say why the folders *watched* cannot be, if one is on a file system of *mounts* that tells nothing."""
    for path in watched:
        real = os.path.realpath(path)
        above = [real, *map(str, Path(real).parents)]
        kind = next((mounts[each] for each in above if each in mounts), None)
        if kind in _REMOTE:
            return f"{path} is on {kind}, which tells nothing of what others write"
    return None
