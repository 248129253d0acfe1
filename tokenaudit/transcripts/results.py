"""The results of agents, as their parents were told them."""

import json
from typing import Any, NamedTuple

from tokenaudit.transcripts import values
from tokenaudit.transcripts.values import BadCountError
from tokenaudit.transcripts.wire import (
    AGENT_ID,
    RESULT_KEYS,
    TOOL_USE_RESULT,
    decode_result_line,
)

__all__ = ["AgentResult", "may_state_result", "result_of", "results_on"]


class AgentResult(NamedTuple):
    """The usage that a parent's tool result states for the last response of a subagent."""

    agent_id: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int


def may_state_result(line: bytes) -> bool:
    """Tell by its bytes whether *line* may state what a subagent used."""
    return TOOL_USE_RESULT in line and AGENT_ID in line


def results_on(line: bytes) -> list[AgentResult]:
    """Return what *line*, one JSON object, says of the last response of a subagent.

    Raises msgspec's errors where it is no such line.
    """
    raw = bytes(decode_result_line(line).tool_use_result)
    if AGENT_ID not in raw:
        return []
    try:
        result = result_of(json.loads(raw))
    except (ValueError, RecursionError):  # a number of thousands of digits, a thousand brackets
        return []
    return [result] if result else []


def result_of(value: object) -> AgentResult | None:
    """Return what *value*, the result of a tool, says of a subagent; None if nothing, or no counts."""
    if not isinstance(value, dict) or not isinstance(value.get("usage"), dict):
        return None
    agent_id, counts = values.text(value.get(RESULT_KEYS["agent_id"])), _counts(value["usage"])
    return AgentResult(agent_id, *counts) if agent_id and counts else None


def _counts(usage: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Return input, cache reads, cache writes (R7) and output; None where one is no count."""
    split = usage.get("cache_creation")
    parts = split.values() if isinstance(split, dict) else ()
    try:
        return (
            values.count(usage.get("input_tokens")),
            values.count(usage.get("cache_read_input_tokens") or 0),
            max(
                values.count(usage.get("cache_creation_input_tokens") or 0),
                sum(values.count(part or 0) for part in parts),
            ),
            values.count(usage.get("output_tokens")),
        )
    except BadCountError:
        return None
