"""Reads usage lines again, with their place: what each said before anything was folded or merged.

A second look on demand, at the transcripts that an explanation or a comparison is about; no report of
usage needs it. What a line means is decided by the same types and rules as in the first reading.
"""

from collections.abc import Collection, Iterable, Iterator
from enum import Enum, StrEnum, auto
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from tokenaudit.rules.cache_writes import split
from tokenaudit.rules.iterations import inferences_of
from tokenaudit.rules.time import micros
from tokenaudit.transcripts import tolerant
from tokenaudit.transcripts.columns import Columns
from tokenaudit.transcripts.results import may_state_result
from tokenaudit.transcripts.tolerant import UnreadableError, is_cut_note
from tokenaudit.transcripts.visitor import lines_of, understood
from tokenaudit.transcripts.wire import (
    CUT_NOTE,
    RESULT_KEYS,
    Assistant,
    CacheCreation,
    Iteration,
    MessageUsage,
    ProgressLine,
    decode_assistant,
    decode_progress,
)

__all__ = ["LineCounts", "LineOrigin", "UsageLine", "as_columns", "read_lines", "read_results"]

_SYNTHETIC: Final = "<synthetic>"
_CUT_NOTE: Final = CUT_NOTE.encode()
_NO_SPLIT: Final = CacheCreation()
_SAID: Final = (
    *("path", "line", "message_id", "request_id", "time", "model", "stop_reason", "speed"),
    *("inference_geo", "service_tier", "web_searches"),
)
"""What of a line becomes a column, beside its counts."""


class LineOrigin(StrEnum):
    """Who says what a line says of a response."""

    OWN = "own"
    """The transcript of the agent, or of the session."""
    PROGRESS = "progress"
    """A progress line, by which a parent repeats its subagent."""
    RESULT = "result"
    """The result of a tool, by which a parent is told of its subagent's last response."""


class LinePlace(NamedTuple):
    """Where a line stands."""

    path: str
    line: int
    byte_offset: int


class LineCounts(Struct, frozen=True):
    """Tokens by class, the cache writes resolved (R7)."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int


class UsageLine(Struct, frozen=True):
    """What one line says of one response."""

    path: str
    line: int
    """Its number, from 1; blank lines are counted too."""
    byte_offset: int
    """Where the line begins in the file, from 0."""
    voice: LineOrigin
    message_id: str | None
    request_id: str | None
    uuid: str | None
    agent_id: str | None
    """As the line says it; None for a main agent, and for the inline sidechains of 1.0."""
    is_sidechain: bool
    time: int | None
    """Microseconds since 1970 in UTC."""
    model: str | None
    stop_reason: str | None
    counts: LineCounts
    flat_write_tokens: int
    """Cache writes as the flat field says them, before R7."""
    web_searches: int
    speed: str | None
    service_tier: str | None
    inference_geo: str | None
    is_cut: bool = False
    """Whether the stream of the response was cut: then its stop reason is Claude Code's own invention."""
    inferences: tuple[LineCounts, ...] = ()
    """The inferences that the counts add up from, where they are several and do add up (R6)."""


def read_lines(path: str, message_ids: Collection[str] | None = None) -> Iterator[UsageLine]:
    """Yield what each line of the transcript at *path* says of a response, in the order of the file.

    With *message_ids*, only of these. Raises OSError where the transcript cannot be read.
    """
    last: list[UsageLine] = []  # what a mark that comes next would say to be cut
    for said in _said_in(path, _needles(message_ids)):
        if said is Mark.CUT:
            yield from (replace(line, is_cut=True) for line in last)
            last = []
        elif said is Mark.OTHER:
            yield from last
            last = []
        else:
            if last and not _is_of_same_response(last[-1], said):
                yield from last
                last = []
            if message_ids is None or said.message_id in message_ids:
                last.append(said)
    yield from last


class Mark(Enum):
    """What a line says that is no line of a response that is wanted."""

    CUT = auto()
    """The stream of the response before it was cut."""
    OTHER = auto()
    """It is of another response."""


def _said_in(path: str, needles: Collection[bytes]) -> Iterator[UsageLine | Mark]:
    """Yield what the lines at *path* say of responses; of those without any of *needles* but that they are there."""
    for number, offset, data in lines_of(path):
        if _CUT_NOTE in data and is_cut_note(data):
            yield Mark.CUT
        elif b'"usage"' not in data or b"assistant" not in data:
            continue
        elif b'"<synthetic>"' not in data and needles and not any(map(data.__contains__, needles)):
            yield Mark.OTHER
        else:
            for said in _understood(data):
                line = _line(LinePlace(path, number, offset), said)
                if line is not None:
                    yield line
                elif isinstance(said, Assistant) and said.stream_cut_cause:
                    yield Mark.CUT


def _is_of_same_response(one: UsageLine, other: UsageLine) -> bool:
    return (one.message_id, one.request_id, one.voice) == (
        other.message_id,
        other.request_id,
        other.voice,
    )


def read_results(path: str, agent_id: str) -> Iterator[UsageLine]:
    """Yield what the transcript at *path* says, in results of tools, of the subagent *agent_id*.

    Raises OSError where the transcript cannot be read.
    """
    for number, offset, data in lines_of(path, may_state_result):
        for line in understood(data)[0]:
            said = _result(bytes(line.tool_use_result), agent_id)
            if said is not None:
                place = LinePlace(path, number, offset)
                yield _evidence(place, said, LineOrigin.RESULT, agent_id)


def as_columns(paths: Iterable[str]) -> Columns:
    """Return all usage lines of the transcripts at *paths* as columns, in the order of the files.

    `is_progress` marks those by which a parent repeats its subagent. Transcripts that cannot be read
    are passed over: what the store knows of them is in the ledger, their lines are not to be had.
    """
    columns: Columns = {name: [] for name in (*_SAID, *LineCounts.__struct_fields__, "is_progress")}
    for path in paths:
        try:
            for line in read_lines(path):
                _append(columns, line)
        except OSError:
            continue
    return columns


def _append(columns: Columns, line: UsageLine) -> None:
    for name in _SAID:
        columns[name].append(getattr(line, name))
    for name in LineCounts.__struct_fields__:
        columns[name].append(getattr(line.counts, name))
    columns["is_progress"].append(line.voice is LineOrigin.PROGRESS)


def _needles(message_ids: Collection[str] | None) -> list[bytes]:
    """Return how ids stand in a file; nothing where one may be written with escapes."""
    ids = list(message_ids or ())
    is_plain = all(
        each.isascii() and each.isprintable() and not {*each} & {*'"\\/'} for each in ids
    )
    return [each.encode() for each in ids] if is_plain else []


def _understood(data: bytes) -> Iterator[Assistant | ProgressLine]:
    """Yield what a line holds about responses: by the strict types, else value by value."""
    strict: Assistant | ProgressLine
    try:
        is_progress = b'"agent_progress"' in data
        strict = decode_progress(data) if is_progress else decode_assistant(data)
        if strict.type in {"assistant", "progress"}:
            yield strict
            return
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # the tolerant reading tells more
    for value in tolerant.objects(data)[0]:
        try:
            said = tolerant.understand(value)
        except UnreadableError:
            continue  # a reject: counted when it was first read
        if isinstance(said, Assistant | ProgressLine):
            yield said


def _line(place: LinePlace, said: Assistant | ProgressLine) -> UsageLine | None:
    """Return what *said* tells of a response; None where it is about none (R2)."""
    if isinstance(said, Assistant):
        if said.message.model == _SYNTHETIC:
            return None
        agent_id = said.agent_id if said.is_sidechain else None
        return _evidence(place, said, LineOrigin.OWN, agent_id)
    repeated = said.data.message
    if said.data.type != "agent_progress" or repeated.type != "assistant":
        return None
    if repeated.message.model == _SYNTHETIC:
        return None
    repeated.is_sidechain = True
    agent_id = said.data.agent_id or "unknown"
    return _evidence(place, repeated, LineOrigin.PROGRESS, agent_id)


def _evidence(
    place: LinePlace, said: Assistant, voice: LineOrigin, agent_id: str | None
) -> UsageLine:
    usage = said.message.usage
    counts = _counts(usage)
    tools = usage.server_tool_use
    return UsageLine(
        path=place.path,
        line=place.line,
        byte_offset=place.byte_offset,
        voice=voice,
        message_id=said.message.id or None,
        request_id=said.request_id or None,
        uuid=said.uuid or None,
        agent_id=agent_id,
        is_sidechain=bool(said.is_sidechain),
        time=micros(said.timestamp),
        model=said.message.model,
        stop_reason=said.message.stop_reason,
        counts=counts,
        flat_write_tokens=usage.cache_creation_input_tokens or 0,
        web_searches=(tools and tools.web_search_requests) or 0,
        speed=usage.speed,
        service_tier=usage.service_tier,
        inference_geo=usage.inference_geo,
        inferences=_inferences(usage.iterations or (), counts),
    )


def _counts(usage: MessageUsage | Iteration) -> LineCounts:
    given = usage.cache_creation or _NO_SPLIT
    return LineCounts(
        usage.input_tokens or 0,
        usage.output_tokens or 0,
        usage.cache_read_input_tokens or 0,
        *split(
            usage.cache_creation_input_tokens or 0,
            given.ephemeral_5m_input_tokens or 0,
            given.ephemeral_1h_input_tokens or 0,
        ),
    )


def _inferences(iterations: Iterable[Iteration], whole: LineCounts) -> tuple[LineCounts, ...]:
    counted = [(each.type, astuple(_counts(each))) for each in iterations]
    return tuple(LineCounts(*part) for part in inferences_of(counted, astuple(whole)))


def _result(raw: bytes, agent_id: str) -> Assistant | None:
    """Return the usage that the result of a tool states for *agent_id*, as if a line had said it."""
    for value in tolerant.objects(raw)[0]:
        if str(value.get(RESULT_KEYS["agent_id"])) != agent_id:
            continue
        message = {"usage": value.get("usage")}
        try:
            said = tolerant.understand({"type": "assistant", "message": message})
        except UnreadableError:
            continue
        if isinstance(said, Assistant):
            return said
    return None
