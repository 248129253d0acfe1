"""How a command that runs until it is told to end is told: by a signal, which interrupts nothing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["Signalled", "until_signalled"]

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
"""Not all systems have all of them."""


class Signalled:
    """Whether a signal has come."""

    def __init__(self) -> None:
        """Begin with none."""
        self._is_set = False

    def is_set(self) -> bool:
        """Tell it."""
        return self._is_set

    def take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the form of a handler
        """Remember a signal; raise KeyboardInterrupt at a second one, for the first took too long."""
        if self._is_set:
            raise KeyboardInterrupt
        self._is_set = True


@contextmanager
def until_signalled() -> Iterator[Signalled]:
    """Let signals that ask to end be remembered, not raised; afterwards all is as before."""
    told = Signalled()
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, told.take) for number in numbers}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
