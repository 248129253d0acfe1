"""Builds small transcripts: the lines that Claude Code wrote, in each of its eras, and files of them.

A line holds what the rules look at and nothing else; equal arguments give equal lines, so that a
copy of a line is the same call again.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from tokenaudit.model.terms import Transcript
from tokenaudit.store import facts_without_store
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts import Discovery, extents_of, read
from tokenaudit.transcripts.parse import Extent, Parsed, parse

Line = dict[str, Any]

SESSION: Final = "11111111-1111-4111-8111-111111111111"
FORK: Final = "22222222-2222-4222-8222-222222222222"
OTHER: Final = "33333333-3333-4333-8333-333333333333"
PROJECT: Final = "-work-app"
MODEL: Final = "claude-opus-4-6"
START: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
PLACEHOLDER: Final = 3


class Regime(StrEnum):
    """How a version of Claude Code writes the output count on the lines of a response."""

    A = "1.0.0 to 2.1.7: grows from line to line, the last one perhaps final"
    B = "2.1.8 to 2.1.29: never written"
    C = "2.1.30 to 2.1.58: written on the last line, which is not marked as final"
    D = "2.1.59 to 2.1.96: written on the last line, which is final"
    E = "from 2.1.97 on: every line is final"


def moment(seconds: float = 0) -> str:
    """Return the time of a line, in seconds after START, as Claude Code writes it."""
    time = START + timedelta(seconds=seconds)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usage(output: int = 100, /, **counts: Any) -> Line:
    """Return a usage object: 10 input tokens and what is said otherwise; `read`, `write` for short."""
    for short, name in (
        ("read", "cache_read_input_tokens"),
        ("write", "cache_creation_input_tokens"),
    ):
        if short in counts:
            counts[name] = counts.pop(short)
    return {"input_tokens": 10, "output_tokens": output, **counts}


def reply(
    message_id: str | None = "msg_1",
    request_id: str | None = "req_1",
    output: int = 100,
    *,
    stop: str | None = "end_turn",
    at: float = 0,
    model: str = MODEL,
    counts: Line | None = None,
    **more: Any,
) -> Line:
    """Return an assistant line; *counts* is its usage where *output* does not tell all."""
    message: Line = {"model": model, "role": "assistant", "content": [], "stop_reason": stop}
    if message_id is not None:
        message = {"id": message_id, **message}
    line: Line = {
        "isSidechain": False,
        "cwd": "/work/app",
        "sessionId": SESSION,
        "version": "2.1.200",
        "gitBranch": "main",
        "message": {**message, "usage": usage(output) if counts is None else counts},
        "type": "assistant",
        "uuid": str(uuid5(NAMESPACE_OID, f"{message_id} {request_id} {output} {at}")),
        "timestamp": moment(at),
    }
    if request_id is not None:
        line["requestId"] = request_id
    return {**line, **more}


def response(
    regime: Regime,
    message_id: str = "msg_1",
    request_id: str | None = "req_1",
    *,
    output: int = 600,
    lines: int = 3,
    at: float = 0,
    **more: Any,
) -> list[Line]:
    """Return the lines of a response with *output* tokens, one second apart, as *regime* writes them."""
    partial = [output * (number + 1) // (lines + 1) for number in range(lines)]
    first = [PLACEHOLDER] * (lines - 1)
    said: dict[Regime, Sequence[int]] = {
        Regime.A: partial,
        Regime.B: [PLACEHOLDER] * lines,
        Regime.C: [*first, output],
        Regime.D: [*first, output],
        Regime.E: [output] * lines,
    }
    final = {Regime.D: {lines - 1}, Regime.E: set(range(lines))}.get(regime, set())
    return [
        reply(
            message_id,
            request_id,
            count,
            stop="tool_use" if number in final else None,
            at=at + number,
            **more,
        )
        for number, count in enumerate(said[regime])
    ]


def cut_note(*, at: float = 0) -> Line:
    """Return the note by which Claude Code lets a model go on whose stream was cut."""
    text = "Your response above was cut off mid-stream. Resume directly from where it stops."
    note = prompt(at=at)
    return {**note, "message": {"role": "user", "content": text}, "isMeta": True}


def sidechain(line: Line, agent_id: str | None = None) -> Line:
    """Return *line* as a subagent's transcript holds it; of 1.0, where no id is given."""
    marks: Line = {"isSidechain": True}
    return {**line, **marks} if agent_id is None else {**line, **marks, "agentId": agent_id}


def progress(line: Line, agent_id: str = "a1b2c3d", *, at: float = 0) -> Line:
    """Return the progress line by which a parent repeats *line* of its subagent."""
    names = ("message", "type", "uuid", "timestamp", "requestId")
    repeated = {name: line[name] for name in names if name in line}
    return {
        "isSidechain": False,
        "cwd": "/work/app",
        "sessionId": SESSION,
        "type": "progress",
        "data": {"message": repeated, "type": "agent_progress", "agentId": agent_id},
        "uuid": str(uuid5(NAMESPACE_OID, f"progress {agent_id} {line['uuid']!r} {at}")),
        "timestamp": moment(at),
    }


def prompt(text: str = "Go on.", *, at: float = 0, **more: Any) -> Line:
    """Return a user's line."""
    return {
        "isSidechain": False,
        "sessionId": SESSION,
        "type": "user",
        "message": {"role": "user", "content": text},
        "uuid": str(uuid5(NAMESPACE_OID, f"prompt {text} {at}")),
        "timestamp": moment(at),
        **more,
    }


def agent_result(counts: Line, agent_id: str = "a1b2c3d", *, at: float = 0) -> Line:
    """Return the line by which a parent is told the usage of a subagent's last response."""
    result = {"status": "completed", "agentId": agent_id, "totalTokens": 1, "usage": counts}
    return prompt("done", at=at, toolUseResult=result)


Models = dict[str, tuple[int, int, int, int, float]]
"""What is stated of each model: input, output, cache read and write tokens, and US dollars."""


def model_usage(models: Models) -> Line:
    """Return what Claude Code states of *models*, in the shape that all of its totals share."""
    names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    return {
        model: {**dict(zip(names, counts, strict=True)), "webSearchRequests": 0, "costUSD": cost}
        for model, (*counts, cost) in models.items()
    }


def cost_state(models: Models, *, session: str = SESSION, start: float = 0, **more: Any) -> Line:
    """Return the line by which Claude Code states a session's total; *start* in seconds after START."""
    return {
        "type": "cost-state",
        "sessionId": session,
        "totalCostUSD": sum(cost for *_, cost in models.values()),
        "totalDuration": 60_000,
        "startTime": int(START.timestamp() * 1000 + start * 1000),
        "modelUsage": model_usage(models),
        "hasUnknownModelCost": False,
        **more,
    }


def last_session(models: Models, *, session: str = SESSION, **more: Any) -> Line:
    """Return what `.claude.json` states of a project's last session."""
    return {
        "lastSessionId": session,
        "lastCost": sum(cost for *_, cost in models.values()),
        "lastModelUsage": model_usage(models),
        **more,
    }


def write(path: Path, *lines: Line | bytes, end: bytes = b"\n") -> Path:
    """Write a transcript to *path*, with the folders above it; return *path*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(encoded(line) + end for line in lines))
    return path


def encoded(line: Line | bytes) -> bytes:
    """Return *line* as Claude Code writes it: without blanks, in UTF-8."""
    if isinstance(line, bytes):
        return line
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def parsed(path: Path) -> Parsed:
    """Return what the transcript at *path* says, as that of a session's main agent."""
    return parse(Extent(Transcript(str(path), str(path.parent), PROJECT, None, "main")))


def facts_of(discovery: Discovery) -> Facts:
    """Return what the transcripts of *discovery* say, read without a store."""
    extents = extents_of(discovery.transcripts)
    return facts_without_store(discovery, read(extents))


def session_file(root: Path, session: str = SESSION, project: str = PROJECT) -> Path:
    """Return where the transcript of a session stands."""
    return root / "projects" / project / f"{session}.jsonl"


def agent_file(
    root: Path, agent_id: str = "a1b2c3d", session: str = SESSION, project: str = PROJECT
) -> Path:
    """Return where the transcript of a subagent stands."""
    return root / "projects" / project / session / "subagents" / f"agent-{agent_id}.jsonl"
