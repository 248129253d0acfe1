"""What only a second look at a few transcripts tells: the results of agents, and inline sidechains.

Most histories need neither: results are searched where a subagent's last reply is unfinished, chains
where a transcript of Claude Code 1.0 holds subagents without ids.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.format import decode_second_look
from tokenaudit.transcripts.lines import lines_with
from tokenaudit.transcripts.parse import Parsed
from tokenaudit.transcripts.values import BadCountError

__all__ = ["AgentResult", "name_inline_agents", "search_results"]


class AgentResult(NamedTuple):
    """The usage that a parent's tool result states for the last response of a subagent."""

    agent_path: str
    """The subagent's transcript."""
    path: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int


def search_results(path: str, agent_paths: Mapping[str, Sequence[str]]) -> list[AgentResult]:
    """Return what the transcript at *path* says of the last response of some subagents.

    *agent_paths* maps the ids of those subagents to their transcripts.
    """
    found = []
    for line in _lines_with(path, b'"agentId"', b'"toolUseResult"'):
        result = _tool_result(line)
        if isinstance(result, dict) and isinstance(result.get("usage"), dict):
            counts = _counts(result["usage"])
            if counts is not None:
                found += [
                    AgentResult(agent_path, path, *counts)
                    for agent_path in agent_paths.get(str(result.get("agentId")), ())
                ]
    return found


def _tool_result(line: bytes) -> object:
    """Return the result of a tool that *line* holds; None where there is none about an agent."""
    try:
        raw = bytes(decode_second_look(line).tool_use_result)
        return json.loads(raw) if b'"agentId"' in raw else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        found = (value.get("toolUseResult") for value in tolerant.objects(line)[0])
        return next((result for result in found if result is not None), None)


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


def name_inline_agents(parsed: Parsed) -> None:
    """Give the records of inline sidechains their agent: `sidechain-` and the root of the chain."""
    parents = {
        uuid: values.text(value.get("parentUuid"))
        for line in _lines_with(parsed.transcript.path, b'"isSidechain"', b'"uuid"')
        for value in tolerant.objects(line)[0]
        if value.get("isSidechain") is True and (uuid := values.text(value.get("uuid")))
    }
    for record in parsed.records:
        if record.agent_id is None:
            record.agent_id = f"sidechain-{_root(record.first.uuid or '', parents)[:8]}"


def _root(uuid: str, parents: Mapping[str, str | None]) -> str:
    """Follow *parents* up from *uuid* within the sidechain; a loop ends where it closes."""
    seen = {uuid}
    while (parent := parents.get(uuid)) is not None and parent in parents and parent not in seen:
        uuid = parent
        seen.add(uuid)
    return uuid


def _lines_with(path: str, rare: bytes, other: bytes) -> Iterator[bytes]:
    """Yield the lines that hold *rare*, which is searched first, and *other*."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            yield from (line for line in lines_with(file, rare) if other in line)
    except OSError:
        return  # gone since it was parsed: the repair is not to be had
