"""Parses one transcript into rows: what it says of each response, and the facts around it.

Copies within the transcript are folded here, because a response takes several lines and only the
best of them counts (R4); copies in other transcripts are a matter for `merge`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from tokenaudit.model import MAIN_AGENT, Reject, Transcript
from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.format import (
    Assistant,
    Message,
    Note,
    ProgressLine,
    decode_assistant,
    decode_note,
    decode_progress,
)
from tokenaudit.transcripts.lines import LineReader, Sort
from tokenaudit.transcripts.tolerant import UnreadableError

__all__ = ["Compaction", "Parsed", "Record", "Title", "parse"]

_SYNTHETIC: Final = "<synthetic>"


class Title(NamedTuple):
    """A title that a line gives to a session."""

    rank: int
    """The user's own (2) before a generated one (1) before a summary (0)."""
    text: str
    leaf_uuid: str | None
    """Of a summary: the line whose session it sums up, which may stand in another transcript."""


class Compaction(NamedTuple):
    """A place where Claude Code replaced a context by its summary."""

    line: int
    time: int | None
    kind: str
    trigger: str | None
    pre_tokens: int | None
    post_tokens: int | None


@dataclass(slots=True)
class Record:
    """What one transcript says of one response: the best of its lines, and how many there are."""

    first: Assistant
    best: Assistant
    first_line: int
    best_line: int
    agent_id: str | None
    """None: an inline sidechain, whose agent is the root of its chain."""
    is_progress: bool
    lines: int = 1

    def fold(self, line: Assistant, number: int) -> None:
        """Add a later line of the same response (R4)."""
        self.lines += 1
        if _beats(line.message, self.best.message):
            self.best = line
            self.best_line = number


def _beats(later: Message, best: Message) -> bool:
    """Tell whether a *later* line is worth more: a finished one, else the one with more output."""
    if later.stop_reason is not None:
        return True
    if best.stop_reason is not None:
        return False
    return later.usage.output_tokens >= best.usage.output_tokens


@dataclass(slots=True)
class Parsed:
    """All that one transcript holds, still in the order of its lines."""

    transcript: Transcript
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    compactions: list[Compaction] = field(default_factory=list)
    titles: list[Title] = field(default_factory=list)
    lines: int = 0
    bytes: int = 0
    usage_lines: int = 0
    incomplete: bool = False
    session_id: str | None = None
    """The first one that a line names."""
    first_time: int | None = None
    last_time: int | None = None
    last_uuid: str | None = None
    project: str | None = None
    """The working directory that gave the project's folder its name, if a line names it."""
    forked_from: str | None = None

    @property
    def has_inline_sidechains(self) -> bool:
        """Whether subagents of Claude Code 1.0 speak in this transcript, without ids of their own."""
        return any(record.agent_id is None for record in self.records)


def parse(transcript: Transcript) -> Parsed:
    """Read *transcript* from its file. Unreadable files are a reject, not an error."""
    parsing = _Parsing(transcript)
    try:
        with open(transcript.path, "rb", buffering=0) as file:  # noqa: PTH123 - a third of the time
            parsing.read(LineReader(file))
    except OSError as error:
        parsing.reject(None, f"cannot be read: {error.strerror or error}")
    return parsing.parsed


class _Parsing:
    """The state of parsing one transcript, line after line."""

    def __init__(self, transcript: Transcript) -> None:
        self.parsed = Parsed(transcript)
        self._by_key: dict[tuple[str, str, str | None, bool], Record] = {}

    def read(self, reader: LineReader) -> None:
        """Take in all that *reader* finds; where the file fails half-way, what stands before."""
        try:
            for number, sort, data in reader:
                if not self._add_strictly(number, sort, data):
                    self._add_tolerantly(number, sort, data)
        finally:
            self._finish(reader)

    def _add_strictly(self, number: int, sort: Sort, data: bytes) -> bool:
        """Take a line in by the strict types; tell whether they fit."""
        try:
            if sort is Sort.ASSISTANT:
                line = decode_assistant(data)
                if line.type == "assistant":
                    self._add_assistant(line, number)
                    return True
            elif sort is Sort.PROGRESS:
                progress = decode_progress(data)
                if progress.type == "progress":
                    self._add_progress(progress, number)
                    return True
            elif sort is Sort.NOTE:
                self._add_note(decode_note(data), number)
                return True
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            # Whole or not, a line without usage holds nothing that is counted.
            return sort is Sort.ASSISTANT and b'"usage"' not in data
        return False

    def _add_tolerantly(self, number: int, sort: Sort, data: bytes) -> None:
        if sort is Sort.OVERSIZE:
            self.reject(number, "longer than 64 MiB")
            return
        found, error = tolerant.objects(data)
        for value in found:
            self._add_object(value, number)
        if error is not None and sort is Sort.TAIL:
            self.parsed.incomplete = True
        elif error is not None:
            self.reject(number, error)

    def _add_object(self, value: dict[str, Any], number: int) -> None:
        try:
            line = tolerant.understand(value)
        except UnreadableError as error:
            self.reject(number, str(error))
            return
        if isinstance(line, Assistant):
            self._add_assistant(line, number)
        elif isinstance(line, ProgressLine):
            self._add_progress(line, number)
        elif line is not None:
            self._add_note(line, number)

    def _add_assistant(self, line: Assistant, number: int) -> None:
        if line.message.model != _SYNTHETIC:
            self._add_record(line, number, self._agent_of(line), is_progress=False)

    def _agent_of(self, line: Assistant) -> str | None:
        of_file = self.parsed.transcript.agent_id
        if of_file != MAIN_AGENT:
            return of_file
        if line.is_sidechain:
            return line.agent_id
        return MAIN_AGENT

    def _add_progress(self, line: ProgressLine, number: int) -> None:
        message = line.data.message
        if message.type != "assistant" or line.data.type != "agent_progress":
            return
        if message.message.model == _SYNTHETIC:
            return
        message.session_id = message.session_id or line.session_id
        message.cwd = message.cwd or line.cwd
        message.git_branch = message.git_branch or line.git_branch
        message.version = message.version or line.version
        message.entrypoint = message.entrypoint or line.entrypoint
        message.is_sidechain = True
        self._add_record(message, number, line.data.agent_id or "unknown", is_progress=True)

    def _add_record(
        self, line: Assistant, number: int, agent_id: str | None, *, is_progress: bool
    ) -> None:
        self.parsed.usage_lines += 1
        message_id, request_id = line.message.id, line.request_id
        if not message_id or not request_id:
            # Each line stands for itself: whether two of them are one response is not told by ids.
            self.parsed.records.append(Record(line, line, number, number, agent_id, is_progress))
            return
        key = (message_id, request_id, agent_id, is_progress)
        record = self._by_key.get(key)
        if record is None:
            record = Record(line, line, number, number, agent_id, is_progress)
            self._by_key[key] = record
            self.parsed.records.append(record)
        else:
            record.fold(line, number)

    def _add_note(self, note: Note, number: int) -> None:
        if title := _title(note):
            self.parsed.titles.append(title)
        elif note.type == "system" and note.subtype in {
            "compact_boundary",
            "microcompact_boundary",
        }:
            metadata = note.compact_metadata
            self.parsed.compactions.append(
                Compaction(
                    line=number,
                    time=values.micros(note.timestamp),
                    kind="compact" if note.subtype == "compact_boundary" else "microcompact",
                    trigger=metadata.trigger if metadata else None,
                    pre_tokens=metadata.pre_tokens if metadata else None,
                    post_tokens=metadata.post_tokens if metadata else None,
                )
            )

    def reject(self, number: int | None, reason: str) -> None:
        """Count a line, or the whole file, that could not be read."""
        self.parsed.rejects.append(Reject(self.parsed.transcript.path, number, reason))

    def _finish(self, reader: LineReader) -> None:
        """Take the facts that only the whole file tells."""
        parsed = self.parsed
        parsed.lines, parsed.bytes = reader.lines, reader.bytes
        self._take_head(_notes(reader.head()))
        for note in _notes(reader.tail()):
            if (time := values.micros(note.timestamp)) is not None:
                parsed.last_time, parsed.last_uuid = time, note.uuid
                break
        firsts = [record.first for record in parsed.records]
        self._take_project(line.cwd for line in firsts)
        for line in firsts:
            if line.forked_from is not None:
                parsed.forked_from = parsed.forked_from or line.forked_from.session_id
            parsed.session_id = parsed.session_id or line.session_id
            if parsed.first_time is None:
                parsed.first_time = values.micros(line.timestamp)

    def _take_head(self, notes: Iterable[Note]) -> None:
        parsed = self.parsed
        for note in notes:
            parsed.session_id = parsed.session_id or note.session_id
            if note.forked_from is not None:
                parsed.forked_from = parsed.forked_from or note.forked_from.session_id
            if (time := values.micros(note.timestamp)) is not None:
                parsed.first_time = time
                self._take_project([note.cwd])
                break

    def _take_project(self, cwds: Iterable[str | None]) -> None:
        folder = self.parsed.transcript.project_folder
        matching = (cwd for cwd in dict.fromkeys(cwds) if cwd and folder_name(cwd) == folder)
        self.parsed.project = self.parsed.project or next(matching, None)


def folder_name(cwd: str) -> str:
    """Return the name that Claude Code gives the folder of the project at *cwd*.

    Every character but ASCII letters and digits becomes a dash (transcript format, section 1);
    names above 200 characters also carry a hash, and are not recognised here.
    """
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in cwd)


def _title(note: Note) -> Title | None:
    if note.type == "custom-title" and note.custom_title:
        return Title(2, note.custom_title, None)
    if note.type == "ai-title" and note.ai_title:
        return Title(1, note.ai_title, None)
    if note.type == "summary" and note.summary:
        return Title(0, note.summary, note.leaf_uuid)
    return None


def _notes(lines: Iterable[bytes]) -> Iterator[Note]:
    """Decode those of *lines* that are whole; the others are counted elsewhere."""
    for line in lines:
        try:
            yield decode_note(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            continue
