"""The store: what has been read is kept, so that nothing is parsed twice and no history is lost.

It holds facts alone, never a cost and never the text of a message. A run asks it what is to be read
(`plan`, which needs no Polars), reads that, and hands it over (`take`). Whatever is wrong with it, a
run goes on: what cannot be kept is read again next time.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.files import atomic, locks, permissions
from tokenaudit.model.errors import StoreError
from tokenaudit.store import compact, segments
from tokenaudit.store import index as indexes
from tokenaudit.store.index import (
    MADE_BY,
    FileState,
    Index,
    MergedSegments,
    Segment,
    without_segments,
)
from tokenaudit.store.plan import Plan, plan
from tokenaudit.store.segments import Tables
from tokenaudit.store.snapshot import StoreSnapshot
from tokenaudit.store.versions import Version, versions, without
from tokenaudit.transcripts import Discovery, Reading, SessionTotal, global_totals
from tokenaudit.transcripts.totals import config_places

if TYPE_CHECKING:
    import polars as pl

    from tokenaudit.store.facts import Facts
    from tokenaudit.store.rows import LazyRows, Rows
    from tokenaudit.store.status import StoreStatus

__all__ = ["Gathered", "Store"]

_LOCK: Final = "lock"
_PATIENCE_S: Final = 10
_NO_LOCKS: Final = (
    "the store's file system has no locks; a file `lock.held` in it stands in for one"
)
_MANY: Final = 20_000
"""Records that are worth reading back from the disk."""


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
        _check_place(folder)
        try:
            store = cls(folder, indexes.load(folder) or Index())
        except OSError as error:
            where = error.filename or folder
            raise StoreError(f"{where}: cannot be read: {error.strerror}") from None
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
        self.index = without_segments(self.index, damaged)

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
        return facts_of(
            rows,
            unreadable=made.discovery.rejects,
            gone=gone,
            before=before,
            stated=self._stated(made.discovery.roots, only_present=only_present),
        )

    def _stated(self, roots: Collection[str], *, only_present: bool) -> list[SessionTotal]:
        """Return what files beside *roots* state of sessions, or stated once; keep what is new."""
        now = global_totals(roots)
        known = {(one.path, one.session_id): one for one in self.index.totals}
        new = [one for one in now if known.get((one.path, one.session_id)) != one]
        if new:
            self._keep_totals(new)
        if only_present:
            return now
        beside = {path for root in roots for path in config_places(root)}
        kept = (one for one in known.values() if one.path in beside)
        return [*{(one.path, one.session_id): one for one in (*kept, *now)}.values()]

    def _keep_totals(self, totals: Sequence[SessionTotal]) -> None:
        """Keep *totals*, in place of what their files stated of the same sessions before."""
        with suppress(OSError, StoreError), self._lock():  # the next run may have more luck
            latest = indexes.load(self.folder) or Index()
            known = {(one.path, one.session_id): one for one in latest.totals}
            known |= {(one.path, one.session_id): one for one in totals}
            index = replace(latest, generation=latest.generation + 1, totals=[*known.values()])
            indexes.save(index, self.folder)
            if latest.generation == self._generation:
                self._generation = index.generation

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
            self._keep(made, StoreSnapshot(made, collector, now_ns, is_interrupted=True))
            raise
        advance = StoreSnapshot(made, collector, now_ns)
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
        from tokenaudit.store.lazy_frame import replaced
        from tokenaudit.store.merge_cache import MergeCache

        frames = merged(facts)
        with suppress(OSError, StoreError):  # the next run may have more luck
            self._keep_merged(frames)
        kept = MergeCache(lambda name, schema: frames[name].select(schema.keys()))
        return replaced(facts, kept=kept, anew=None)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let no other run change the store meanwhile. Raises TimeoutError, or OSError."""
        atomic.make_folder(self.folder)
        with locks.held(self.folder / _LOCK, _PATIENCE_S) as is_native:
            if not is_native and _NO_LOCKS not in self.notes:
                self.notes.append(_NO_LOCKS)
            yield

    def _keep_merged(self, frames: "Mapping[str, pl.DataFrame]") -> None:
        with self._lock():
            latest = indexes.load(self.folder)
            if latest is None or latest.generation != self._generation:
                return
            if latest.parts() != self._live:
                return
            name, _ = segments.write_tables(frames, self.folder)
            merged = MergedSegments(name, sorted(self._live), MADE_BY)
            index = replace(latest, generation=latest.generation + 1, merged=merged)
            indexes.save(index, self.folder)
            segments.remove_others(index.names(), self.folder)
            self._generation = index.generation

    def holdings(self) -> "StoreStatus":
        """Return what is kept, and on how much room. Raises StoreError where rows make no sense."""
        from tokenaudit.store.facts import facts_of
        from tokenaudit.store.status import StoreStatus, with_rows

        rows = self._rows()
        gone = [state.path for state in self.index.files if state.gone_ns is not None]
        return StoreStatus(
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
        try:
            with self._lock():
                return self._forget(forgotten)
        except TimeoutError:
            raise StoreError(f"{self.folder}: is in use; nothing was forgotten") from None
        except OSError as error:
            raise StoreError(f"{self.folder}: nothing was forgotten: {error.strerror}") from None

    def _forget(self, forgotten: Collection[Version]) -> list[Version]:
        """Write new segments, then the index that names them: a stop in between leaves the old store."""
        latest = without_segments(indexes.load(self.folder) or Index(), self._damaged)
        known = {(one.path, one.number): one.parts for one in versions(latest)}
        same = [one for one in forgotten if known.get((one.path, one.number)) == one.parts]
        left = without(latest, same)
        gone = {_stem(one.path) for one in same} - {_stem(state.path) for state in left.files}
        index = replace(
            left,
            totals=[total for total in latest.totals if total.session_id not in gone],
            generation=latest.generation + 1,
            segments=compact.cleared(latest.segments, left.files, self.folder),
            merged=None,
        )
        for segment in self._damaged:
            segments.set_aside(segment, self.folder)
        indexes.save(index, self.folder)
        segments.remove_others(index.names(), self.folder)
        return same

    def _keep(self, made: Plan, advance: StoreSnapshot) -> None:
        """Write down what a run has found out, if anything; what hinders it is a note."""
        if not advance.is_needed and not self._damaged:
            return
        try:
            with self._lock():
                self._commit(made, advance)
        except TimeoutError:
            self.notes.append(f"{self.folder}: is in use; nothing was kept of this run")
        except (OSError, StoreError) as error:
            reason = getattr(error, "strerror", None) or error
            self.notes.append(f"{self.folder}: nothing was kept of this run: {reason}")

    def _commit(self, made: Plan, advance: StoreSnapshot) -> None:
        """Write a segment, then the index that names it: a stop in between leaves the old store."""
        latest = indexes.load(self.folder) or Index()
        index = without_segments(latest, self._damaged)
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
            compact.merged(written, files, self.folder),
            files,
            latest.merged,
            latest.totals,
        )
        for segment in self._damaged:
            segments.set_aside(segment, self.folder)
        indexes.save(index, self.folder)
        segments.remove_others(index.names(), self.folder)
        if latest.generation == self._generation:
            self._generation = index.generation


def _stem(path: str) -> str:
    """Return what a transcript is called: the id of its session, of most."""
    return Path(path).stem


def _check_place(folder: Path) -> None:
    """Refuse a store that any user of the machine could replace, or write to."""
    try:
        place = permissions.exposed(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be looked at: {error.strerror}") from None
    if place is not None:
        raise StoreError(
            f"{folder}: refused, for any user may write to {place}",
            hint=f"chmod o-w {place}, or use another folder: --store DIR.",
        )


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


def _set_aside(folder: Path) -> Path:
    """Rename *folder*, which is no store that can be used; return its new name. Raises StoreError."""
    aside = folder.with_name(f"{folder.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        folder.rename(aside)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be used, nor set aside: {error.strerror}") from None
    return aside
