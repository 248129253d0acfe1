"""What stands in a context, by size: read on demand from the transcripts of a few agents.

Counts characters and forgets the text. What a line says of usage is not looked at here: that is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from os import SEEK_END
from typing import BinaryIO, Final, NamedTuple

import msgspec
from msgspec import Struct, field

from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.rules.time import micros
from tokenaudit.transcripts import attachments, wire
from tokenaudit.transcripts.definitions import Definition, Definitions
from tokenaudit.transcripts.visitor import blocks_of, lines_in, lines_of, understood
from tokenaudit.transcripts.wire import AnyLine, ContentBlock, MessageContent

__all__ = [
    "DEFINED",
    "Content",
    "ContentCause",
    "Follower",
    "Piece",
    "ReportedContext",
    "read_content",
]

_UNKNOWN_TOOL: Final = "unknown"
_REQUESTS: Final = ("api-request", "api-request-shape")
_REQUEST: Final = b'"api-request'


class ContentCause(StrEnum):
    """Why something came into a context."""

    RESPONSE = "response"
    """Nothing yet: a response begins here."""
    COMPACTED = "compaction"
    """What stood before is gone; its summary came instead."""
    ASSISTANT = "assistant output"
    RESULT = "tool result"
    USER = "user text"
    ADDED = "added by Claude Code"
    """Reminders, texts of skills, outputs of commands, files that the user named."""
    MEMORY = "memory"
    """Instructions from files: CLAUDE.md and the like."""
    SYSTEM = "system prompt"
    TOOLS = "tools"
    """Definitions of tools."""
    MCP = "MCP tools"
    """Definitions of tools that MCP servers offer."""


DEFINED: Final = frozenset((ContentCause.SYSTEM, ContentCause.TOOLS, ContentCause.MCP))
"""What stands before all messages, and is there after a compaction too."""


class Piece(NamedTuple):
    """Something that came into a context, in the order of the transcript."""

    cause: ContentCause
    characters: int = 0
    message_id: str | None = None
    """Of a response, and of what the assistant wrote."""
    request_id: str | None = None
    tool: str | None = None
    """Of a result: the tool's name; of a definition: the MCP server."""
    is_error: bool = False
    time: int | None = None
    """Microseconds in UTC."""


class ReportedContext(NamedTuple):
    """What `/context` said of a context."""

    time: int | None
    """Microseconds in UTC."""
    model: str | None
    total_tokens: int | None
    window_tokens: int | None
    categories: Sequence[tuple[str, str | None, int | None]]
    """Of each line: its name, of what kind it is (used, deferred, buffer, free), and its tokens."""


class Content(Struct):
    """All pieces of one agent's context."""

    session_id: str | None
    agent_id: str
    pieces: list[Piece] = field(default_factory=list)
    reported: list[ReportedContext] = field(default_factory=list)
    unread: int = 0
    """Lines that could not be decoded."""


def read_content(session_id: str | None, agent_id: str, paths: Iterable[str]) -> Content:
    """Return what came into the context of an agent, whose transcripts are *paths*, in their order.

    A line that stands in several places, or again in one, counts once. A file that cannot be read
    adds nothing: the reading of usage has reported it.
    """
    reading = _Reading(Content(session_id, agent_id))
    for path in paths:
        try:
            for line in lines_of(path, _may_tell):
                reading.add(line.data)
        except OSError:
            continue
    return reading.whole()


def _may_tell(data: bytes) -> bool:
    return b'"uuid"' in data or _REQUEST in data


class Follower:
    """Reads what comes into the context of an agent while its transcripts grow."""

    def __init__(
        self, session_id: str | None, agent_id: str, *, most_bytes: int | None = None
    ) -> None:
        """Follow this agent from the beginning of each of its transcripts.

        With *most_bytes* only from a line so many bytes before where a transcript ends at first.
        """
        self._reading = _Reading(Content(session_id, agent_id))
        self._ends: dict[str, int] = {}
        self._most_bytes = most_bytes

    def read(self, path: str) -> list[Piece]:
        """Return what whole lines at *path* say that have not been read; nothing where it cannot be read.

        A transcript that has become shorter is not read again: what it said has been said.
        """
        content = self._reading.content
        content.pieces = []
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - as everywhere here
                if path not in self._ends:
                    self._ends[path] = self._start(file)
                for line in lines_in(file, self._ends[path]):
                    if not line.data.endswith(b"\n"):
                        break
                    self._ends[path] = line.offset + len(line.data)
                    if b'"uuid"' in line.data:
                        self._reading.add(line.data)
        except OSError:
            pass
        return content.pieces

    def _start(self, file: BinaryIO) -> int:
        """Return where the first line begins that is to be read."""
        if self._most_bytes is None or (left := file.seek(0, SEEK_END) - self._most_bytes) <= 0:
            return 0
        file.seek(left - 1)
        return left - 1 + len(file.readline())


class _Reading:
    """The state of reading one agent's transcripts."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._seen: set[str] = set()
        self._tools: dict[str, str] = {}
        self._is_main = content.agent_id == MAIN_AGENT
        self._responses: dict[tuple[str | None, str | None], str | None] = {}
        """By the ids of each response which request it answers, if it names one."""
        self._definitions = Definitions()
        self._renders = False
        """Whether the version that wrote the last lines says what it sent of attachments."""

    def add(self, data: bytes) -> None:
        """Take in one line."""
        lines, is_whole = understood(data)
        try:
            for line in lines:
                if line.type in _REQUESTS:
                    self._definitions.add_request(data)
                elif self._is_new(line):
                    self.content.pieces.extend(self._pieces(line))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            is_whole = False
        self.content.unread += not is_whole

    def whole(self) -> Content:
        """Return what was read, with the definitions that stand before each response.

        Requests may stand behind their responses. Where the first response names none, what is known
        of any request stands before all.
        """
        pieces: list[Piece] = []
        first = next(iter(self._responses.values()), None)
        if not self._definitions.knows(first):
            recorded = self._definitions.recorded(with_less=not self._responses)
            pieces.extend(map(_defined, recorded))
        for piece in self.content.pieces:
            if piece.cause is ContentCause.RESPONSE:
                request_id = self._responses[piece.message_id, piece.request_id]
                pieces.extend(map(_defined, self._definitions.grown(request_id)))
            pieces.append(piece)
        self.content.pieces = pieces
        return self.content

    def _is_new(self, line: AnyLine) -> bool:
        if line.uuid is None or line.uuid in self._seen:
            return False
        self._seen.add(line.uuid)
        return not (self._is_main and line.is_sidechain)

    def _pieces(self, line: AnyLine) -> Iterator[Piece]:
        time = micros(line.timestamp)
        match line.type:
            case "attachment":
                yield from self._of_attachment(line, time)
            case "assistant" if line.message is not None:
                yield from self._of_assistant(line, line.message, time)
            case "user" if line.message is not None:
                yield from self._of_user(line, line.message, time)
            case "system":
                yield from self._of_system(line, time)
            case _:
                return

    def _of_assistant(
        self, line: AnyLine, message: MessageContent, time: int | None
    ) -> Iterator[Piece]:
        key = (message.id, line.request_id)
        if key not in self._responses:
            self._responses[key] = line.request_ref
            yield Piece(ContentCause.RESPONSE, 0, *key, time=time)
        blocks = blocks_of(message)
        self._tools.update((each.id, each.name) for each in blocks if each.id and each.name)
        yield Piece(ContentCause.ASSISTANT, sum(map(_written, blocks)), *key, time=time)

    def _of_user(self, line: AnyLine, message: MessageContent, time: int | None) -> Iterator[Piece]:
        if line.is_compact_summary:
            yield Piece(ContentCause.COMPACTED, sum(map(_size, blocks_of(message))), time=time)
            return
        for block in blocks_of(message):
            if block.type == "tool_result":
                tool = self._tools.get(block.tool_use_id or "", _UNKNOWN_TOOL)
                is_error = block.is_error is True
                yield Piece(
                    ContentCause.RESULT, _size(block), tool=tool, is_error=is_error, time=time
                )
            else:
                yield Piece(
                    ContentCause.ADDED if line.is_meta else ContentCause.USER,
                    _size(block),
                    time=time,
                )

    def _of_system(self, line: AnyLine, time: int | None) -> Iterator[Piece]:
        if line.subtype == "compact_boundary":
            yield Piece(ContentCause.COMPACTED, time=time)
        elif line.subtype == "local_command":
            if bytes(line.context_usage):
                self.content.reported.append(_reported(bytes(line.context_usage), time))
            said = msgspec.json.decode(line.content) if bytes(line.content) else None
            if isinstance(said, str) and not line.is_display_only:
                yield Piece(ContentCause.ADDED, len(said), time=time)

    def _of_attachment(self, line: AnyLine, time: int | None) -> Iterator[Piece]:
        raw = bytes(line.attachment)
        attachment = wire.decode_attachment(raw)
        if attachment.type == "prompt_snapshot":
            self._definitions.add_snapshot(raw, time)
        if bytes(line.rendered):
            self._renders = True
            rendered = wire.decode_rendered(line.rendered)
            size = sum(attachments.characters_of(each.content) for each in rendered)
        else:
            size = 0 if self._renders else attachments.own_texts(attachment, raw)
        if size:
            yield Piece(_cause(attachment), size, time=time)


def _cause(attachment: wire.Attachment) -> ContentCause:
    if attachments.is_of_user(attachment):
        return ContentCause.USER
    return ContentCause.MEMORY if attachments.is_memory(attachment) else ContentCause.ADDED


def _defined(definition: Definition) -> Piece:
    return Piece(
        ContentCause(definition.part),
        definition.characters,
        tool=definition.server,
        time=definition.time,
    )


def _reported(raw: bytes, time: int | None) -> ReportedContext:
    usage = wire.decode_context_usage(raw)
    categories = [
        (each.name, each.kind, each.tokens) for each in usage.categories or () if each.name
    ]
    return ReportedContext(time, usage.model, usage.total_tokens, usage.raw_max_tokens, categories)


def _written(block: ContentBlock) -> int:
    """Return the characters of what the assistant wrote: text, thoughts, the input of a tool."""
    return len(block.text or "") + len(block.thinking or "") + len(bytes(block.input))


def _size(block: ContentBlock) -> int:
    """Return the characters of what was given to the assistant."""
    if block.type == "image":
        return attachments.IMAGE_CHARACTERS
    return len(block.text or "") + attachments.characters_of(block.content)
