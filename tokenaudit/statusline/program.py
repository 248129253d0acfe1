"""Runs the status line: whatever goes wrong the last good line is printed, soon, and the exit code is 0."""

from __future__ import annotations

import os
import time

from tokenaudit.statusline.evidence import record
from tokenaudit.statusline.fields import fields_of, fields_of_sample
from tokenaudit.statusline.files import folders, keep_line, last_line, made
from tokenaudit.statusline.input import given_by, read_stdin, session_id
from tokenaudit.statusline.line import DEFAULT_FORMAT, NAME, filled, painted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

__all__ = ["main"]

_ALARM_S = 4


def main(argv: Sequence[str]) -> int:
    """Print the line; *argv* may hold `--format TEMPLATE`, `--no-color` and `--demo`. Returns 0."""
    folder = session = ""
    given: dict[str, Any] = {}
    is_sample = "--demo" in argv
    try:
        _occupy_channels()
        folder = made(folders()[0])
        _set_alarm(lambda: _at_worst(argv, given, folder, session))
        if not is_sample:
            given = given_by(read_stdin())
            session = session_id(given) or ""
            record(given)
        line = _line(argv, given, folder)
        if folder and not is_sample:
            keep_line(folder, session, line)
    except BaseException:  # noqa: BLE001 - whatever it is, a status bar has no use for it
        line = _at_worst(argv, given, folder, session)
    _clear_alarm()
    _print(line)
    return 0


def _occupy_channels() -> None:
    """Let no file that is opened later become standard output because that was closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _clear_alarm() -> None:
    import signal

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _set_alarm(last: Callable[[], str]) -> None:
    """Let nothing, not even a network folder that does not answer, keep the status bar waiting."""
    import signal

    def give_up(_number: int, _frame: object) -> None:
        _print(last())
        os._exit(0)

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, _ALARM_S)


def _print(line: str) -> None:
    try:
        os.write(1, (line + "\n").encode("utf-8", "replace"))
    except OSError:
        return


def _at_worst(argv: Sequence[str], given: Mapping[str, Any], folder: str, session: str) -> str:
    """Return the session's last line, else what Claude Code says, else the name of this."""
    try:
        return last_line(folder, session) or (_line(argv, given, "") if given else NAME)
    except Exception:  # noqa: BLE001 - as above
        return NAME


def _line(argv: Sequence[str], given: Mapping[str, Any], folder: str) -> str:
    """Return the line; without a *folder* in which to keep anything what Claude Code says alone."""
    template, color = _options(argv)
    fields = (
        fields_of_sample()
        if "--demo" in argv
        else fields_of(given, folder, int(time.time() * 10**6))
    )
    written = {name: painted(*value) if color else value[0] for name, value in fields.items()}
    return filled(template, written)


def _options(argv: Sequence[str]) -> tuple[str, bool]:
    template, color = DEFAULT_FORMAT, not os.environ.get("NO_COLOR")
    for at, word in enumerate(argv):
        if word in {"--format", "-f"} and at + 1 < len(argv):
            template = argv[at + 1]
        elif word.startswith("--format="):
            template = word.partition("=")[2]
        elif word == "--no-color":
            color = False
    return template, color
