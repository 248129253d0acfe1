"""What a run has to read, given what a store knows: decided from names, sizes, times and digests alone.

A transcript whose size, times and identity are as they were costs one `stat`. Of any other, all that was read
before is read again for its digests: what changes anywhere in a file is found, for a tenth of what parsing it
would take.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from tokenaudit.store.index import FileState, Index, is_as_read
from tokenaudit.transcripts import (
    READ_BY,
    Discovery,
    Extent,
    ends_alike,
    extents_of,
    fate_of,
    is_session_id,
)

__all__ = ["Base", "FileChange", "Plan", "is_within", "plan"]


class Base(NamedTuple):
    """What is known of a transcript, to which newly read parts are added."""

    revision: int = 0
    """Counts how often the transcript has been rewritten, or replaced by another."""
    line_ends: int = 0
    """Of its present revision, up to where reading goes on."""
    records: int = 0
    """Of all its revisions."""


class FileChange(Struct, frozen=True):
    """What became of a transcript since it was read last, if ever."""

    old: FileState | None
    extent: Extent | None
    """What is to be read of it; None: it is gone."""
    fate: str | None = None
    """Of the revision that was read: `rewritten` or `shrank`; None if it goes on."""

    @property
    def goes_on(self) -> bool:
        """Whether what was read before stays, and what is read now stands behind it."""
        return self.extent is None or self.extent.start > 0

    @property
    def base(self) -> Base:
        """What reading starts from."""
        old = self.old
        if old is None:
            return Base()
        return Base(
            old.revision + bool(self.fate), old.line_ends if self.goes_on else 0, old.records
        )


class Plan(Struct, frozen=True):
    """What is to be read, and what is known already."""

    discovery: Discovery
    known: list[FileState] = field(default_factory=list)
    """The transcripts below the roots that were read before, whether or not they are there."""
    changes: dict[str, FileChange] = field(default_factory=dict)
    """By path; what has not changed is not among them."""
    is_thorough: bool = True
    """Whether digests of all that was read before were compared, and not of the last block alone."""

    @property
    def extents(self) -> list[Extent]:
        """What is to be read."""
        return [change.extent for change in self.changes.values() if change.extent is not None]


def plan(index: Index, discovery: Discovery, *, is_thorough: bool = True) -> Plan:
    """Compare what *index* knows with the transcripts that were discovered.

    Without *is_thorough*, for who looks again soon: of a transcript that has changed, only the last
    block that was read is compared.
    """
    made = Plan(discovery, is_thorough=is_thorough)
    states = {state.path: state for state in index.files}
    for extent in extents_of(discovery.transcripts):
        path = extent.transcript.path
        state = states.pop(path, None)
        if state is not None:
            made.known.append(state)
        change = _change(state, extent, is_thorough=is_thorough)
        if change is not None:
            made.changes[path] = change
    for state in _missing([*states.values()], discovery):
        made.known.append(state)
        if state.gone_ns is None:
            made.changes[state.path] = FileChange(state, None)
    return made


def _change(state: FileState | None, whole: Extent, *, is_thorough: bool) -> FileChange | None:
    """Return what has to be done for a transcript that is there; None: it is as it was."""
    if state is None:
        return FileChange(None, whole)
    transcript = whole.transcript
    is_told = whole.with_results <= state.with_results
    if is_told and is_as_read(state, transcript):
        return None
    onward = Extent(transcript, state.end, with_results=state.with_results, known=state.blocks)
    try:
        fate = _fate(state, is_thorough=is_thorough)
    except OSError:
        return FileChange(state, onward)  # what is wrong with it comes out when it is read
    is_begun = state.is_settled and state.end > 0 and state.read_by == READ_BY
    is_same_kind = is_told and transcript.has_meta == state.has_meta
    return FileChange(state, onward if not fate and is_begun and is_same_kind else whole, fate)


def _fate(state: FileState, *, is_thorough: bool) -> str | None:
    """Return what became of what was read of a transcript. Raises OSError where it cannot be read."""
    with open(state.path, "rb", buffering=0) as file:  # noqa: PTH123
        if is_thorough or not ends_alike(file, state.blocks, state.end):
            return fate_of(file, state.blocks, state.end)
    return None


def _missing(states: Sequence[FileState], discovery: Discovery) -> Iterator[FileState]:
    """Yield those of *states* below the roots that are gone; not what was found by another name."""
    if not states:
        return
    found = {(one.device, one.inode) for one in discovery.transcripts}
    for state in states:
        if is_within(state.path, discovery.roots) and _identity(state.path) not in found:
            yield state


def is_within(path: str, roots: Iterable[str]) -> bool:
    """Tell whether the transcript at *path* is one of those that discovery finds below *roots*."""
    for root in roots:
        where = os.path.abspath(root)  # noqa: PTH100 - discovery follows no links in it either
        if path == where or path.startswith(where.rstrip(os.sep) + os.sep):
            return True
        if is_session_id(Path(where).name) and path == f"{where}.jsonl":
            return True
    return False


def _identity(path: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return stat.st_dev, stat.st_ino
