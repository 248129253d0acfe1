"""Keeps what Claude Code says of official limits and of its own totals, where reports find it.

One small file for each session; what sessions of long ago left is gathered in one. See `limits`.
"""

from __future__ import annotations

import binascii
import json
import os
import time

from tokenaudit.limits import ASIDE, FOLDER, FORMAT, SETTLED, read
from tokenaudit.statusline.files import folders, keep, made, remove
from tokenaudit.statusline.input import number, part, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

__all__ = ["record", "settle"]

_WHEN = "recorded_at"
_DAY_S = 24 * 3600

_SETTLED_S = 30 * _DAY_S
_MOST_FILES = 200
"""How many are gathered at once, in some 30 milliseconds; the rest another day."""


def record(given: Mapping[str, Any]) -> None:
    """Keep what Claude Code says of limits and of its own total, where that has changed."""
    session, limits = part(given, "session_id"), part(given, "rate_limits")
    total = number(part(given, "cost", "total_cost_usd"))
    if not isinstance(session, str) or (total is None and not isinstance(limits, dict)):
        return
    evidence = {
        "format": FORMAT,
        "session_id": session[:200],
        "model": plain(part(given, "model", "id")),
        "version": plain(part(given, "version")),
        "total_cost_usd": None if total is None else repr(total),
        "rate_limits": limits if isinstance(limits, dict) else {},
    }
    folder = made(os.path.join(folders()[1], FOLDER))  # noqa: PTH118 - no pathlib here
    if not folder:
        return
    path = os.path.join(folder, _name(session))  # noqa: PTH118 - no pathlib here
    is_new = not os.path.lexists(path)
    known = None if is_new else read(path)
    if known and evidence == {name: value for name, value in known.items() if name != _WHEN}:
        return
    now = int(time.time())
    keep(path, json.dumps({**evidence, _WHEN: now}))
    if is_new:
        settle(folder, now)


def _name(session: str) -> str:
    """Return the name of a session's file: no path is built from an id, two checksums of it do."""
    name = session.encode("utf-8", "replace")
    return f"{binascii.crc32(name):08x}{binascii.crc32(name[::-1]):08x}.json"


def settle(folder: str, now: int) -> None:
    """Gather what sessions said that have been silent for a month; *now* is in seconds since 1970.

    Once a day at most. At any moment everything is in one file or another, whoever else writes there
    and wherever this ends: a file is set aside, its line appended, and only then it is removed. What
    two do at once is there twice, which changes nothing.
    """
    try:
        number = os.open(
            os.path.join(folder, SETTLED),  # noqa: PTH118 - no pathlib here
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0),
            0o600,
        )
    except OSError:
        return
    try:
        known = os.fstat(number)
        if not known.st_size or abs(now - known.st_mtime) >= _DAY_S:
            _gather(number, dict(_set_aside(folder, now)))
    except OSError:
        return
    finally:
        os.close(number)


def _gather(number: int, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Append what was *given* to an open file, and remove the files that it stands in."""
    # the first line may follow one that a full disk cut off
    data = "\n".join(["", *map(json.dumps, given.values())]).encode() + b"\n"
    if os.write(number, data) == len(data):
        os.fsync(number)
        for path in given:
            remove(path)


def _set_aside(folder: str, now: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what is to be gathered, and its file, which has a name now to which nobody writes."""
    for path in _silent(folder, now - _SETTLED_S)[:_MOST_FILES]:
        aside = path if path.endswith(ASIDE) else f"{path}{ASIDE}"
        if path.endswith(".tmp"):
            remove(path)
        elif read(path):
            try:
                os.replace(path, aside)  # noqa: PTH105 - no pathlib here
            except OSError:  # another status line was faster
                continue
            if found := read(aside):
                yield aside, found


def _silent(folder: str, until: int) -> list[str]:
    """Return the files that were written before *until*, and those that have been set aside."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(ASIDE):
                found.append(entry.path)
            elif entry.name.endswith((".json", ".tmp")):
                try:
                    is_silent = entry.stat().st_mtime < until
                except OSError:
                    continue
                if is_silent:
                    found.append(entry.path)
    return found
