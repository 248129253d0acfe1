"""What became of the transcripts that a store knows: each version of each, and how to forget some.

A transcript has as many versions as it was rewritten or cut short; all but the present one, and
those of transcripts that are gone, are known from the store alone. Needs no Polars.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from tokenaudit.store.index import FileState, Index

__all__ = ["PRESENT", "Version", "versions", "without"]

PRESENT = "present"
"""The fate of what is still on disk."""


class Version(NamedTuple):
    """A version of a transcript, as it was read last."""

    path: str
    number: int
    fate: str
    """`present`, `gone`, `rewritten` or `shrank`."""
    found_ns: int | None
    """When that was found out; None for what is present."""
    bytes: int
    """How large it was."""
    mtime_ns: int
    parts: tuple[int, ...]
    records: int = 0
    """Responses of its own, before copies are merged."""
    first_time: datetime | None = None
    last_time: datetime | None = None
    """Of its lines; None where no line has a usable time."""

    @property
    def end(self) -> datetime:
        """The time of its last line; where no line has one, when it was written last."""
        return self.last_time or datetime.fromtimestamp(self.mtime_ns // 10**9, UTC)


def versions(index: Index) -> Iterator[Version]:
    """Yield every version of every transcript that *index* knows, without what only its rows tell."""
    for state in index.files:
        fate = PRESENT if state.gone_ns is None else "gone"
        own = (state.path, state.revision, fate, state.gone_ns, state.size, state.mtime_ns)
        yield Version(*own, tuple(state.parts))
        for former in state.former:
            of_it = (former.revision, former.fate, former.found_ns, former.size, former.mtime_ns)
            yield Version(state.path, *of_it, tuple(former.parts))


def without(index: Index, forgotten: Collection[Version]) -> Index:
    """Return *index* with nothing of the versions that are *forgotten*; its segments are as before."""
    chosen = {(version.path, version.number) for version in forgotten}
    found = (_without(state, chosen) for state in index.files)
    return replace(index, files=[state for state in found if state is not None])


def _without(state: FileState, chosen: Collection[tuple[str, int]]) -> FileState | None:
    former = [one for one in state.former if (state.path, one.revision) not in chosen]
    if (state.path, state.revision) not in chosen:
        return replace(state, former=former)
    if not former:
        return None
    # what appears under its path again must be read from its beginning
    return replace(state, parts=[], former=former, is_sure=False, is_settled=False)
