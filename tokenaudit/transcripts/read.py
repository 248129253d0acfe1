"""Reads many transcripts: over processes when there is much to read, in this one when there is not."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from msgspec.structs import replace

from tokenaudit.model.terms import MAIN_AGENT, Transcript
from tokenaudit.transcripts.columns import Reading
from tokenaudit.transcripts.parse import Extent, parse
from tokenaudit.transcripts.sidechains import name_inline_agents

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

__all__ = ["Progress", "extents_of", "read"]

Progress = Callable[[int], None]
"""Told how many more bytes have been read."""

_MUCH: Final = 48 << 20
"""Bytes from which a second process pays for its start."""
_BATCH: Final = 16 << 20
_PART_OF_LINE: Final = 1 << 20
"""So much of a line is held at once, where only its end is looked for."""


def read(
    extents: Sequence[Extent], *, jobs: int = 1, progress: Progress | None = None
) -> Iterator[Reading]:
    """Read *extents* in up to *jobs* processes; yield what they hold, in no special order.

    Where processes are used, they have started when this returns, and read while the caller does
    other things. *progress* is called from this process as batches are done.
    """
    batches = _batches(_split(extents))
    if jobs <= 1 or sum(extent.size for extent in extents) < _MUCH:
        return _told(map(_measured, batches), progress)
    pool = _pool(min(jobs, len(batches)))
    return _from_pool(pool, {pool.submit(_sent, batch) for batch in batches}, progress)


def extents_of(transcripts: Sequence[Transcript]) -> list[Extent]:
    """Return all of *transcripts* as what is to be read."""
    with_results = _may_state_results(transcripts)
    return [
        Extent(transcript, with_results=told)
        for transcript, told in zip(transcripts, with_results, strict=True)
    ]


def _from_pool(
    pool: "ProcessPoolExecutor",
    running: "set[Future[tuple[int, Reading]]]",
    progress: Progress | None,
) -> Iterator[Reading]:
    """Yield readings as they are done; an interruption does not wait for what has not begun."""
    from concurrent.futures import as_completed

    try:
        done = as_completed(running)
        running = set()  # or every reading would be kept until the last
        yield from _told((future.result() for future in done), progress)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _told(measured: Iterable[tuple[int, Reading]], progress: Progress | None) -> Iterator[Reading]:
    """Yield readings as they come, and tell *progress* of each."""
    for size, reading in measured:
        yield reading
        if progress is not None:
            progress(size)


def _measured(batch: Sequence[Extent]) -> tuple[int, Reading]:
    return sum(extent.size for extent in batch), read_batch(batch)


def _sent(batch: Sequence[Extent]) -> tuple[int, Reading]:
    """Read *batch* in a process of the pool."""
    size, reading = _measured(batch)
    reading.compact()
    return size, reading


def read_batch(extents: Iterable[Extent]) -> Reading:
    """Read *extents* in this process."""
    with _no_garbage():
        parsed = [parse(extent) for extent in extents]
        for one in parsed:
            if one.has_inline_sidechains:
                name_inline_agents(one)
        return Reading.of(parsed)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the collector out: rows make no cycles, and looking for some takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _split(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Cut large *extents* where lines end: several processes can read one, and none holds all of it."""
    for extent in extents:
        if extent.size <= 2 * _BATCH:
            yield extent
        else:
            yield from _cut(extent)


def _cut(extent: Extent) -> Iterator[Extent]:
    end = extent.start + extent.size
    try:
        with open(extent.transcript.path, "rb") as file:  # noqa: PTH123
            while (start := _next_line(file, extent.start + _BATCH)) < end - _BATCH // 2:
                yield replace(extent, end=start)
                extent = replace(extent, start=start, known=None)
    except OSError:
        pass  # what cannot be read comes out as a reject when it is parsed
    yield extent


def _next_line(file: BinaryIO, at: int) -> int:
    """Return where the line ends in which *at* stands; where *file* ends if it has no end."""
    file.seek(at)
    while (part := file.readline(_PART_OF_LINE)) and not part.endswith(b"\n"):
        pass
    return file.tell()


def _batches(extents: Iterable[Extent]) -> list[list[Extent]]:
    """Cut *extents* into batches of similar size, the large ones first."""
    batches: list[list[Extent]] = []
    room = 0
    for extent in sorted(extents, key=lambda extent: -extent.size):
        if room < extent.size or not batches:
            batches.append([])
            room = _BATCH
        batches[-1].append(extent)
        room -= extent.size
    return batches


def _may_state_results(transcripts: Sequence[Transcript]) -> list[bool]:
    """Tell for each of *transcripts* whether it may state results of subagents that are there too.

    Those of a session's subagents stand in its own transcripts; where only lines tell the session
    of a subagent, in those beside it.
    """
    sessions: set[str] = set()
    folders: set[str] = set()
    for transcript in transcripts:
        if transcript.agent_id != MAIN_AGENT:
            if transcript.session_id is None:
                folders.add(_folder_of(transcript))
            else:
                sessions.add(transcript.session_id)
    if not folders:
        return [transcript.session_id in sessions for transcript in transcripts]
    return [
        transcript.session_id in sessions or _folder_of(transcript) in folders
        for transcript in transcripts
    ]


def _folder_of(transcript: Transcript) -> str:
    return os.path.dirname(transcript.path)  # noqa: PTH120


def _pool(workers: int) -> "ProcessPoolExecutor":
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(_start_method()))


def _start_method() -> str:
    """Fork where that is safe, for it costs nothing: on Linux, without threads, without Polars."""
    alone = threading.active_count() == 1 and "polars" not in sys.modules
    return "fork" if sys.platform == "linux" and alone else "spawn"
