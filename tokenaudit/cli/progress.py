"""Shows how far reading is, on a terminal, once it has taken a while."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from tokenaudit.cli.terminal import is_terminal
from tokenaudit.transcripts import Progress

if TYPE_CHECKING:
    from tokenaudit.cli.bar import Bar

__all__ = ["progress_bar"]

_PATIENCE_S = 1.0
"""How long a user waits before a progress bar is shown."""


@contextmanager
def progress_bar(total: int) -> Iterator[Progress | None]:
    """Show how far reading is, on a terminal, once it has taken a while."""
    if not is_terminal(sys.stderr):
        yield None
        return
    patient = _PatientBar(total)
    try:
        yield patient.advance
    finally:
        patient.close()


class _PatientBar:
    """A bar that appears only when reading takes longer than a user would wait for nothing."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._started = monotonic()
        self._bar: Bar | None = None

    def advance(self, count: int) -> None:
        self._done += count
        if self._bar is None and monotonic() - self._started > _PATIENCE_S:
            from tokenaudit.cli.bar import Bar

            self._bar = Bar(self._total)
        if self._bar is not None:
            self._bar.show(self._done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
