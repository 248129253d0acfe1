"""What stands in a context, by size: read on demand from the transcripts of a few agents.

Counts characters and forgets the text. What a line says of usage is not looked at here: that is known.
"""

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from os import SEEK_END
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
from msgspec import Struct, field

from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.transcripts.lines import lines_with

__all__ = ["Cause", "Content", "Follower", "Piece", "read_content"]

_IMAGE_CHARACTERS: Final = 6000
"""What a picture weighs beside texts: about 1,500 tokens, at four characters each."""
_UNKNOWN_TOOL: Final = "unknown"


class Cause(StrEnum):
    """Why something came into a context."""

    RESPONSE = "response"
    """Nothing yet: a response begins here."""
    ASSISTANT = "assistant output"
    RESULT = "tool result"
    USER = "user text"
    ADDED = "added by Claude Code"
    """Attachments, reminders, texts of skills."""


class Piece(NamedTuple):
    """Something that came into a context, in the order of the transcript."""

    cause: Cause
    characters: int = 0
    message_id: str | None = None
    """Of a response, and of what the assistant wrote."""
    request_id: str | None = None
    tool: str | None = None
    """Of a result: the tool's name."""
    is_error: bool = False


class Content(Struct):
    """All pieces of one agent's context."""

    session_id: str | None
    agent_id: str
    pieces: list[Piece] = field(default_factory=list)
    unread: int = 0
    """Lines that could not be decoded."""


class _Inner(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None


class _Block(msgspec.Struct, gc=False):
    """A block of a message."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    tool_use_id: str | None = None
    content: str | list[_Inner] | None = None
    is_error: bool | None = None


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    content: str | list[_Block] | None = None


class _Line(msgspec.Struct, gc=False, rename="camel"):
    """Any line, as far as it says what came into a context."""

    type: str | None = None
    uuid: str | None = None
    is_sidechain: bool | None = None
    is_meta: bool | None = None
    is_compact_summary: bool | None = None
    request_id: str | None = None
    message: _Message | None = None
    attachment: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Line).decode


def read_content(session_id: str | None, agent_id: str, paths: Iterable[str]) -> Content:
    """Return what came into the context of an agent, whose transcripts are *paths*, in their order.

    A line that stands in several places, or again in one, counts once. A file that cannot be read
    adds nothing: the reading of usage has reported it.
    """
    reading = _Reading(Content(session_id, agent_id))
    for path in paths:
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as everywhere here
                for data in lines_with(file, b'"uuid"'):
                    reading.add(data)
        except OSError:
            continue
    return reading.content


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
                file.seek(self._ends[path])
                for data in file:
                    if not data.endswith(b"\n"):
                        break
                    self._ends[path] += len(data)
                    if b'"uuid"' in data:
                        self._reading.add(data)
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
        self._responses: set[tuple[str | None, str | None]] = set()

    def add(self, data: bytes) -> None:
        """Take in one line."""
        line = _line(data)
        if line is None:
            self.content.unread += 1
        elif self._is_new(line):
            self.content.pieces.extend(self._pieces(line))

    def _is_new(self, line: _Line) -> bool:
        if line.uuid is None or line.uuid in self._seen:
            return False
        self._seen.add(line.uuid)
        return not (self._is_main and line.is_sidechain)

    def _pieces(self, line: _Line) -> Iterator[Piece]:
        if line.type == "attachment":
            yield Piece(Cause.ADDED, len(bytes(line.attachment)))
        elif line.type == "assistant" and line.message is not None:
            yield from self._of_assistant(line.message, line.request_id)
        elif line.type == "user" and line.message is not None and not line.is_compact_summary:
            yield from self._of_user(line.message, is_meta=bool(line.is_meta))

    def _of_assistant(self, message: _Message, request_id: str | None) -> Iterator[Piece]:
        key = (message.id, request_id)
        if key not in self._responses:
            self._responses.add(key)
            yield Piece(Cause.RESPONSE, 0, *key)
        blocks = _blocks(message)
        self._tools.update((each.id, each.name) for each in blocks if each.id and each.name)
        yield Piece(Cause.ASSISTANT, sum(map(_written, blocks)), *key)

    def _of_user(self, message: _Message, *, is_meta: bool) -> Iterator[Piece]:
        for block in _blocks(message):
            if block.type == "tool_result":
                tool = self._tools.get(block.tool_use_id or "", _UNKNOWN_TOOL)
                yield Piece(Cause.RESULT, _size(block), tool=tool, is_error=block.is_error is True)
            else:
                yield Piece(Cause.ADDED if is_meta else Cause.USER, _size(block))


def _line(data: bytes) -> _Line | None:
    """Decode a line; what the strict types refuse, by the forgiving parser; None if neither can."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        return msgspec.convert(_without_raw(json.loads(data)), _Line, strict=False)
    except (msgspec.MsgspecError, ValueError, RecursionError, AttributeError):
        return None


def _without_raw(value: Any) -> Any:
    """Return a decoded line with those values as bytes that stay as they are written."""
    if isinstance(value, dict) and "attachment" in value:
        value["attachment"] = msgspec.Raw(json.dumps(value["attachment"]).encode())
    content = value.get("message", {}).get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and "input" in block:
            block["input"] = msgspec.Raw(json.dumps(block["input"]).encode())
    return value


def _blocks(message: _Message) -> list[_Block]:
    if isinstance(message.content, str):
        return [_Block("text", text=message.content)]
    return message.content or []


def _written(block: _Block) -> int:
    """Return the characters of what the assistant wrote: text, thoughts, the input of a tool."""
    return len(block.text or "") + len(block.thinking or "") + len(bytes(block.input))


def _size(block: _Block) -> int:
    """Return the characters of what was given to the assistant."""
    if block.type == "image":
        return _IMAGE_CHARACTERS
    if isinstance(block.content, str):
        return len(block.content)
    inner = block.content or ()
    return len(block.text or "") + sum(
        _IMAGE_CHARACTERS if each.type == "image" else len(each.text or "") for each in inner
    )
