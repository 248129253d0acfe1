"""Runs a command of the user's when a budget or a context comes near its limit, or over it.

The event is on its standard input as a line of JSON. It never waits for it: a slow one runs on beside
the watch, and at the end it is given a moment.
"""

import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from tokenaudit.live.events import BudgetEvent, Event, NearLimit, told
from tokenaudit.render.plain import encode

__all__ = ["Alerts"]

_MOST: Final = 8
"""Commands that run at one time; what comes beyond is dropped, and said."""
_LAST_S: Final = 5.0


class Alerts:
    """The command, and those of its runs that have not ended."""

    def __init__(self, command: str | None) -> None:
        """Run *command*, by the shell, at each alert; None: at none."""
        self._command = command
        self._running: list[subprocess.Popen[bytes]] = []

    def __call__(self, events: Iterable[Event]) -> None:
        """Run the command once for each alert among *events*."""
        for event in events:
            if self._command is not None and isinstance(event, NearLimit | BudgetEvent):
                self._run(self._command, encode(told(event)).encode() + b"\n")

    def _run(self, command: str, line: bytes) -> None:
        self._running = [each for each in self._running if each.poll() is None]
        if len(self._running) >= _MOST:
            sys.stderr.write(f"tokenaudit: --on-alert: {_MOST} still run; not run once more\n")
            return
        try:
            process = subprocess.Popen(  # noqa: S602 - the user's own command line
                command,
                shell=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,  # ours is the events'
                start_new_session=True,  # Ctrl-C ends the watch, not the message on its way
            )
        except OSError as error:
            sys.stderr.write(f"tokenaudit: --on-alert: cannot be run: {error.strerror}\n")
            return
        with suppress(OSError):  # it need not read it; a line always fits the pipe
            if process.stdin is not None:
                process.stdin.write(line)
                process.stdin.close()
        self._running.append(process)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the last runs a moment to end."""
        for process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_S)
