"""Runs what may end its process in a process of its own, whose death is one line: SQL of users.

Memory and time are bounded while the engine works, so that a query cannot take the machine with it.
Where processes cannot be forked all runs as it is.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["bounded", "needs_supervision", "supervised"]

_MOST_S: Final = 600
_MOST_BYTES: Final = 8 << 30
"""How long the engine may work, and how much memory it may take: half of what there is, at most that."""

_CHILDREN: Final[list[int]] = []
"""The id of this process, where another one watches over it."""


def needs_supervision(words: Sequence[str]) -> bool:
    """Tell whether the command line *words* has SQL of a user in it, or names a file of it."""
    if not hasattr(os, "fork"):
        return False
    is_rules = any(word.partition("=")[0] == "--rules" for word in words)
    first = next(iter(words), None)
    return first == "query" or (first == "check" and is_rules)


def supervised(name: str, run: Callable[[], int]) -> int:
    """Return the exit code of *run*, which runs in a process of its own; of its death, say why.

    No thread may have been started yet. In the new process it returns as well, with the code of *run*.
    """
    child = os.fork()
    if child == 0:
        _CHILDREN.append(os.getpid())
        return run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches both, and one answer is enough
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    number = signal.Signals(-code)
    if number in _REASONS:
        sys.stderr.write(f"tokenaudit: error: {name}: {_REASONS[number]}\n")
        return 2
    return 128 + number


_TOO_MUCH: Final = "it takes more memory than it may, or is nested too deeply"
_REASONS: Final = {
    getattr(signal, name): reason
    for name, reason in (
        ("SIGALRM", f"it takes longer than {_MOST_S // 60} minutes"),
        ("SIGABRT", _TOO_MUCH),
        ("SIGBUS", _TOO_MUCH),
        ("SIGSEGV", _TOO_MUCH),
        ("SIGKILL", "the system has ended it: memory is short"),
    )
    if hasattr(signal, name)
}


@contextmanager
def bounded() -> Iterator[None]:
    """While the engine works, let this process end if it takes too much; do nothing unless supervised.

    What a library says of its own death is not shown: who watches says it.
    """
    if os.getpid() not in _CHILDREN:
        yield
        return
    sys.stderr.flush()
    voice = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_MOST_S)
    try:
        with _memory():
            yield
    finally:
        signal.alarm(0)
        os.dup2(voice, 2)
        os.close(voice)


@contextmanager
def _memory() -> Iterator[None]:
    """Let no more memory be taken than is allowed, where the system tells what is taken."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        page = os.sysconf("SC_PAGE_SIZE")
        more = min(os.sysconf("SC_PHYS_PAGES") * page // 2, _MOST_BYTES)
        resource.setrlimit(resource.RLIMIT_AS, (pages * page + more, before[1]))
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, before)
