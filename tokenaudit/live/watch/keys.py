"""The keyboard of a watch: what is typed is not shown among the figures, and `q` ends it.

Only where standard input is a terminal of which this program is the one in front. Elsewhere it does
nothing.
"""

import os
import select
import signal
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Protocol, Self

__all__ = ["Keys"]

_ENDS: Final = b"qQ"


class _Ending(Protocol):
    def is_set(self) -> bool:
        """Tell whether it is time."""
        ...


class Keys:
    """Whether to end: because *ending* says so, or because `q` was typed."""

    def __init__(self, ending: _Ending) -> None:
        """Heed *ending*, and from the beginning of the `with` on the keyboard."""
        self._ending = ending
        self._number = -1
        self._before: list[Any] | None = None
        self._continuing: Any = None
        self.is_left = False
        """Whether `q` was typed."""

    def is_set(self) -> bool:
        """Tell whether to end."""
        if self._before is not None and not self.is_left:
            self.is_left = self._is_typed()
        return self.is_left or self._ending.is_set()

    def _is_typed(self) -> bool:
        try:
            while select.select([self._number], [], [], 0)[0]:
                typed = os.read(self._number, 1024)
                if not typed:
                    return False
                if any(each in typed for each in _ENDS):
                    return True
        except OSError:
            return False
        return False

    def __enter__(self) -> Self:
        """Take the keyboard."""
        self._take()
        if self._before is not None:
            self._continuing = signal.signal(signal.SIGCONT, lambda *_: self._take())
        return self

    def _take(self) -> None:
        """Take the keyboard, at the beginning and when the shell lets this program go on."""
        with suppress(ImportError, OSError, ValueError, AttributeError):
            import termios
            import tty

            number = sys.stdin.fileno()
            if os.tcgetpgrp(number) == os.getpgrp():  # a job in the background would be stopped
                before = termios.tcgetattr(number)
                tty.setcbreak(number, termios.TCSANOW)
                self._number, self._before = number, self._before or before

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back as it was, without what was typed meanwhile."""
        if self._before is not None:
            import termios

            signal.signal(signal.SIGCONT, self._continuing)

            before, self._before = self._before, None
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._number, termios.TCSAFLUSH, before)
