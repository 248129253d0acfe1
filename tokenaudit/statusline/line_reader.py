"""Reads the usage that appended lines hold, with the standard library alone, for the status line.

The rules are those of `transcripts` (R2, R4, R7, R8, R9), of which this is the part that needs no
other import; what it cannot read at once goes to that package. The one module beside it that knows
what Claude Code calls its fields: importing msgspec takes longer than the status line may.
"""

from __future__ import annotations

import json

from tokenaudit.rules.cache_writes import split
from tokenaudit.rules.iterations import tell_more
from tokenaudit.rules.time import micros

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["LineUsage", "first_time", "read_usage"]

_LARGEST = 2**53 - 1
_SYNTHETIC = "<synthetic>"


class LineUsage:
    """What one line says of one response, or of the last response of a subagent."""

    __slots__ = (
        "agent",
        "counts",
        "geo",
        "is_final",
        "is_progress",
        "is_refused",
        "is_result",
        "is_sidechain",
        "iterations",
        "message",
        "model",
        "request",
        "searches",
        "session",
        "speed",
        "tier",
        "time",
        "uuid",
    )

    agent: str | None
    counts: tuple[int, int, int, int, int]
    """Input, output, cache reads, 5-minute and 1-hour cache writes."""
    geo: str | None
    is_final: bool
    is_progress: bool
    is_refused: bool
    is_result: bool
    """Whether this is what a parent was told of the last response of *agent* (R4)."""
    is_sidechain: bool
    iterations: list[tuple[str | None, str | None, tuple[int, int, int, int, int]]]
    """Type, model and counts of each, where the top level does not tell all (R6)."""
    message: str | None
    model: str | None
    request: str | None
    searches: int
    session: str | None
    speed: str | None
    tier: str | None
    time: int | None
    """Microseconds since 1970."""
    uuid: str | None


def read_usage(data: bytes) -> Iterator[LineUsage]:
    """Yield what the whole lines of *data* say of responses, in their order."""
    for line in data.split(b"\n"):
        if b'"usage"' not in line:
            continue
        if b'"assistant"' in line or b'"toolUseResult"' in line:
            for found in _objects(line):
                try:
                    yield from _said(found)
                except (ValueError, TypeError, AttributeError):
                    continue  # a reject, which reports count and show


def first_time(data: bytes) -> int | None:
    """Return the first time that the lines of *data* tell, in microseconds since 1970."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        if data.find(b'"timestamp"', start, end) >= 0:
            for found in _objects(data[start:end]):
                if (time := micros(found.get("timestamp"))) is not None:
                    return time
        start = end + 1
    return None


def _objects(line: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        from tokenaudit.transcripts import tolerant

        return tolerant.objects(line)[0]
    return [found] if isinstance(found, dict) else []


def _said(found: dict[str, Any]) -> Iterator[LineUsage]:
    kind = found.get("type")
    if kind == "assistant":
        yield from _of_line(found, is_progress=False)
    elif kind == "progress":
        data = found["data"]
        if data.get("type") == "agent_progress" and data["message"].get("type") == "assistant":
            yield from _of_line(
                {
                    "sessionId": found.get("sessionId"),
                    **data["message"],
                    "agentId": data.get("agentId") or "unknown",
                },
                is_progress=True,
            )
    elif kind == "user" and isinstance(found.get("toolUseResult"), dict):
        result = found["toolUseResult"]
        if isinstance(result.get("usage"), dict) and result.get("agentId"):
            said = _blank()
            said.is_result = True
            said.agent = str(result["agentId"])
            said.counts = _counts(result["usage"])
            yield said


def _blank() -> LineUsage:
    said = LineUsage()
    said.agent = said.geo = said.message = said.model = said.request = None
    said.session = said.speed = said.tier = said.uuid = None
    said.time = None
    said.is_final = said.is_progress = said.is_refused = said.is_result = False
    said.is_sidechain = False
    said.iterations = []
    said.searches = 0
    return said


def _of_line(found: dict[str, Any], *, is_progress: bool) -> Iterator[LineUsage]:
    message = found.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("usage"), dict):
        return
    if message.get("model") == _SYNTHETIC:
        return
    usage = message["usage"]
    said = _blank()
    said.counts = _counts(usage, is_strict=True)
    said.agent = _text(found.get("agentId"))
    said.is_progress = is_progress
    said.is_sidechain = is_progress or found.get("isSidechain") is True
    said.message = _text(message.get("id"))
    said.model = _text(message.get("model"))
    said.request = _text(found.get("requestId"))
    said.session = _text(found.get("sessionId")) or _text(found.get("session_id"))
    said.uuid = _text(found.get("uuid"))
    said.is_final = message.get("stop_reason") is not None
    said.is_refused = message.get("stop_reason") == "refusal"
    said.geo = _text(usage.get("inference_geo"))
    said.tier = _text(usage.get("service_tier"))
    said.speed = _text(usage.get("speed"))
    tools = usage.get("server_tool_use")
    said.searches = _count(tools.get("web_search_requests")) if isinstance(tools, dict) else 0
    said.iterations = _iterations(usage.get("iterations"))
    said.time = micros(found.get("timestamp"))
    yield said


def _iterations(found: Any) -> list[tuple[str | None, str | None, tuple[int, int, int, int, int]]]:
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        return []
    if not tell_more([each.get("type") for each in found]):
        return []
    return [(_text(each.get("type")), _text(each.get("model")), _counts(each)) for each in found]


def _text(value: Any) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _counts(usage: dict[str, Any], *, is_strict: bool = False) -> tuple[int, int, int, int, int]:
    """Return the counts of *usage*, cache writes split (R7); where strict, two must be there."""
    given = usage.get("cache_creation")
    short = long = 0
    if isinstance(given, dict):
        short = _count(given.get("ephemeral_5m_input_tokens"))
        long = _count(given.get("ephemeral_1h_input_tokens"))
    return (
        _count(usage.get("input_tokens"), is_needed=is_strict),
        _count(usage.get("output_tokens"), is_needed=is_strict),
        _count(usage.get("cache_read_input_tokens")),
        *split(_count(usage.get("cache_creation_input_tokens")), short, long),
    )


def _count(value: Any, *, is_needed: bool = False) -> int:
    if type(value) is int and 0 <= value <= _LARGEST:
        return value
    if value is None and not is_needed:
        return 0
    from tokenaudit.transcripts.values import count

    return count(value)
