"""Every line that tells usage, none merged: what tools that merge otherwise, or not at all, add up.

Read anew from transcripts, only where another total is to be explained by them.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.columns import Columns
from tokenaudit.transcripts.format import Assistant, CacheCreation, decode_assistant
from tokenaudit.transcripts.tolerant import UnreadableError
from tokenaudit.transcripts.traces import numbered_lines

__all__ = ["tellings"]

_NAMES: Final = (
    *("path", "line", "message_id", "request_id", "time", "model", "stop_reason", "speed"),
    *("inference_geo", "service_tier", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens", "web_searches"),
)
_NO_SPLIT: Final = CacheCreation()


def tellings(paths: Iterable[str]) -> Columns:
    """Return the usage lines of the transcripts at *paths* as columns, in the order of the files.

    `time` is in microseconds of UTC; cache writes that are not split are 5-minute ones (R7).
    """
    rows = [row for path in paths for row in _of_file(path)]
    return {name: [row[name] for row in rows] for name in _NAMES}


def _of_file(path: str) -> Iterator[dict[str, Any]]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            for number, data in numbered_lines(file):
                if b'"usage"' in data and b'"assistant"' in data:
                    for line in _understood(data):
                        yield {"path": path, "line": number, **_row(line)}
    except OSError:
        return


def _understood(data: bytes) -> Iterator[Assistant]:
    try:
        lines: list[Any] = [decode_assistant(data)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        lines = list(_tolerantly(data))
    for line in lines:
        is_telling = isinstance(line, Assistant) and line.type == "assistant"
        if is_telling and line.message.model != "<synthetic>":
            yield line


def _tolerantly(data: bytes) -> Iterator[Any]:
    for value in tolerant.objects(data)[0]:
        try:
            yield tolerant.understand(value)
        except UnreadableError:
            continue


def _row(line: Assistant) -> dict[str, Any]:
    message, usage = line.message, line.message.usage
    split = usage.cache_creation or _NO_SPLIT
    long = split.ephemeral_1h_input_tokens or 0
    short = split.ephemeral_5m_input_tokens or 0
    tools = usage.server_tool_use
    return {
        "message_id": message.id,
        "request_id": line.request_id,
        "time": values.micros(line.timestamp),
        "model": message.model,
        "stop_reason": message.stop_reason,
        "speed": usage.speed,
        "inference_geo": usage.inference_geo,
        "service_tier": usage.service_tier,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens or 0,
        "cache_write_5m_tokens": max(usage.cache_creation_input_tokens or 0, short + long) - long,
        "cache_write_1h_tokens": long,
        "web_searches": (tools.web_search_requests or 0) if tools else 0,
    }
