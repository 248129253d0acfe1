"""The index of a store: which transcripts have been read, how far, and which segments hold their rows.

One JSON file with a checksum, replaced whole. It is read without Polars: what is to be read must be
known before processes are started.
"""

import json
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit import __version__
from tokenaudit.files import atomic as files
from tokenaudit.files import inputs
from tokenaudit.model.errors import StoreError
from tokenaudit.model.terms import Transcript
from tokenaudit.transcripts import READ_BY, Digests, SessionTotal

__all__ = [
    "FORMAT",
    "MADE_BY",
    "FileState",
    "Former",
    "Index",
    "MergedSegments",
    "Segment",
    "is_as_read",
    "load",
    "save",
    "without_segments",
]

FORMAT: Final = 2
"""Raised when an older tokenaudit could misread what a newer one keeps."""
_READABLE: Final = frozenset({1, FORMAT})
"""In format 1 a transcript had digests of its two ends only: it is read again, where it is still there."""

MADE_BY: Final = f"{__version__}/2"
"""The version of merging, and of what is kept of it."""

NAME: Final = "index.json"


class Former(Struct, gc=False):
    """A revision of a transcript that is no longer on disk, though another now has its path."""

    revision: int
    parts: list[int]
    size: int
    mtime_ns: int
    fate: str
    """`rewritten`, or `shrank`."""
    found_ns: int
    """When that was found out."""


class FileState(Struct, gc=False):
    """What has been read of a transcript, and by what it is known again."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    is_sure: bool
    """Whether size and times tell if it changes; else it is looked at again, whatever they are."""
    end: int
    """Up to where its lines have been read."""
    is_settled: bool
    """Whether lines that are appended can be read on their own."""
    with_results: bool
    """Whether results of subagents were looked for."""
    has_meta: bool
    """Whether there was a file beside it that says what the agent is."""
    revision: int
    line_ends: int
    records: int
    parts: list[int]
    """Those of its present revision."""
    ctime_ns: int = 0
    blocks: Digests = []
    """Of all that has been read; none in what an older tokenaudit left."""
    read_by: int = 0
    """The version of reading that its rows are from; see READ_BY."""
    gone_ns: int | None = None
    """When it was first missed; None while it is there."""
    former: list[Former] = []

    def all_parts(self) -> list[int]:
        """Return the parts of all its revisions."""
        return [*self.parts, *(part for former in self.former for part in former.parts)]


def is_as_read(state: FileState, transcript: Transcript) -> bool:
    """Tell whether size, times and identity say that *transcript* is as it was when it was read."""
    return (
        state.is_sure
        and state.read_by == READ_BY
        and state.gone_ns is None
        and state.has_meta == transcript.has_meta
        and state.size == transcript.size
        and state.mtime_ns == transcript.mtime_ns
        and state.ctime_ns == transcript.ctime_ns
        and state.inode == transcript.inode
        and state.device == transcript.device
    )


class Segment(Struct, gc=False):
    """A file of rows."""

    name: str
    parts: list[int]
    records: int
    bytes: int


class MergedSegments(Struct, gc=False):
    """The file of what was merged of some parts."""

    name: str
    parts: list[int]
    made_by: str
    """The version that merged them: another one merges anew."""


class Index(Struct):
    """All that a store knows, apart from the rows."""

    generation: int = 0
    """Counts the changes: it tells whether another process has changed the store."""
    next_part: int = 0
    segments: list[Segment] = []
    files: list[FileState] = []
    merged: MergedSegments | None = None
    totals: list[SessionTotal] = []
    """What files beside roots stated of sessions: of each file and session what it said last."""

    def names(self) -> list[str]:
        """Return the names of all files that it stands on."""
        merged = [] if self.merged is None else [self.merged.name]
        return [*merged, *(segment.name for segment in self.segments)]

    def parts(self) -> set[int]:
        """Return the parts of all revisions of all transcripts."""
        return {part for state in self.files for part in state.all_parts()}


class _Header(Struct):
    tokenaudit_store: int
    crc32: int | None = None


_decode_header = msgspec.json.Decoder(_Header).decode
_decode_index = msgspec.json.Decoder(Index).decode
_encode = msgspec.json.Encoder().encode


def load(folder: Path) -> Index | None:
    """Return the index of the store in *folder*; None if there is none yet.

    Raises StoreError where it is damaged, foreign or of a newer format; OSError where it cannot be read.
    """
    path = folder / NAME
    try:
        data = inputs.read(path, 4 * inputs.GIBIBYTE, follow_links=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    first, _, body = data.partition(b"\n")
    try:
        header = _decode_header(first)
    except (msgspec.MsgspecError, UnicodeError):
        raise StoreError(f"{path}: is no index of tokenaudit's") from None
    if header.tokenaudit_store not in _READABLE:
        raise StoreError(
            f"{path}: has format {header.tokenaudit_store}, and this tokenaudit knows {FORMAT}",
            hint="Use the tokenaudit that wrote it, or another folder: --store DIR.",
            is_newer=header.tokenaudit_store > FORMAT,
        )
    if zlib.crc32(body) != header.crc32:
        raise StoreError(f"{path}: is damaged")
    try:
        return _decode_index(body)
    except (msgspec.MsgspecError, UnicodeError):
        raise StoreError(f"{path}: is damaged") from None


def save(index: Index, folder: Path) -> None:
    """Replace the index in *folder*, whole or not at all. Raises OSError."""
    body = _encode(index)
    header = json.dumps({"tokenaudit_store": FORMAT, "crc32": zlib.crc32(body)})
    files.replace(folder / NAME, header.encode() + b"\n" + body)


def without_segments(index: Index, damaged: Sequence[Segment]) -> Index:
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
