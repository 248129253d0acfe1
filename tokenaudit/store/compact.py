"""Keeps segments few, and free of rows on which nothing stands any more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tokenaudit.store import segments
from tokenaudit.store.index import FileState, Segment

__all__ = ["cleared", "merged"]

_GROWTH: Final = 2
"""Segments are merged until each holds this many times the records of all younger ones."""


def merged(written: Sequence[Segment], states: Sequence[FileState], folder: Path) -> list[Segment]:
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


def cleared(written: Sequence[Segment], states: Sequence[FileState], folder: Path) -> list[Segment]:
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
