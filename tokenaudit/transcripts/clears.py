"""Tells whether a session was begun by `/clear`: the process that it runs in was at work before it."""

from pathlib import Path
from typing import Final

import msgspec

from tokenaudit.transcripts.lines import lines_from

__all__ = ["begins_with_clear"]

_CLEAR: Final = "<command-name>/clear</command-name>"
_NEEDLE: Final = b"/clear</command-name>"
_FIRST_LINES: Final = 40


class _Message(msgspec.Struct, gc=False):
    content: str


class _Line(msgspec.Struct, gc=False):
    type: str
    message: _Message


_decode: Final = msgspec.json.Decoder(_Line).decode


def begins_with_clear(path: str) -> bool:
    """Tell whether the transcript at *path* says, before anything else was asked, that `/clear` was typed.

    Of a file that is gone nothing can be told: False.
    """
    try:
        with Path(path).open("rb") as file:
            for _, line in zip(range(_FIRST_LINES), lines_from(file, 0), strict=False):
                if b'"type":"assistant"' in line:
                    return False
                if _NEEDLE in line and _is_clear(line):
                    return True
    except OSError:
        pass
    return False


def _is_clear(line: bytes) -> bool:
    try:
        found = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return found.type == "user" and found.message.content.lstrip().startswith(_CLEAR)
