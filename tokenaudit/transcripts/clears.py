"""Tells whether a session was begun by `/clear`: the process that it runs in was at work before it."""

from itertools import islice
from typing import Final

from tokenaudit.transcripts.visitor import lines_of, understood
from tokenaudit.transcripts.wire import AnyLine

__all__ = ["begins_with_clear"]

_CLEAR: Final = "<command-name>/clear</command-name>"
_NEEDLE: Final = b"/clear</command-name>"
_FIRST_LINES: Final = 40


def begins_with_clear(path: str) -> bool:
    """Tell whether the transcript at *path* says, before anything else was asked, that `/clear` was typed.

    Of a file that is gone nothing can be told: False.
    """
    try:
        for _, _, data in islice(lines_of(path), _FIRST_LINES):
            if b'"type":"assistant"' in data:
                return False
            if _NEEDLE in data and any(map(_is_clear, understood(data)[0])):
                return True
    except OSError:
        pass
    return False


def _is_clear(line: AnyLine) -> bool:
    if line.type != "user" or line.message is None:
        return False
    return isinstance(said := line.message.content, str) and said.lstrip().startswith(_CLEAR)
