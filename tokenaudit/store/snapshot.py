"""What a run has found out: how far each transcript is known now, and what of it is to be kept."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from tokenaudit.model.terms import Transcript
from tokenaudit.store.index import FileState, Former
from tokenaudit.store.plan import FileChange, Plan
from tokenaudit.transcripts import READ_BY, joined

if TYPE_CHECKING:
    from tokenaudit.store.rows import Collector, PartEnd

__all__ = ["StoreSnapshot"]

_TICK_NS: Final = 2_000_000_000
"""The coarsest clock of a file system that is in use: FAT's."""


class StoreSnapshot:
    """The rows of a run, and the states of transcripts after it."""

    def __init__(
        self, made: Plan, collector: "Collector", now_ns: int, *, is_interrupted: bool = False
    ) -> None:
        """Take what a *collector* got of a plan; *now_ns* is when transcripts are said to be gone."""
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

    def _joined(self, change: FileChange, ends: "Sequence[PartEnd]") -> "list[PartEnd]":
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

    def _is_told(self, change: FileChange, end: "PartEnd") -> bool:
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

    def _state(self, path: str, change: FileChange, first: int) -> FileState | None:
        """Return the state of one transcript after this run; None where nothing is known of it."""
        old, extent, ends = change.old, change.extent, self._ends[path]
        if extent is None:
            return replace(old, gone_ns=self._now_ns) if old else None
        if not ends or not _is_text(path):
            return old
        stays = old is not None and change.goes_on
        blocks = old.blocks if old and stays else []
        for end in ends:
            blocks = joined(blocks, end.start, end.digests or [])
        base = change.base
        transcript = extent.transcript
        return FileState(
            path=path,
            device=transcript.device,
            inode=transcript.inode,
            size=transcript.size,
            is_sure=self._is_sure(transcript),
            mtime_ns=transcript.mtime_ns,
            ctime_ns=transcript.ctime_ns,
            end=ends[-1].end,
            blocks=blocks,
            read_by=READ_BY,
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
        """Whether size and times will tell if *transcript* changes.

        Not if it was written just now: clocks of file systems are coarse, and it may be written again
        before they tick. Nor if only the end of what was known of it has been compared.
        """
        newest = max(transcript.mtime_ns, transcript.ctime_ns)
        is_compared = self._made.is_thorough and not self._is_interrupted
        return is_compared and newest < self._now_ns - _TICK_NS

    def _former(self, change: FileChange) -> list[Former]:
        old = change.old
        if old is None:
            return []
        if change.fate is None:
            return old.former
        gone = Former(old.revision, old.parts, old.size, old.mtime_ns, change.fate, self._now_ns)
        return [*old.former, gone]


def _is_text(path: str) -> bool:
    """Tell whether UTF-8 can hold *path*: what it cannot is read in each run anew."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
