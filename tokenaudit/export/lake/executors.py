"""Who does work that can be cut into tasks: this process or several; see `cluster` for other machines.

A task that is done twice does what it does once, so that those of a process that dies are done again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

__all__ = ["MOST_TRIES", "Work", "here", "on_processes"]

Work = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Calls a function with each of some tasks, and yields what it returns in any order."""

MOST_TRIES: Final = 3
"""How often a task is begun whose worker dies."""


def here(function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
    """Do the *tasks* in this process, one after the other."""
    return map(function, tasks)


def on_processes(jobs: int) -> Work:
    """Return work on *jobs* processes; tasks of a process that dies are done again."""

    def work(function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        left = dict(enumerate(tasks))
        for tries in range(1, MOST_TRIES + 1):
            for number, result in _in_pool(jobs, function, left, is_last=tries == MOST_TRIES):
                del left[number]
                yield result
            if not left:
                return

    return work


def _in_pool(
    jobs: int, function: Callable[[Any], Any], tasks: dict[int, Any], *, is_last: bool
) -> Iterator[tuple[int, Any]]:
    """Yield the numbers of the *tasks* that were done, and their results."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Polars has threads, from which no process may be forked.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {}
        try:
            futures = {pool.submit(function, task): number for number, task in tasks.items()}
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        except BrokenProcessPool:
            if is_last:
                raise
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
