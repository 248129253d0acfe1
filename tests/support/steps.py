"""The steps by which a process changes the disk, and what befalls it at one of them; quick to import."""

import os
import signal
import sys

__all__ = ["KILL", "Steps", "hooked"]

KILL = 0
"""Instead of the number of an error: the process is killed without warning before the step."""

_CALLS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.link", "fcntl.flock"})


class Steps:
    """Counts down to the step that fails, with an error or with the process."""

    def __init__(self) -> None:
        """Let no step fail as yet."""
        self.left = 0
        """How many steps it is to the one that fails; none does where this is 0."""
        self.number = KILL
        self.failed = ""
        """Which call the step was."""
        self.reached: int | None = None
        """The file descriptor that is told which call it was, before the process dies of it."""

    def count(self, event: str, args: tuple[object, ...]) -> None:
        """Take an event of the interpreter."""
        if not self.left or not _is_step(event, args):
            return
        self.left -= 1
        if self.left:
            return
        self.failed = event
        if self.reached is not None:
            os.write(self.reached, event.encode())
        if self.number == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.number, os.strerror(self.number))


_HOOKED: list[Steps] = []


def hooked() -> Steps:
    """Return what counts the steps of this process from the first call on: no hook can be taken away."""
    if not _HOOKED:
        _HOOKED.append(Steps())
        sys.addaudithook(_HOOKED[0].count)
    return _HOOKED[0]


def _is_step(event: str, args: tuple[object, ...]) -> bool:
    if event != "open":
        return event in _CALLS
    writes = isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR))
    return writes and args[0] != os.devnull
