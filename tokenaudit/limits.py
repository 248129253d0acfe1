"""What Claude Code told the status line: official limits, and its own totals. Evidence, never usage.

One small JSON file for each session, in a folder of their own; `statusline` writes them, reports read
them. What sessions of long ago left is gathered as lines of one file, so that the folder stays small.
Figures of Anthropic's servers and of Claude Code stand beside ours and are never mixed in.
Standard library only, and little of it: the status line has 30 milliseconds.
"""

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

__all__ = ["FOLDER", "FORMAT", "Limit", "latest", "read_all", "settle"]

FOLDER = "evidence"
"""Name of the folder below that of the platform's data."""

FORMAT = 1
"""Number of the shape of a file: `{format, session_id, recorded_at, model, version,
total_cost_usd, rate_limits: {name: {used_percentage, resets_at}}}`; times are seconds since 1970."""

SETTLED = "settled.jsonl"
"""Name of the file that holds, a line each, what sessions of long ago left."""

_MOST_BYTES = 1 << 16
_ASIDE = ".settling"
_DAY_S = 24 * 3600
_SETTLED_S = 30 * _DAY_S
_MOST_FILES = 200
"""How many are gathered at once, in some 30 milliseconds; the rest another day."""


class Limit:
    """One official limit, as it was last told."""

    __slots__ = ("name", "recorded_at", "resets_at", "session_id", "used_percent")

    def __init__(
        self, name: str, used_percent: float, resets_at: int | None, recorded_at: int, session: str
    ) -> None:
        """Take its *name* (`five_hour`), what is used of it, and when; times in seconds since 1970."""
        self.name = name
        self.used_percent = used_percent
        self.resets_at = resets_at
        self.recorded_at = recorded_at
        self.session_id = session


def read_all(folder: str) -> "Iterator[Mapping[str, Any]]":
    """Yield what the files in *folder* say; what cannot be read as evidence is passed by.

    A session that went on after a long pause may be there twice: the later `recorded_at` counts.
    """
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - no pathlib here
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118 - no pathlib here
        if name == SETTLED:
            yield from filter(None, map(_evidence, _content(path).splitlines()))
        elif name.endswith((".json", _ASIDE)) and (found := _told(path)):
            yield found


def _content(path: str, most: int = -1) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
            return file.read(most)
    except OSError:
        return b""


def _told(path: str) -> "Mapping[str, Any] | None":
    """Return what the file of one session says; None where it is no evidence of this format."""
    return _evidence(_content(path, _MOST_BYTES))


def _evidence(data: bytes) -> "Mapping[str, Any] | None":
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    is_ours = isinstance(found, dict) and found.get("format") == FORMAT
    return found if is_ours else None


def settle(folder: str, now: int) -> None:
    """Gather what sessions said that have been silent for a month; *now* is in seconds since 1970.

    Once a day at most. At any moment everything is in one file or another, whoever else writes there
    and wherever this ends: a file is set aside, its line appended, and only then it is removed. What
    two do at once is there twice, which changes nothing.
    """
    try:
        number = os.open(
            os.path.join(folder, SETTLED),  # noqa: PTH118 - no pathlib here
            os.O_WRONLY | os.O_APPEND | os.O_CREAT,
            0o666,
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


def _gather(number: int, told: "Mapping[str, Mapping[str, Any]]") -> None:
    """Append what was *told* to an open file, and remove the files that it stands in."""
    # the first line may follow one that a full disk cut off
    data = "\n".join(["", *map(json.dumps, told.values())]).encode() + b"\n"
    if os.write(number, data) == len(data):
        os.fsync(number)
        for path in told:
            _remove(path)


def _set_aside(folder: str, now: int) -> "Iterator[tuple[str, Mapping[str, Any]]]":
    """Yield what is to be gathered, and its file, which has a name now to which nobody writes."""
    for path in _silent(folder, now - _SETTLED_S)[:_MOST_FILES]:
        aside = path if path.endswith(_ASIDE) else f"{path}{_ASIDE}"
        if path.endswith(".tmp"):
            _remove(path)
        elif _told(path):
            try:
                os.replace(path, aside)  # noqa: PTH105 - no pathlib here
            except OSError:  # another status line was faster
                continue
            if found := _told(aside):
                yield aside, found


def _silent(folder: str, until: int) -> list[str]:
    """Return the files that were written before *until*, and those that have been set aside."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_ASIDE):
                found.append(entry.path)
            elif entry.name.endswith((".json", ".tmp")):
                try:
                    is_silent = entry.stat().st_mtime < until
                except OSError:
                    continue
                if is_silent:
                    found.append(entry.path)
    return found


def _remove(path: str) -> None:
    try:
        os.remove(path)  # noqa: PTH107 - no pathlib here
    except OSError:
        return


def latest(evidence: "Iterator[Mapping[str, Any]]") -> "list[Limit]":
    """Return of each official limit what was told last, sorted by name."""
    found: dict[str, Limit] = {}
    for each in evidence:
        for limit in _limits(each):
            known = found.get(limit.name)
            if known is None or limit.recorded_at > known.recorded_at:
                found[limit.name] = limit
    return [found[name] for name in sorted(found)]


def _limits(evidence: "Mapping[str, Any]") -> "Iterator[Limit]":
    recorded, limits = evidence.get("recorded_at"), evidence.get("rate_limits")
    if not isinstance(recorded, int) or not isinstance(limits, dict):
        return
    for name, limit in limits.items():
        if not isinstance(limit, dict):
            continue
        used, resets = limit.get("used_percentage"), limit.get("resets_at")
        if isinstance(used, int | float) and not isinstance(used, bool) and used >= 0:
            resets_at = int(resets) if isinstance(resets, int | float) and resets > 0 else None
            yield Limit(name, float(used), resets_at, recorded, str(evidence.get("session_id")))
