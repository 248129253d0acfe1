"""What stands before all messages of a prompt, by size: the system prompt and the definitions of tools.

Newer versions of Claude Code write the shape of a request once, and name it with each request that has
it; versions before those wrote a snapshot. Sizes are kept, no text.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from tokenaudit.rules.time import micros
from tokenaudit.transcripts.wire import decode_definition_line, decode_snapshot, decode_tool

__all__ = ["Definition", "DefinitionPart", "Definitions"]

_MCP: Final = "mcp__"


class DefinitionPart(StrEnum):
    """The parts of a request before its messages."""

    SYSTEM = "system prompt"
    TOOLS = "tools"
    MCP = "MCP tools"


class Definition(NamedTuple):
    """The system prompt, or one tool: how many characters it adds to the request."""

    part: DefinitionPart
    characters: int
    server: str | None = None
    """Of a tool that an MCP server offers."""
    time: int | None = None
    """When the request was sent, or the snapshot taken: microseconds in UTC."""


_Sizes = dict[tuple[DefinitionPart, str], int]
"""The characters of each definition, by its part and name."""


class Definitions:
    """The definitions of one agent's requests: taken in first, then asked for in the order of responses."""

    def __init__(self) -> None:
        """Begin without any."""
        self._shapes: dict[str, _Sizes] = {}
        self._requests: dict[str, tuple[str, int | None]] = {}
        self._first_shape: tuple[_Sizes, int | None] | None = None
        self._snapshot: tuple[_Sizes, int | None] | None = None
        self._prompt_alone: tuple[_Sizes, int | None] | None = None
        self._sent: _Sizes = {}

    def add_request(self, data: bytes) -> None:
        """Take in a line of a request, or of a shape. Raises msgspec.MsgspecError where it is neither."""
        line = decode_definition_line(data)
        if line.type == "api-request" and line.id:
            self._requests[line.id] = (line.shape_hash or "", micros(line.timestamp))
        elif line.type == "api-request-shape" and line.shape_hash and line.shape:
            texts = line.shape.system or []
            system = [texts] if isinstance(texts, str) else [each.text or "" for each in texts]
            sizes = _sizes(system, line.shape.tools or ())
            self._shapes[line.shape_hash] = sizes
            self._first_shape = self._first_shape or (sizes, micros(line.timestamp))

    def add_snapshot(self, attachment: bytes, time: int | None) -> None:
        """Take in a snapshot; the first that holds the tools says most. Raises msgspec.MsgspecError."""
        snapshot = decode_snapshot(attachment)
        texts = snapshot.system_prompt or []
        system = [each if isinstance(each, str) else each.text or "" for each in texts]
        sizes = _sizes([snapshot.cli_prefix or "", *system], snapshot.tools or ())
        if snapshot.tools is None:
            self._prompt_alone = self._prompt_alone or (sizes, time)
        else:
            self._snapshot = self._snapshot or (sizes, time)

    def knows(self, request_id: str | None) -> bool:
        """Whether the shape of the request of this id is known."""
        return self._requests.get(request_id or "", ("", None))[0] in self._shapes

    def grown(self, request_id: str | None) -> Sequence[Definition]:
        """Return what the request of this id defines that those before it did not, or shorter."""
        shape_hash, time = self._requests.get(request_id or "", ("", None))
        return self._grow(self._shapes.get(shape_hash, {}), time)

    def recorded(self, *, with_less: bool) -> Sequence[Definition]:
        """Return what is defined where a response names no request: by the first shape, else snapshot.

        *with_less*: by a snapshot without tools too, which cannot be a measure for shares.
        """
        found = self._first_shape or self._snapshot or (self._prompt_alone if with_less else None)
        return () if found is None else self._grow(*found)

    def _grow(self, sizes: _Sizes, time: int | None) -> Sequence[Definition]:
        found = [
            Definition(part, size - self._sent.get((part, name), 0), _server(part, name), time)
            for (part, name), size in sizes.items()
            if size > self._sent.get((part, name), 0)
        ]
        self._sent = sizes or self._sent
        return found


def _sizes(system: Iterable[str], tools: Iterable[msgspec.Raw]) -> _Sizes:
    """Return the characters of each definition: of a tool those of its JSON; none of a deferred one."""
    sizes: _Sizes = {(DefinitionPart.SYSTEM, ""): sum(map(len, system))}
    for raw in tools:
        tool, sent = decode_tool(raw), raw
        if bytes(tool.schema):
            sent = tool.schema
            tool = decode_tool(sent)
        if not tool.defer_loading:
            name = tool.name or ""
            part = DefinitionPart.MCP if name.startswith(_MCP) else DefinitionPart.TOOLS
            size = len(bytes(sent).decode(errors="replace"))
            sizes[part, name] = sizes.get((part, name), 0) + size
    return sizes


def _server(part: DefinitionPart, name: str) -> str | None:
    return name.removeprefix(_MCP).partition("__")[0] if part is DefinitionPart.MCP else None
