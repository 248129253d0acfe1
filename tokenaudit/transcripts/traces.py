"""What transcripts mention beside usage: calls that leave none, and agents whose file may be gone.

Reads whole transcripts again, so it is asked only by those who audit. A trace is no usage: it says
that something was called, and where that stands.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, BinaryIO, Final

import msgspec

from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.columns import Columns
from tokenaudit.transcripts.lines import LONGEST_LINE
from tokenaudit.transcripts.values import BadCountError

__all__ = ["TraceKind", "last_line", "numbered_lines", "traces"]


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


class _Line(msgspec.Struct, gc=False, rename="camel"):
    type: str | None = None
    subtype: str | None = None
    uuid: str | None = None
    timestamp: str | None = None
    ai_title: str | None = None
    tool_use_result: msgspec.Raw = msgspec.Raw()


_decode: Final = msgspec.json.Decoder(_Line).decode
_NEEDLES: Final = (b'"toolUseResult"', b'"ai-title"', b'"away_summary"')
_TELLING: Final = (b'"agentId"', b'"searchCount"', b'"durationSeconds"', b'"codeText"')
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
        with open(path, "rb") as file:  # noqa: PTH123
            for number, data in numbered_lines(file):
                if any(needle in data for needle in _NEEDLES) and (row := _of_line(data, titles)):
                    yield {"path": path, "line": number, **row}
    except OSError:
        return


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of *file* with their numbers from 1; none that is too long to be read."""
    number = 1
    while data := file.readline(LONGEST_LINE):
        if len(data) < LONGEST_LINE:
            yield number, data
        number += data.endswith(b"\n")


def last_line(path: str) -> int | None:
    """Return the number of the last line of the file at *path*; None where it cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return max((number for number, _ in numbered_lines(file)), default=None)
    except OSError:
        return None


def _of_line(data: bytes, titles: set[str]) -> _Row | None:
    try:
        line = _decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    found = _found(line, titles)
    if found is None:
        return None
    return {"uuid": line.uuid, "time": values.micros(line.timestamp), "calls": 1, **found}


def _found(line: _Line, titles: set[str]) -> _Row | None:
    if line.type == "ai-title" and line.ai_title and line.ai_title not in titles:
        titles.add(line.ai_title)  # the same title is written again by every resume
        return {"kind": TraceKind.TITLE.value}
    if line.type == "system" and line.subtype == "away_summary":
        return {"kind": TraceKind.RECAP.value}
    raw = bytes(line.tool_use_result)
    return _of_result(raw) if any(key in raw for key in _TELLING) else None


def _of_result(raw: bytes) -> _Row | None:
    result = next(iter(tolerant.objects(raw)[0]), {})
    if "searchCount" in result or {"query", "durationSeconds"} <= result.keys():
        return {
            "kind": TraceKind.WEB_SEARCH.value,
            "calls": _count(result.get("searchCount", 1)) or 0,
        }
    if {"codeText", "bytes"} <= result.keys():
        return {"kind": TraceKind.WEB_FETCH.value}
    if agent_id := values.text(result.get("agentId")):
        tokens = _count(result.get("totalTokens"))
        return {"kind": TraceKind.AGENT.value, "agent_id": agent_id, "tokens": tokens}
    return None


def _count(value: object) -> int | None:
    try:
        return values.count(value)
    except BadCountError:
        return None
