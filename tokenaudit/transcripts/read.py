"""Reads many transcripts: over processes when there is much to read, in this one when there is not."""

import gc
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tokenaudit.model import MAIN_AGENT, Transcript
from tokenaudit.transcripts.columns import Columns, Reading
from tokenaudit.transcripts.parse import parse
from tokenaudit.transcripts.results import name_inline_agents, search_results

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

__all__ = ["Progress", "read"]

Progress = Callable[[int], None]
"""Told how many more bytes have been read."""

_MUCH: Final = 48 << 20
"""Bytes from which a second process pays for its start."""
_BATCH: Final = 16 << 20


def read(
    transcripts: Sequence[Transcript], *, jobs: int = 1, progress: Progress | None = None
) -> Iterator[Reading]:
    """Read *transcripts* in up to *jobs* processes; yield what they hold, in no special order.

    Where processes are used, they have started when this returns, and read while the caller does
    other things. *progress* is called from this process as batches are done.
    """
    batches = _batches(transcripts)
    if jobs <= 1 or _size(transcripts) < _MUCH:
        return _readings(map(_measured, batches), map, progress)
    pool = _pool(min(jobs, len(batches)))
    return _from_pool(pool, {pool.submit(_sent, batch) for batch in batches}, progress)


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
        yield from _readings((future.result() for future in done), pool.map, progress)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _readings(
    measured: Iterable[tuple[int, Reading]],
    over: Callable[..., Iterable[Reading]],
    progress: Progress | None,
) -> Iterator[Reading]:
    """Yield readings as they come, then what a second look adds; *over* maps over processes or here."""
    seen = []
    for size, reading in measured:
        seen.append(reading.transcripts)
        yield reading
        if progress is not None:
            progress(size)
    yield from over(_search, _parents_of_unfinished(seen).items())


def _measured(batch: Sequence[Transcript]) -> tuple[int, Reading]:
    return _size(batch), read_batch(batch)


def _sent(batch: Sequence[Transcript]) -> tuple[int, Reading]:
    """Read *batch* in a process of the pool."""
    size, reading = _measured(batch)
    reading.compact()
    return size, reading


def read_batch(transcripts: Iterable[Transcript]) -> Reading:
    """Read *transcripts* in this process."""
    with _no_garbage():
        parsed = [parse(transcript) for transcript in transcripts]
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


def _batches(transcripts: Sequence[Transcript]) -> list[list[Transcript]]:
    """Cut *transcripts* into batches of similar size, the large transcripts first."""
    batches: list[list[Transcript]] = []
    room = 0
    for transcript in sorted(transcripts, key=lambda transcript: -transcript.size):
        if room < transcript.size or not batches:
            batches.append([])
            room = _BATCH
        batches[-1].append(transcript)
        room -= transcript.size
    return batches


def _size(transcripts: Iterable[Transcript]) -> int:
    return sum(transcript.size for transcript in transcripts)


def _pool(workers: int) -> "ProcessPoolExecutor":
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(_start_method()))


def _start_method() -> str:
    """Fork where that is safe, for it costs nothing: on Linux, without threads, without Polars."""
    alone = threading.active_count() == 1 and "polars" not in sys.modules
    return "fork" if sys.platform == "linux" and alone else "spawn"


def _parents_of_unfinished(transcripts: Iterable[Columns]) -> dict[str, dict[str, list[str]]]:
    """Map each transcript to the unfinished subagents, by id, whose result it may hold (R4).

    An id stands for several transcripts where one is a copy of another.
    """
    of_session: dict[str, list[str]] = defaultdict(list)
    unfinished: list[tuple[str, str, str]] = []
    for columns in transcripts:
        for path, session_id, agent_id, is_unfinished in zip(
            *(
                columns.get(name, ())
                for name in ("path", "session_id", "agent_id", "is_unfinished")
            ),
            strict=True,
        ):
            of_session[session_id].append(path)
            if is_unfinished and agent_id != MAIN_AGENT:
                unfinished.append((session_id, agent_id, path))
    parents: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for session_id, agent_id, path in unfinished:
        for parent in of_session[session_id]:
            if parent != path:
                parents[parent].setdefault(agent_id, []).append(path)
    return parents


def _search(parent: tuple[str, Mapping[str, Sequence[str]]]) -> Reading:
    return Reading.of_results(search_results(*parent))
