"""The screen of a person: a picture of how things stand, drawn anew when it has changed.

The only part that knows a terminal. It takes the alternate screen, so that at its end the terminal is
as it was, with a summary below.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from time import monotonic
from types import FrameType
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live as Screen
from rich.text import Text

from tokenaudit.live.event_builder import tokens_by_minute
from tokenaudit.live.events import Event, Snapshot
from tokenaudit.live.incremental_ledger import IncrementalLedger
from tokenaudit.live.watch.dashboard_layout import DashboardStyle, Sketch, drawn, summary
from tokenaudit.live.watch.pipe_check import heed
from tokenaudit.reports.request import Request

__all__ = ["Dashboard"]

_LOOK_S: Final = 1.0
_FRESH_S: Final = 1.0
"""How long a picture is left to be read before the next one."""
_STALE_S: Final = 60.0
"""How old a picture may become: times in it pass, though nothing happens."""
_MINUTES: Final = 60
_REMEMBERED: Final = 200


class Dashboard:
    """Shows the latest snapshot and events."""

    patience_s = _LOOK_S

    def __init__(
        self, request: Request, *, has_color: bool, console: Console | None = None
    ) -> None:
        """Show what *request* selects, in its zone."""
        self._question = request
        self._zone = ZoneInfo(request.selection.timezone)
        self._console = console or Console(
            no_color=not has_color, highlight=False, soft_wrap=False, emoji=False
        )
        self._screen: Screen | None = None
        self._told: deque[tuple[datetime, Event]] = deque(maxlen=_REMEMBERED)
        self._first: Snapshot | None = None
        self._is_changed = True
        self._drawn_at = -_STALE_S
        self._size = (0, 0)
        self._must_stop = False
        self._stopping: Any = None

    def show(
        self, events: Sequence[Event], snapshot: Callable[[], Snapshot], live: IncrementalLedger
    ) -> None:
        """Take in *events*, and draw a picture if it is time for one.

        Raises BrokenPipeError when the terminal has gone.
        """
        heed()
        if self._must_stop:
            self._stop()
        now = datetime.now(self._zone)
        self._told.extend((now, event) for event in events)
        self._is_changed |= bool(events)
        age = monotonic() - self._drawn_at
        size = self._console.size
        is_due = age > (_FRESH_S if self._is_changed else _STALE_S)
        if not is_due and (size.width, size.height) == self._size:
            return
        shot = snapshot()
        self._first = self._first or shot
        try:
            self._draw(shot, live, size.width, size.height)
        except OSError as error:
            raise BrokenPipeError(*error.args) from error

    def _draw(self, shot: Snapshot, live: IncrementalLedger, width: int, height: int) -> None:
        if self._screen is None:
            self._screen = Screen(
                console=self._console, screen=True, auto_refresh=False, redirect_stderr=False
            )
            self._screen.start()
            self._heed_stops()
        lines = drawn(self._sketch(shot, live), self._style(width, height))
        self._screen.update(Text("\n").join(lines), refresh=True)
        self._is_changed = False
        self._drawn_at, self._size = monotonic(), (width, height)

    def _heed_stops(self) -> None:
        """Leave the screen before Ctrl-Z hands the terminal back to the shell."""
        if hasattr(signal, "SIGTSTP") and self._stopping is None:
            self._stopping = signal.signal(signal.SIGTSTP, self._take_stop)

    def _take_stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the form of a handler
        self._must_stop = True

    def _stop(self) -> None:
        """Stop as the shell wants it, and draw anew when it lets this program go on."""
        self._must_stop = False
        self.close()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._size = (0, 0)

    def _sketch(self, shot: Snapshot, live: IncrementalLedger) -> Sketch:
        pace = tokens_by_minute(live, self._question, shot.time, minutes=_MINUTES)
        return Sketch(shot, pace, [*self._told])

    def _style(self, width: int, height: int | None) -> DashboardStyle:
        encoding = (self._console.encoding or "ascii").lower()
        return DashboardStyle(width, height, self._zone, is_unicode=encoding.startswith("utf"))

    def end(self, snapshot: Snapshot, live: IncrementalLedger) -> None:
        """Leave the screen, and write what was used meanwhile; without a screen, the picture itself."""
        self.close()
        style = self._style(self._console.width, None)
        if self._first is None:
            lines = drawn(self._sketch(snapshot, live), style)
        else:
            lines = summary(self._first, snapshot, style)
        with suppress(OSError):  # the terminal may be gone
            for line in lines:
                self._console.print(line)

    def close(self) -> None:
        """Leave the terminal as it was."""
        screen, self._screen = self._screen, None
        if screen is not None:
            with suppress(OSError):
                screen.stop()
        if self._stopping is not None:
            signal.signal(signal.SIGTSTP, self._stopping)
            self._stopping = None
