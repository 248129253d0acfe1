"""Parses one transcript into rows: what it says of each response, and the facts around it.

Copies within the transcript are folded here, because a response takes several lines and only the
best of them counts (R4); copies in other transcripts are a matter for `merge`.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
from msgspec import Struct, field

from tokenaudit.model.terms import MAIN_AGENT, Reject, Transcript
from tokenaudit.rules.time import earlier_written, micros
from tokenaudit.rules.value import worth
from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.lines import LineReader, Sort, lines_back, lines_from
from tokenaudit.transcripts.prefix_digest import Digests, ends_alike, started
from tokenaudit.transcripts.requests import RequestLog, RequestMark, reply_of
from tokenaudit.transcripts.results import AgentResult, result_of, results_on
from tokenaudit.transcripts.tolerant import Unread, UnreadableError
from tokenaudit.transcripts.totals import COST_STATE, SessionTotal, total_on
from tokenaudit.transcripts.values import BadCountError
from tokenaudit.transcripts.wire import (
    LINE_KEYS,
    Assistant,
    Message,
    ProgressLine,
    RequestLine,
    SessionLine,
    decode_assistant,
    decode_note,
    decode_progress,
    decode_request,
    decode_top_level,
)

__all__ = ["READ_BY", "CompactionLine", "Extent", "Parsed", "Record", "Title", "Uncounted", "parse"]

READ_BY: Final = 4
"""The version of reading: raised when more, or something else, is found in the same bytes than before.

What an older version read is read again, as far as it is still on disk.
"""

_SYNTHETIC: Final = "<synthetic>"
_ASSISTANT: Final = Sort.ASSISTANT


class Extent(Struct, frozen=True):
    """What of a transcript is to be read: from where a line begins to where one ends."""

    transcript: Transcript
    start: int = 0
    end: int | None = None
    """None: up to the end of the file, wherever that is by then."""
    with_results: bool = False
    """Whether what it says of the results of subagents is wanted: that takes a longer look."""
    known: Digests | None = None
    """Of what was read before `start`; what stands behind a block with another is not read."""

    @property
    def size(self) -> int:
        """Bytes that are expected to be read."""
        return (self.transcript.size if self.end is None else self.end) - self.start


class Title(NamedTuple):
    """A title that a line gives to a session."""

    rank: int
    """The user's own (2) before a generated one (1) before a summary (0)."""
    title: str
    leaf_uuid: str | None
    """Of a summary: the line whose session it sums up, which may stand in another transcript."""


class CompactionLine(NamedTuple):
    """A place where Claude Code replaced a context by its summary."""

    line: int
    time: int | None
    kind: str
    trigger: str | None
    pre_tokens: int | None
    post_tokens: int | None


class Uncounted(NamedTuple):
    """Usage at the top level of lines, where Claude Code writes none: of hooks, wrappers, other programs.

    It counts for nothing, since nobody can say of which response it is (R2).
    """

    line: int
    """The first of them."""
    type: str | None
    """What these lines say they are."""
    lines: int


class Record(msgspec.Struct, gc=False):
    """What one transcript says of one response: the best of its lines, and how many there are."""

    first: Assistant
    best: Assistant
    first_line: int
    best_line: int
    agent_id: str | None
    """None: an inline sidechain, whose agent is the root of its chain."""
    is_progress: bool
    time: str | None
    """The earliest that its lines tell, as it is written."""
    lines: int = 1

    def fold(self, line: Assistant, number: int) -> None:
        """Add a later line of the same response (R4)."""
        self.lines += 1
        self.time = earlier_written(self.time, line.timestamp)
        if _worth(line.message) >= _worth(self.best.message):
            self.best = line
            self.best_line = number


def _record(line: Assistant, number: int, agent_id: str | None, is_progress: bool) -> Record:  # noqa: FBT001
    return Record(line, line, number, number, agent_id, is_progress, line.timestamp)


def _worth(message: Message) -> tuple[bool, bool, int]:
    return worth(message.usage.output_tokens, message.stop_reason is not None)


class Parsed(Struct):
    """All that an extent of a transcript holds, still in the order of its lines.

    Lines are numbered from 1 where the extent begins.
    """

    extent: Extent
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    compactions: list[CompactionLine] = field(default_factory=list)
    titles: list[Title] = field(default_factory=list)
    results: list[AgentResult] = field(default_factory=list)
    totals: list[SessionTotal] = field(default_factory=list)
    """What Claude Code says itself that the session used up to a line."""
    marks: list[RequestMark] = field(default_factory=list)
    """What is said of requests that are not answered in the extent, and what may say why."""
    requests: int = 0
    """How many lines say that a request was sent."""
    last_reply: str | None = None
    """The response of the last line of one; see `reply_of`."""
    uncounted: list[Uncounted] = field(default_factory=list)
    lines: int = 0
    line_ends: int = 0
    bytes: int = 0
    end: int = 0
    """Where in the file the last whole line ends: from there on it can be read later."""
    digests: Digests | None = None
    """Of what has been read, from the block on in which the extent begins; None if that failed."""
    usage_lines: int = 0
    incomplete: bool = False
    """The last line is half-written."""
    is_settled: bool = True
    """Whether lines that are appended can be read on their own; else they may change these rows."""
    session_id: str | None = None
    """That the first lines name."""
    usage_session_id: str | None = None
    """That the first line with usage names."""
    """The first one that a line names."""
    first_time: int | None = None
    last_time: int | None = None
    last_uuid: str | None = None
    project: str | None = None
    """The working directory that gave the project's folder its name, if a line names it."""
    forked_from: str | None = None

    @property
    def transcript(self) -> Transcript:
        """The transcript that the extent is part of."""
        return self.extent.transcript

    @property
    def has_inline_sidechains(self) -> bool:
        """Whether subagents of Claude Code 1.0 speak in this transcript, without ids of their own."""
        return any(record.agent_id is None for record in self.records)


def parse(extent: Extent) -> Parsed:
    """Read *extent* from its file. Unreadable files are a reject, not an error.

    Nothing is read, and there are no digests, where the file was rewritten after it was decided from
    where to read on: that is for the next run to find out. A piece of a file that was replaced
    meanwhile is a reject.
    """
    parsing = _Parsing(extent)
    try:
        with open(extent.transcript.path, "rb", buffering=0) as file:  # noqa: PTH123 - a third of the time
            if _is_replaced(file, extent):
                parsing.reject(None, "replaced while it was read")
                return parsing.parsed
            if not _goes_on(file, extent):
                return parsing.parsed
            reader = LineReader(
                file,
                extent.start,
                extent.end,
                with_results=extent.with_results,
                before=started(file, extent.start),
            )
            try:
                parsing.read(reader)
            finally:
                parsing.take_ends(file, reader)
            if not _goes_on(file, extent):
                return Parsed(extent, end=extent.start)
            parsing.parsed.digests = reader.digests
    except OSError as error:
        parsing.reject(None, f"cannot be read: {error.strerror or error}")
    return parsing.parsed


def _goes_on(file: BinaryIO, extent: Extent) -> bool:
    """Tell whether *file* still has what was read right before *extent*."""
    return extent.known is None or ends_alike(file, extent.known, extent.start)


def _is_replaced(file: BinaryIO, extent: Extent) -> bool:
    """Tell whether *file* is another than the one that *extent* is a piece of."""
    transcript = extent.transcript
    is_piece = extent.known is None and (extent.start > 0 or extent.end is not None)
    if not is_piece or not transcript.inode:
        return False
    stat = os.fstat(file.fileno())
    return (stat.st_dev, stat.st_ino) != (transcript.device, transcript.inode)


_OF_REQUESTS: Final = frozenset({Sort.REQUEST, Sort.CUT})
_Key = tuple[str | None, str | None, str | None, bool]


class _Parsing:
    """The state of parsing one extent, line after line."""

    def __init__(self, extent: Extent) -> None:
        self.parsed = Parsed(extent, end=extent.start)
        self._of_file = extent.transcript.agent_id
        self._is_main = self._of_file == MAIN_AGENT
        self._by_key: dict[_Key, Record] = {}
        self._uncounted: dict[str | None, list[int]] = {}
        self._requests = RequestLog()

    def read(self, reader: LineReader) -> None:
        """Take in all that *reader* finds; where the file fails half-way, what stands before.

        A line is taken in by the strict types, or where they do not fit, by the tolerant ones.
        """
        try:
            for number, sort, data in reader:
                try:
                    if sort is _ASSISTANT:
                        line = decode_assistant(data)
                        if is_taken := line.type == "assistant":
                            self._add_reply(line, number)
                    else:
                        is_taken = self._add_other(number, sort, data)
                except (msgspec.MsgspecError, UnicodeError, RecursionError):
                    is_taken = sort is _ASSISTANT and _is_without_usage(data)
                if not is_taken:
                    self._add_tolerantly(number, sort, data)
        finally:
            self._take_counts(reader)

    def _take_counts(self, reader: LineReader) -> None:
        parsed = self.parsed
        parsed.lines, parsed.line_ends = reader.lines, reader.line_ends
        parsed.bytes, parsed.end = reader.bytes, reader.end
        parsed.usage_lines = sum(record.lines for record in parsed.records)
        parsed.is_settled &= not reader.has_endless_line
        parsed.requests, parsed.marks = self._requests.count, self._requests.marks()
        parsed.last_reply = reply_of(self._requests.last) if self._requests.last else None
        parsed.uncounted = [
            Uncounted(numbers[0], kind, len(numbers)) for kind, numbers in self._uncounted.items()
        ]

    def _add_other(self, number: int, sort: Sort, data: bytes) -> bool:
        """Take a line in that is of no response of its own; tell whether it is what it seems to be.

        Raises msgspec's errors where it is not.
        """
        if sort is Sort.PROGRESS:
            return self._add_progress(decode_progress(data), number)
        if sort is Sort.USAGE:
            return not bytes(decode_top_level(data).usage)
        if sort is Sort.NOTE:
            note = decode_note(data)
            if note.type == COST_STATE:
                return self._add_total(msgspec.json.decode(data), number) is None
            self._add_note(note, number)
        elif sort is Sort.RESULT:
            self.parsed.results += results_on(data)
        elif sort in _OF_REQUESTS:
            line = decode_request(data)
            line.is_cut = sort is Sort.CUT
            self._requests.add(line, number)
        else:
            return False
        return True

    def _add_tolerantly(self, number: int, sort: Sort, data: bytes) -> None:
        """Take in what can be read of a line; what cannot makes it one reject, however much it is."""
        if sort is Sort.OVERSIZE:
            self.reject(number, "longer than 64 MiB")
            return
        found, error = tolerant.objects(data)
        unread = [Unread(reason) for value in found if (reason := self._add_object(value, number))]
        if sort is Sort.TAIL:
            self.parsed.incomplete = error is not None
            self.parsed.is_settled = not found  # it may go on, though it has been read
        elif error is not None:
            unread.append(error)
        if unread:
            reason, kind = (
                "; ".join(dict.fromkeys(words))
                for words in ([one.reason for one in unread], [one.kind for one in unread])
            )
            self.reject(number, reason, kind)

    def _add_object(self, value: dict[str, Any], number: int) -> str | None:
        """Take in an object of a line; return why that cannot be done, where it cannot."""
        if self.parsed.extent.with_results and (
            result := result_of(value.get(LINE_KEYS["tool_use_result"]))
        ):
            self.parsed.results.append(result)
        if value.get("type") == COST_STATE:
            return self._add_total(value, number)
        try:
            line = tolerant.understand(value)
        except UnreadableError as error:
            return str(error)
        if isinstance(line, Assistant):
            self._add_reply(line, number)
        elif isinstance(line, ProgressLine):
            self._add_progress(line, number)
        else:
            self._add_rest(value, line, number)
        return None

    def _add_rest(
        self, value: dict[str, Any], line: RequestLine | SessionLine | None, number: int
    ) -> None:
        """Take in *value*, which is no response: *line* is what it was understood as."""
        if tolerant.has_usage(value):
            self._uncounted.setdefault(values.text(value.get("type")), []).append(number)
        if isinstance(line, RequestLine):
            self._requests.add(line, number)
        elif line is not None:
            self._add_note(line, number)

    def _add_reply(self, line: Assistant, number: int) -> None:
        if line.message.model == _SYNTHETIC:
            self._requests.synthetic(line, number)
            return
        is_inline = line.is_sidechain and self._is_main
        agent_id = line.agent_id if is_inline else self._of_file
        self._add_record(line, number, agent_id, False)
        self._requests.last = line
        if line.request_ref is not None:
            self._requests.answer(line, number)

    def _add_progress(self, line: ProgressLine, number: int) -> bool:
        """Take in what a subagent's line is repeated in; tell whether *line* is of progress at all."""
        message = line.data.message
        if line.type != "progress":
            return False
        if message.type != "assistant" or line.data.type != "agent_progress":
            return True
        if message.message.model == _SYNTHETIC:
            return True
        message.session_id = message.session_id or line.session_id
        message.cwd = message.cwd or line.cwd
        message.git_branch = message.git_branch or line.git_branch
        message.version = message.version or line.version
        message.entrypoint = message.entrypoint or line.entrypoint
        message.is_sidechain = True
        self._add_record(message, number, line.data.agent_id or "unknown", True)
        return True

    def _add_record(
        self,
        line: Assistant,
        number: int,
        agent_id: str | None,
        is_progress: bool,  # noqa: FBT001 - called for each line: a keyword costs a tenth
    ) -> None:
        message_id, request_id = line.message.id, line.request_id
        if not message_id or not request_id:
            # Without ids each line stands for itself: whether two of them are one response is not told.
            self.parsed.records.append(_record(line, number, agent_id, is_progress))
            return
        key = (message_id, request_id, agent_id, is_progress)
        known = self._by_key.get(key)
        if known is None:
            self._by_key[key] = known = _record(line, number, agent_id, is_progress)
            self.parsed.records.append(known)
        else:
            known.fold(line, number)

    def _add_note(self, note: SessionLine, number: int) -> None:
        if title := _title(note):
            self.parsed.titles.append(title)
        elif note.type == "system" and note.subtype in {
            "compact_boundary",
            "microcompact_boundary",
        }:
            metadata = note.compact_metadata
            self.parsed.compactions.append(
                CompactionLine(
                    line=number,
                    time=micros(note.timestamp),
                    kind="compact" if note.subtype == "compact_boundary" else "microcompact",
                    trigger=metadata.trigger if metadata else None,
                    pre_tokens=metadata.pre_tokens if metadata else None,
                    post_tokens=metadata.post_tokens if metadata else None,
                )
            )

    def _add_total(self, value: dict[str, Any], number: int) -> str | None:
        """Take in a total of Claude Code's own; return why that cannot be done, where it cannot."""
        try:
            self.parsed.totals.append(total_on(value, number))
        except BadCountError as error:
            return f"{COST_STATE}: {error}"
        return None

    def reject(self, number: int | None, reason: str, kind: str | None = None) -> None:
        """Count a line, or the whole file, that could not be read."""
        self.parsed.rejects.append(Reject(self.parsed.transcript.path, number, reason, kind))

    def take_ends(self, file: BinaryIO, reader: LineReader) -> None:
        """Take the facts that the first and the last lines of *file* tell, and what others add to them.

        They are among the lines that *reader* has read first and last, or *file* is looked at again.
        """
        parsed = self.parsed
        start = parsed.extent.start
        if not start:
            self._take_head(_notes(reader.first))
            if parsed.first_time is None:
                self._take_head(_notes(lines_from(file, 0)))
            parsed.is_settled &= parsed.first_time is not None  # the head may be yet to come
        if not self._take_tail(_notes(reversed(reader.last))):
            self._take_tail(_notes(lines_back(file, start, start + parsed.bytes)))
        firsts = [record.first for record in parsed.records]
        if parsed.project is None:
            self._take_project(line.cwd for line in firsts)
        if parsed.forked_from is None:
            forks = (line.forked_from for line in firsts if line.forked_from is not None)
            parsed.forked_from = next((fork.session_id for fork in forks if fork.session_id), None)
        sessions = (line.session for line in firsts if line.session)
        parsed.usage_session_id = parsed.usage_session_id or next(sessions, None)

    def _take_tail(self, notes: Iterable[SessionLine]) -> bool:
        """Take the last time that *notes*, the last one first, tell; say whether they tell one."""
        for note in notes:
            if (time := micros(note.timestamp)) is not None:
                self.parsed.last_time, self.parsed.last_uuid = time, note.uuid
                return True
        return False

    def _take_head(self, notes: Iterable[SessionLine]) -> None:
        parsed = self.parsed
        for note in notes:
            parsed.session_id = parsed.session_id or note.session
            if note.forked_from is not None:
                parsed.forked_from = parsed.forked_from or note.forked_from.session_id
            if (time := micros(note.timestamp)) is not None:
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


def _is_without_usage(data: bytes) -> bool:
    """Tell whether *data* is one whole object, and holds nothing that is counted."""
    if b'"usage"' in data:
        return False
    try:
        decode_top_level(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def _title(note: SessionLine) -> Title | None:
    if note.type == "custom-title" and note.custom_title:
        return Title(2, note.custom_title, None)
    if note.type == "ai-title" and note.ai_title:
        return Title(1, note.ai_title, None)
    if note.type == "summary" and note.summary:
        return Title(0, note.summary, note.leaf_uuid)
    return None


def _notes(lines: Iterable[bytes]) -> Iterator[SessionLine]:
    """Take *lines* for notes as far as they can be read; what cannot is counted elsewhere."""
    for line in lines:
        try:
            yield decode_note(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            yield from map(tolerant.note, tolerant.objects(line)[0])
