"""The transcripts below the roots: which have changed, and what their appended lines say.

Decides by the same plan as every report, from states kept in memory: a transcript that grew is read
from where reading ended, one that was rewritten is read anew. It watches nothing and counts nothing.
"""

import os
import stat
from collections.abc import Callable, Iterable
from typing import Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit import transcripts
from tokenaudit.live.discovery import discovered
from tokenaudit.model.terms import Reject, Transcript
from tokenaudit.store import Gathered, gather_without_store
from tokenaudit.store.index import Index, is_as_read
from tokenaudit.store.plan import Plan, plan
from tokenaudit.store.rows import Rows
from tokenaudit.transcripts import Discovery

__all__ = ["Fate", "SourceStep", "Sources"]

_GONE: Final = "gone"
_MOMENT_NS: Final = 2 * 10**9
"""The coarsest times that file systems keep."""
_META: Final = ".meta.json"
_TRANSCRIPT: Final = ".jsonl"


class Fate(Struct, frozen=True):
    """What became of a transcript that was read before: `rewritten`, `shrank` or `gone`."""

    path: str
    fate: str


class SourceStep(Struct, frozen=True):
    """What one look at the transcripts found."""

    rows: Rows
    """Those that were read now."""
    removed: frozenset[int] = frozenset()
    """Parts, read before, that no longer count: they are read again among `rows`, or gone."""
    fates: tuple[Fate, ...] = ()
    unreadable: tuple[Reject, ...] = ()
    """Folders that cannot be read."""


class Sources:
    """How far the transcripts that *find* finds have been read."""

    def __init__(
        self,
        find: Callable[[], Discovery],
        discovery: Discovery,
        known: Gathered,
        *,
        with_former: bool,
    ) -> None:
        """Start from *known*, read of *discovery*.

        *with_former*: revisions that are no longer on disk stay, as they do in a store.
        """
        self._find = find
        self._roots = discovery.roots
        self._folders: dict[str, tuple[int, int, int]] = {}
        self._with_former = with_former
        self._next_part = _next_part(known.rows)
        self._states = {state.path: state for state in known.states}
        self._parts: dict[str, dict[int, int]] = {}
        self._transcripts: dict[str, Transcript] = {}
        self._take_parts(known.rows)
        self._meet(discovery)

    @property
    def transcripts(self) -> int:
        """How many there are."""
        return len(self._transcripts)

    def look(self, paths: Iterable[str], *, now_ns: int) -> SourceStep | None:
        """Read what is new in the transcripts at *paths*, which have changed; None if nothing is.

        Where anything but known transcripts that grew is among them, all are looked at.
        """
        wanted = [path for path in paths if _matters(path)]
        touched = [self._touched(path) for path in wanted]
        grown = [one for one in touched if one is not None]
        if len(grown) < len(touched):
            return self.look_at_all(now_ns=now_ns)
        states = [
            state for one in grown if (state := self._states.get(one.path)) and not state.gone_ns
        ]
        if len(states) < len(grown):
            return self.look_at_all(now_ns=now_ns)
        made = plan(Index(files=states), Discovery(grown), is_thorough=False)
        if not all(change.goes_on for change in made.changes.values()):
            return self.look_at_all(now_ns=now_ns)
        self._transcripts.update((one.path, one) for one in grown)
        return self._step(made, now_ns)

    def look_at_all(self, *, now_ns: int) -> SourceStep | None:
        """Read what is new in any transcript; None if nothing is."""
        if self._is_all_as_it_was(now_ns):
            return None
        discovery = discovered(self._find, self._roots)
        made = plan(Index(files=[*self._states.values()]), discovery)
        self._transcripts.clear()
        self._meet(discovery)
        is_all = not discovery.rejects and discovery.roots == self._roots
        self._folders = discovery.folders if is_all else {}
        return self._step(made, now_ns)

    def _is_all_as_it_was(self, now_ns: int) -> bool:
        """Tell whether no folder and no transcript has changed since all were looked at.

        A tenth of the work of finding and planning, and sure: a folder that changes has another time
        than before, unless it changed twice within what its file system takes for one moment.
        """
        if not self._folders:
            return False
        try:
            for path, known in self._folders.items():
                found = os.stat(path)  # noqa: PTH116
                if (found.st_dev, found.st_ino, found.st_mtime_ns) != known:
                    return False
                if found.st_mtime_ns > now_ns - _MOMENT_NS:
                    return False
            for path, transcript in self._transcripts.items():
                state, found = self._states.get(path), os.stat(path)  # noqa: PTH116
                if state is None or not is_as_read(state, _stamped(transcript, found)):
                    return False
        except OSError:
            return False
        return True

    def _meet(self, discovery: Discovery) -> None:
        self._transcripts.update((one.path, one) for one in discovery.transcripts)

    def _touched(self, path: str) -> Transcript | None:
        """Return the known transcript at *path* as it is now; None for anything else."""
        known = self._transcripts.get(path)
        if known is None:
            return None
        try:
            found = os.stat(path)  # noqa: PTH116
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return _stamped(known, found)

    def _step(self, made: Plan, now_ns: int) -> SourceStep | None:
        if not made.changes and not made.discovery.rejects:
            return None
        found = gather_without_store(
            made, transcripts.read(made.extents), now_ns=now_ns, first=self._next_part
        )
        self._next_part = max(self._next_part, _next_part(found.rows))
        self._states.update((state.path, state) for state in found.states)
        fates = tuple(_fates(made))
        if not self._with_former:
            for path, change in made.changes.items():
                self._forget_former(path, is_gone=change.extent is None)
        self._take_parts(found.rows)
        removed = frozenset(
            part for path in made.changes for part in self._drop_dead(path, found.rows)
        )
        return SourceStep(found.rows, removed, fates, tuple(made.discovery.rejects))

    def _forget_former(self, path: str, *, is_gone: bool) -> None:
        state = self._states.get(path)
        if state is None:
            return
        if is_gone:
            del self._states[path]
        else:
            state.former = []

    def _take_parts(self, rows: Rows) -> None:
        for part, path, start in rows.parts.select("part", "path", "start").iter_rows():
            self._parts.setdefault(path, {})[part] = start

    def _drop_dead(self, path: str, rows: Rows) -> Iterable[int]:
        """Forget and return the parts of *path* that do not count beside those read just now.

        That is what could not be read to its end, and the half line that stood behind the last whole one.
        """
        parts = self._parts.get(path, {})
        state = self._states.get(path)
        fresh = set(rows.parts.filter(pl.col("path") == path)["part"])
        if state is not None:
            begun = {parts[part] for part in fresh if part in state.parts}
            state.parts = [
                part for part in state.parts if part in fresh or parts.get(part) not in begun
            ]
        live = fresh | set(state.all_parts() if state else ())
        dead = [part for part in parts if part not in live]
        for part in dead:
            del parts[part]
        return dead


def _stamped(transcript: Transcript, found: os.stat_result) -> Transcript:
    """Return *transcript* with what its file system says of it now."""
    return replace(
        transcript,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        device=found.st_dev,
        inode=found.st_ino,
    )


def _matters(path: str) -> bool:
    """Tell whether a change at *path* can change anything: not that of any other file."""
    return path.endswith((_TRANSCRIPT, _META)) or not os.path.isfile(path)  # noqa: PTH113


def _next_part(rows: Rows) -> int:
    highest = rows.parts["part"].max()
    return highest + 1 if isinstance(highest, int) else 0


def _fates(made: Plan) -> Iterable[Fate]:
    for path, change in made.changes.items():
        if change.extent is None:
            yield Fate(path, _GONE)
        elif change.fate is not None:
            yield Fate(path, change.fate)
