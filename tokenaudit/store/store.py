"""The store: what has been read is kept, so that nothing is parsed twice and no history is lost.

It holds facts alone, never a cost and never the text of a message. A run asks it what is to be read
(`plan`, which needs no Polars), reads that, and hands it over (`take`). Whatever is wrong with it, a
run goes on: what cannot be kept is read again next time.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.errors import StoreError
from tokenaudit.model import Transcript
from tokenaudit.store import index as indexes
from tokenaudit.store import segments
from tokenaudit.store.index import MADE_BY, FileState, Former, Index, Merged, Segment
from tokenaudit.store.plan import Change, Plan, plan
from tokenaudit.store.segments import Tables
from tokenaudit.store.versions import Version, versions, without
from tokenaudit.transcripts import Discovery, Reading

if TYPE_CHECKING:
    import polars as pl

    from tokenaudit.store.facts import Facts
    from tokenaudit.store.holdings import Holdings
    from tokenaudit.store.rows import Collector, LazyRows, PartEnd, Rows

__all__ = ["Gathered", "Store", "facts_without_store", "gather_without_store"]

_LOCK: Final = "lock"
_PATIENCE_S: Final = 10
_TICK_NS: Final = 2_000_000_000
"""The coarsest clock of a file system that is in use: FAT's."""
_MANY: Final = 20_000
"""Records that are worth reading back from the disk."""
_GROWTH: Final = 2
"""Segments are merged until each holds this many times the records of all younger ones."""


class Gathered(Struct, frozen=True):
    """What is known after a reading."""

    rows: "Rows"
    """All rows, or with `gather_without_store` those that were read."""
    states: list[FileState]
    """How far each transcript has been read; of one that could not be read at all there is none."""


class Store:
    """A store in a folder, as it was when it was opened."""

    def __init__(self, folder: Path, index: Index) -> None:
        """Wrap *index*, which was loaded from *folder*; users call `open`."""
        self.folder = folder
        self.notes: list[str] = []
        """What the user should know: what could not be used, or kept."""
        self.index = index
        self.is_damaged = False
        """Whether there is an index that cannot be used."""
        self._damaged: list[Segment] = []
        self._tables: list[Tables] = []
        self._merged: Tables | None = None
        self._generation = index.generation
        """Of the index on disk, as this run has read or written it."""
        self._live: set[int] = set()

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the store in *folder*, which need not exist yet.

        A damaged or foreign one is set aside, a damaged segment left out, each with a note. Raises
        StoreError where it is of a newer format, or can neither be read nor set aside: then the run
        goes without.
        """
        store = cls.look(folder)
        if store.is_damaged:
            store.notes[-1] += f"; set aside as {_set_aside(folder)}"
        return store

    @classmethod
    def look(cls, folder: Path) -> "Store":
        """Open the store in *folder* only to look at it: nothing is set aside.

        Where it is damaged or foreign, it is empty, with a note. Raises StoreError where it is of a
        newer format, or cannot be read.
        """
        try:
            store = cls(folder, indexes.load(folder) or Index())
        except OSError as error:
            raise StoreError(f"{folder}: cannot be read: {error.strerror}") from None
        except StoreError as error:
            if error.is_newer:
                raise
            store = cls(folder, Index())
            store.is_damaged = True
            store.notes.append(str(error))
        store._load()
        return store

    def _load(self) -> None:
        """Load all segments; where another run has replaced them meanwhile, those that it wrote."""
        tables, damaged, notes = _loaded(self.index, self.folder)
        while damaged:
            latest = indexes.load(self.folder)
            if latest is None or latest.generation == self.index.generation:
                break
            self.index = latest
            tables, damaged, notes = _loaded(latest, self.folder)
        self._tables, self._damaged = tables, damaged
        self.notes += notes
        self._merged = _merged_before(self.index, self.folder)
        self._generation = self.index.generation
        self.index = _without(self.index, damaged)

    def plan(self, discovery: Discovery) -> Plan:
        """Say what is to be read of *discovery*, and what is known."""
        return plan(self.index, discovery)

    def take(
        self,
        made: Plan,
        readings: Iterable[Reading],
        *,
        now_ns: int,
        only_present: bool = False,
    ) -> "Facts":
        """Return all facts: those that were kept, and those of *readings*, which are kept from now on.

        See `gather` for the arguments and errors.
        """
        from tokenaudit.store.facts import facts_of

        rows, states = self._taken(made, readings, now_ns=now_ns, only_present=only_present)
        gone = [state.path for state in states if state.gone_ns is not None]
        before = None
        if self.index.merged is not None and self._merged is not None:
            before = self._merged, self.index.merged.parts
        return facts_of(rows, unreadable=made.discovery.rejects, gone=gone, before=before)

    def gather(
        self,
        made: Plan,
        readings: Iterable[Reading],
        *,
        now_ns: int,
        only_present: bool = False,
    ) -> "Gathered":
        """Return all rows: those that were kept, and those of *readings*, which are kept from now on.

        *now_ns* is the time, when transcripts that are missed are said to be gone; with *only_present* what is
        no longer on disk is left out. An interruption keeps what has been read. Raises StoreError
        where the rows that were kept make no sense.
        """
        rows, states = self._taken(made, readings, now_ns=now_ns, only_present=only_present)
        return Gathered(rows.rows(), states)

    def _taken(
        self, made: Plan, readings: Iterable[Reading], *, now_ns: int, only_present: bool
    ) -> "tuple[LazyRows, list[FileState]]":
        from tokenaudit.store.rows import Collector, LazyRows

        bases = {path: change.base for path, change in made.changes.items()}
        collector = Collector(made.discovery.transcripts, bases)
        try:
            for reading in readings:
                collector.add(reading)
        except BaseException:
            self._keep(made, _Advance(made, collector, now_ns, is_interrupted=True))
            raise
        advance = _Advance(made, collector, now_ns)
        first = self.index.next_part
        states = [
            state for state in advance.states(first) if state.gone_ns is None or not only_present
        ]
        live = {
            part
            for state in states
            for part in (state.parts if only_present else state.all_parts())
        }
        read = advance.rows.renumbered(first)
        # What was read of a transcript that could not be read to its end counts, and is not kept.
        live.update({*read.parts["part"]} - {part + first for part in advance.needless})
        self._live = live
        self._keep(made, advance)
        # Where much was read it is let go, and read back column by column: that takes less room.
        is_on_disk = read.records.height > _MANY and self._has_all_on_disk()
        kept = [partial(segments.table, tables) for tables in self._tables]
        return LazyRows(kept if is_on_disk else [*kept, read.columns], live), states

    def _has_all_on_disk(self) -> bool:
        """Load what is kept now; tell whether it is all that this run has found out."""
        with suppress(OSError, StoreError):
            latest = indexes.load(self.folder)
            if latest is None or latest.generation != self._generation:
                return False
            if not latest.parts() >= self._live:
                return False
            self._tables = [segments.load(one.name, self.folder) for one in latest.segments]
            return True
        return False

    def settled(
        self, facts: "Facts", merged: "Callable[[Facts], Mapping[str, pl.DataFrame]]"
    ) -> "Facts":
        """Return *facts*, which `take` gave, with what is *merged* of them; keep that if much is new.

        On disk it is kept only where they are all facts of the store, and no other run has changed it
        since.
        """
        if facts.kept is not None and not facts.kept.is_stale:
            return facts
        from tokenaudit.store.kept import Kept

        frames = merged(facts)
        with suppress(OSError, StoreError):  # the next run may have more luck
            self._keep_merged(frames)
        return facts.with_kept(Kept(lambda name, schema: frames[name].select(schema.keys())))

    def _keep_merged(self, frames: "Mapping[str, pl.DataFrame]") -> None:
        from filelock import FileLock

        with FileLock(self.folder / _LOCK, timeout=_PATIENCE_S):
            latest = indexes.load(self.folder)
            if latest is None or latest.generation != self._generation:
                return
            if latest.parts() != self._live:
                return
            name, _ = segments.write_tables(frames, self.folder)
            merged = Merged(name, sorted(self._live), MADE_BY)
            index = replace(latest, generation=latest.generation + 1, merged=merged)
            indexes.save(index, self.folder)
            segments.remove_others(index.names(), self.folder)
            self._generation = index.generation

    def holdings(self) -> "Holdings":
        """Return what is kept, and on how much room. Raises StoreError where rows make no sense."""
        from tokenaudit.store.facts import facts_of
        from tokenaudit.store.holdings import Holdings, with_rows

        rows = self._rows()
        gone = [state.path for state in self.index.files if state.gone_ns is not None]
        return Holdings(
            folder=self.folder,
            format=indexes.FORMAT,
            bytes=segments.size_of(self.folder),
            segments=len(self.index.segments),
            is_there=self.is_damaged or self.index.generation > 0,
            is_damaged=self.is_damaged,
            facts=facts_of(rows, gone=gone),
            versions=with_rows(self.index, rows),
        )

    def _rows(self) -> "Rows":
        """Return all rows that are kept and still stand for something."""
        from tokenaudit.store.rows import united

        live = {part for state in self.index.files for part in state.all_parts()}
        return united(segments.rows_of(tables) for tables in self._tables).of(live)

    def forget(self, forgotten: Collection[Version]) -> list[Version]:
        """Forget these versions, whose rows then leave the disk; return those that were forgotten.

        What another run has changed since this store was opened stays. Raises StoreError where it
        cannot be done; then all is as it was.
        """
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.folder / _LOCK, timeout=_PATIENCE_S):
                return self._forget(forgotten)
        except Timeout:
            raise StoreError(f"{self.folder}: is in use; nothing was forgotten") from None
        except OSError as error:
            raise StoreError(f"{self.folder}: nothing was forgotten: {error.strerror}") from None

    def _forget(self, forgotten: Collection[Version]) -> list[Version]:
        """Write new segments, then the index that names them: a stop in between leaves the old store."""
        latest = _without(indexes.load(self.folder) or Index(), self._damaged)
        known = {(one.path, one.number): one.parts for one in versions(latest)}
        same = [one for one in forgotten if known.get((one.path, one.number)) == one.parts]
        left = without(latest, same)
        index = replace(
            left,
            generation=latest.generation + 1,
            segments=_cleared(latest.segments, left.files, self.folder),
            merged=None,
        )
        for segment in self._damaged:
            segments.set_aside(segment, self.folder)
        indexes.save(index, self.folder)
        segments.remove_others(index.names(), self.folder)
        return same

    def _keep(self, made: Plan, advance: "_Advance") -> None:
        """Write down what a run has found out, if anything; what hinders it is a note."""
        if not advance.is_needed and not self._damaged:
            return
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / _LOCK, timeout=_PATIENCE_S):
                self._commit(made, advance)
        except Timeout:
            self.notes.append(f"{self.folder}: is in use; nothing was kept of this run")
        except (OSError, StoreError) as error:
            reason = getattr(error, "strerror", None) or error
            self.notes.append(f"{self.folder}: nothing was kept of this run: {reason}")

    def _commit(self, made: Plan, advance: "_Advance") -> None:
        """Write a segment, then the index that names it: a stop in between leaves the old store."""
        latest = indexes.load(self.folder) or Index()
        index = _without(latest, self._damaged)
        known = {state.path: state for state in index.files}
        paths = [path for path, change in made.changes.items() if known.get(path) == change.old]
        states = {state.path: state for state in advance.states(index.next_part, paths)}
        rows = advance.rows.renumbered(index.next_part).of(
            {part for state in states.values() for part in state.all_parts()}
        )
        files = [*{**known, **states}.values()]
        written = [*index.segments]
        if not rows.parts.is_empty():
            written.append(segments.write(rows, self.folder))
        index = Index(
            latest.generation + 1,
            index.next_part + advance.rows.parts.height,
            _merged(written, files, self.folder),
            files,
            latest.merged,
        )
        for segment in self._damaged:
            segments.set_aside(segment, self.folder)
        indexes.save(index, self.folder)
        segments.remove_others(index.names(), self.folder)
        if latest.generation == self._generation:
            self._generation = index.generation


def _loaded(index: Index, folder: Path) -> tuple[list[Tables], list[Segment], list[str]]:
    """Return what the segments hold, those that are damaged, and what is to be said of them."""
    tables, damaged, notes = [], [], []
    for segment in index.segments:
        try:
            tables.append(segments.load(segment.name, folder))
        except StoreError as error:
            damaged.append(segment)
            notes.append(f"{error}; what it held is read again where it is still on disk")
    return tables, damaged, notes


def _merged_before(index: Index, folder: Path) -> Tables | None:
    """Return what was merged before; None where nothing was, or it is of no use: it is made again."""
    if index.merged is None or index.merged.made_by != MADE_BY:
        return None
    with suppress(StoreError):
        return segments.load(index.merged.name, folder)
    return None


class _Advance:
    """What a run has found out: how far each transcript is known now."""

    def __init__(
        self, made: Plan, collector: "Collector", now_ns: int, *, is_interrupted: bool = False
    ) -> None:
        self.rows = collector.rows()
        """All that was read: also of what could not be read to its end, which is not kept."""
        self._made = made
        self._now_ns = now_ns
        self._is_interrupted = is_interrupted
        self._ends = {
            path: self._joined(change, collector.ends.get(path, ()))
            for path, change in made.changes.items()
        }
        self.needless = {
            end.part
            for path, ends in self._ends.items()
            for end in ends
            if not self._is_told(made.changes[path], end)
        }
        """Parts in which nothing was read behind what was known: they are not kept."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to be kept."""
        return any(
            self._ends[path] or change.extent is None for path, change in self._made.changes.items()
        )

    def _joined(self, change: Change, ends: "Sequence[PartEnd]") -> "list[PartEnd]":
        """Return those of *ends* that follow on one another, from where reading began."""
        joined: list[PartEnd] = []
        at = change.extent.start if change.extent else 0
        for end in sorted(ends, key=lambda end: end.start):
            if end.digests is None or end.start != at:
                break
            joined.append(end)
            at = end.end
        is_whole = len(joined) == len(ends) or self._is_interrupted
        return joined if is_whole else []

    def _is_told(self, change: Change, end: "PartEnd") -> bool:
        """Tell whether anything stood in a part; one of each transcript is needed in any case."""
        stays = change.old is not None and change.old.parts and change.goes_on
        return end.bytes > 0 or not stays

    def states(self, first: int, paths: Collection[str] | None = None) -> list[FileState]:
        """Return the states of all that is known, or of the changed *paths*, after this run.

        New parts are numbered from *first* on.
        """
        if paths is None:
            old = {state.path: state for state in self._made.known}
            changed = self.states(first, self._made.changes)
            return [*{**old, **{state.path: state for state in changed}}.values()]
        found = (self._state(path, self._made.changes[path], first) for path in paths)
        return [state for state in found if state is not None]

    def _state(self, path: str, change: Change, first: int) -> FileState | None:
        """Return the state of one transcript after this run; None where nothing is known of it."""
        old, extent, ends = change.old, change.extent, self._ends[path]
        if extent is None:
            return replace(old, gone_ns=self._now_ns) if old else None
        digests = ends[-1].digests if ends else None
        if digests is None or not _is_text(path):
            return old
        stays = old is not None and change.goes_on
        base = change.base
        transcript = extent.transcript
        return FileState(
            path=path,
            device=transcript.device,
            inode=transcript.inode,
            size=transcript.size,
            is_sure=self._is_sure(transcript),
            mtime_ns=transcript.mtime_ns,
            end=ends[-1].end,
            digests=digests,
            is_settled=all(end.is_settled for end in ends),
            with_results=extent.with_results,
            has_meta=transcript.has_meta,
            revision=base.revision,
            line_ends=base.line_ends + sum(end.line_ends for end in ends),
            records=base.records + sum(end.records for end in ends),
            parts=[
                *(old.parts if old and stays else ()),
                *(end.part + first for end in ends if end.part not in self.needless),
            ],
            former=self._former(change),
        )

    def _is_sure(self, transcript: Transcript) -> bool:
        """Whether size and time will tell if *transcript* changes.

        Not if it was written just now: clocks of file systems are coarse, and it may be written again
        before they tick.
        """
        return not self._is_interrupted and transcript.mtime_ns < self._now_ns - _TICK_NS

    def _former(self, change: Change) -> list[Former]:
        old = change.old
        if old is None:
            return []
        if change.fate is None:
            return old.former
        gone = Former(old.revision, old.parts, old.size, old.mtime_ns, change.fate, self._now_ns)
        return [*old.former, gone]


def gather_without_store(
    made: Plan, readings: Iterable[Reading], *, now_ns: int, first: int = 0
) -> Gathered:
    """Return what *readings* of the changes of *made* say, their parts numbered from *first* on.

    The states are those of all that *made* knows. For who keeps rows and states in memory.
    """
    from tokenaudit.store.rows import Collector

    bases = {path: change.base for path, change in made.changes.items()}
    collector = Collector(made.discovery.transcripts, bases)
    for reading in readings:
        collector.add(reading)
    advance = _Advance(made, collector, now_ns)
    return Gathered(advance.rows.renumbered(first), advance.states(first))


def facts_without_store(discovery: Discovery, readings: Iterable[Reading]) -> "Facts":
    """Return what *readings*, of all transcripts of *discovery*, say."""
    from tokenaudit.store.facts import facts_of
    from tokenaudit.store.rows import Collector

    collector = Collector(discovery.transcripts, {})
    for reading in readings:
        collector.add(reading)
    return facts_of(collector.rows(), unreadable=discovery.rejects)


def _is_text(path: str) -> bool:
    """Tell whether UTF-8 can hold *path*: what it cannot is read in each run anew."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without(index: Index, damaged: Sequence[Segment]) -> Index:
    """Return *index* without the *damaged* segments: what they held is to be read again."""
    lost = {part for segment in damaged for part in segment.parts}
    if not lost:
        return index
    names = {segment.name for segment in damaged}
    return replace(
        index,
        segments=[segment for segment in index.segments if segment.name not in names],
        files=[
            state if lost.isdisjoint(state.all_parts()) else _with_loss(state, lost)
            for state in index.files
        ],
    )


def _with_loss(state: FileState, lost: Collection[int]) -> FileState:
    left = [
        replace(one, parts=[part for part in one.parts if part not in lost]) for one in state.former
    ]
    parts = [part for part in state.parts if part not in lost]
    if len(parts) == len(state.parts):
        return replace(state, former=left)
    return replace(state, parts=parts, former=left, is_sure=False, is_settled=False)


def _merged(written: Sequence[Segment], states: Sequence[FileState], folder: Path) -> list[Segment]:
    """Merge the youngest segments where they have become many: each commit makes one."""
    start, younger = len(written), 0
    for at in range(len(written) - 1, 0, -1):
        younger += written[at].records
        if written[at - 1].records <= _GROWTH * younger:
            start = at - 1
    if start >= len(written):
        return [*written]
    from tokenaudit.store.rows import united

    live = {part for state in states for part in state.all_parts()}
    rows = united(segments.rows_of(segments.load(one.name, folder)) for one in written[start:])
    return [*written[:start], segments.write(rows.of(live), folder)]


def _cleared(
    written: Sequence[Segment], states: Sequence[FileState], folder: Path
) -> list[Segment]:
    """Write those segments anew that hold more than what *states* stand on; return all there are then."""
    live = {part for state in states for part in state.all_parts()}
    cleared = []
    for segment in written:
        if live.issuperset(segment.parts):
            cleared.append(segment)
        elif not live.isdisjoint(segment.parts):
            rows = segments.rows_of(segments.load(segment.name, folder))
            cleared.append(segments.write(rows.of(live), folder))
    return cleared


def _set_aside(folder: Path) -> Path:
    """Rename *folder*, which is no store that can be used; return its new name. Raises StoreError."""
    aside = folder.with_name(f"{folder.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        folder.rename(aside)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be used, nor set aside: {error.strerror}") from None
    return aside
