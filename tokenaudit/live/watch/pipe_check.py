"""Whether anyone still reads standard output: a pipe or a terminal may be gone while nothing is written."""

import select
import sys
from typing import Final

__all__ = ["heed"]

_GONE: Final = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)


def heed() -> None:
    """Raise BrokenPipeError if the reader of standard output has gone; not every system tells it."""
    if not hasattr(select, "poll"):
        return
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return
    poll = select.poll()
    poll.register(number, 0)
    if any(what & _GONE for _, what in poll.poll(0)):
        raise BrokenPipeError
