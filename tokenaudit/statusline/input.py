"""What Claude Code says on stdin: read without waiting long, and any of it may be missing or odd."""

from __future__ import annotations

import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["given_by", "number", "part", "path_of", "plain", "read_stdin", "session_id"]

_WAIT_S = 1.0
_MOST_BYTES = 1 << 20
_MOST_CHARACTERS = 80


def read_stdin() -> bytes:
    """Return what stands on stdin, but wait for it no longer than a second, and take no more than 1 MB."""
    import select

    if sys.stdin is None or os.isatty(0):
        return b""
    parts, size = [], 0
    deadline = time.monotonic() + _WAIT_S
    while size < _MOST_BYTES and (left := deadline - time.monotonic()) > 0:
        if os.name == "posix" and not select.select([0], [], [], left)[0]:
            break
        data = os.read(0, 1 << 16)
        if not data:
            break
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def given_by(data: bytes) -> dict[str, Any]:
    """Return what Claude Code says; nothing where that is no JSON object."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def part(given: Mapping[str, Any], *names: str) -> Any:
    """Return the value at the end of *names*; None where there is none."""
    found: Any = given
    for name in names:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def session_id(given: Mapping[str, Any]) -> str | None:
    """Return the id of the session as text that any file can hold; None where there is none."""
    found = part(given, "session_id")
    if not isinstance(found, str) or not found:
        return None
    return found.encode("utf-8", "replace").decode().replace("\n", " ")


def number(value: Any) -> float | None:
    """Return *value* where it is a number that a figure can be; else None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < 10**15 else None


def plain(text: Any) -> str:
    """Return the beginning of *text*, what would command a terminal made visible; nothing for no text."""
    if not isinstance(text, str):
        return ""
    begins = text[:_MOST_CHARACTERS]
    if begins.isprintable():
        return begins
    from tokenaudit.render.clean import visible

    return visible(begins)


def path_of(text: Any) -> str | None:
    """Return *text* where it can be the path of a transcript, which is there or may come."""
    if not isinstance(text, str) or not text.endswith(".jsonl"):
        return None
    try:
        is_path = b"\0" not in os.fsencode(text)
    except ValueError:
        return None
    is_other = os.path.exists(text) and not os.path.isfile(text)  # noqa: PTH110, PTH113 - no pathlib here
    return text if is_path and not is_other else None
