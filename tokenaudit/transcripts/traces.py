"""What transcripts mention beside usage: calls that leave none, and agents whose file may be gone.

Reads whole transcripts again, so it is asked only by those who audit. A trace is no usage: it says
that something was called, and where that stands.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, Final

from tokenaudit.rules.time import micros
from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.columns import Columns
from tokenaudit.transcripts.values import BadCountError
from tokenaudit.transcripts.visitor import lines_of, understood
from tokenaudit.transcripts.wire import RESULT_KEYS, TOOL_USE_RESULT, AnyLine

__all__ = ["TraceKind", "last_line", "traces"]


class TraceKind(StrEnum):
    """What a line mentions."""

    AGENT = "agent"
    """The result of a subagent, by its id; `tokens` is the size of the agent's last response."""
    WEB_SEARCH = "web_search"
    WEB_FETCH = "web_fetch"
    TITLE = "title"
    RECAP = "recap"


_NAMES: Final = ("path", "line", "uuid", "time", "kind", "agent_id", "calls", "tokens")
_Row = dict[str, Any]


_NEEDLES: Final = (b'"ai-title"', b'"away_summary"')
_KEYS: Final = RESULT_KEYS
_TELLING: Final = tuple(
    f'"{_KEYS[name]}"'.encode()
    for name in ("agent_id", "search_count", "duration_seconds", "code_text")
)
"""A result of a tool that holds none of these keys is no trace."""


def traces(paths: Iterable[str]) -> Columns:
    """Return the traces in the transcripts at *paths* as columns, in the order of paths and lines.

    `path, line, uuid, time` (microseconds in UTC), `kind`, `agent_id`, `calls` and `tokens`. A file
    that can no longer be read has none.
    """
    rows = [row for path in paths for row in _of_file(path)]
    return {name: [row.get(name) for row in rows] for name in _NAMES}


def _of_file(path: str) -> Iterator[_Row]:
    titles: set[str] = set()
    try:
        for found in lines_of(path, _may_tell):
            for line in understood(found.data)[0]:
                if row := _of_line(line, titles):
                    yield {"path": path, "line": found.number, **row}
    except OSError:
        return


def _may_tell(data: bytes) -> bool:
    if TOOL_USE_RESULT in data and any(key in data for key in _TELLING):
        return True
    return any(needle in data for needle in _NEEDLES)


def last_line(path: str) -> int | None:
    """Return the number of the last line of the file at *path*; None where it cannot be read."""
    try:
        return max((line.number for line in lines_of(path)), default=None)
    except OSError:
        return None


def _of_line(line: AnyLine, titles: set[str]) -> _Row | None:
    found = _found(line, titles)
    if found is None:
        return None
    return {"uuid": line.uuid, "time": micros(line.timestamp), "calls": 1, **found}


def _found(line: AnyLine, titles: set[str]) -> _Row | None:
    if line.type == "ai-title" and line.ai_title and line.ai_title not in titles:
        titles.add(line.ai_title)  # the same title is written again by every resume
        return {"kind": TraceKind.TITLE.value}
    if line.type == "system" and line.subtype == "away_summary":
        return {"kind": TraceKind.RECAP.value}
    raw = bytes(line.tool_use_result)
    return _of_result(raw) if any(key in raw for key in _TELLING) else None


def _of_result(raw: bytes) -> _Row | None:
    result = next(iter(tolerant.objects(raw)[0]), {})
    if _KEYS["search_count"] in result or {"query", _KEYS["duration_seconds"]} <= result.keys():
        return {
            "kind": TraceKind.WEB_SEARCH.value,
            "calls": _count(result.get(_KEYS["search_count"], 1)) or 0,
        }
    if {_KEYS["code_text"], "bytes"} <= result.keys():
        return {"kind": TraceKind.WEB_FETCH.value}
    if agent_id := values.text(result.get(_KEYS["agent_id"])):
        tokens = _count(result.get(_KEYS["total_tokens"]))
        return {"kind": TraceKind.AGENT.value, "agent_id": agent_id, "tokens": tokens}
    return None


def _count(value: object) -> int | None:
    try:
        return values.count(value)
    except BadCountError:
        return None
