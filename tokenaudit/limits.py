"""What Claude Code told the status line: official limits, and its own totals. Evidence, never usage.

One small JSON file for each session, in a folder of their own; `statusline` writes them, reports read
them. What sessions of long ago left stands in lines of one file, so that the folder stays small.
Figures of Anthropic's servers and of Claude Code stand beside ours and are never mixed in.
Standard library only, and little of it: the status line has 30 milliseconds.
"""

import json
import os

from tokenaudit.files import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

__all__ = ["ASIDE", "FOLDER", "FORMAT", "SETTLED", "Limit", "latest", "read", "read_all"]

FOLDER = "evidence"
"""Name of the folder below that of the platform's data."""

FORMAT = 1
"""Number of the shape of a file: `{format, session_id, recorded_at, model, version,
total_cost_usd, rate_limits: {name: {used_percentage, resets_at}}}`; times are seconds since 1970."""

SETTLED = "settled.jsonl"
"""Name of the file that holds, a line each, what sessions of long ago left."""

ASIDE = ".settling"
"""How the name of a file ends whose line is being appended to SETTLED."""

_MOST_BYTES = 1 << 16


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
            yield from filter(None, map(_evidence, _content(path, inputs.GIBIBYTE).splitlines()))
        elif name.endswith((".json", ASIDE)) and (found := read(path)):
            yield found


def _content(path: str, most: int) -> bytes:
    try:
        return inputs.read(path, most, follow_links=False)
    except OSError:
        return b""


def read(path: str) -> "Mapping[str, Any] | None":
    """Return what the file of one session says; None where it is no evidence of this format."""
    return _evidence(_content(path, _MOST_BYTES))


def _evidence(data: bytes) -> "Mapping[str, Any] | None":
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    is_ours = isinstance(found, dict) and found.get("format") == FORMAT
    return found if is_ours else None


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
