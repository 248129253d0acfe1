"""How much each response wrote: characters of thinking, text and tool input; no text is kept.

Read anew from transcripts, and only where an estimate of lost output is asked for: to count characters
of every line while usage is parsed would cost all other runs a tenth of their time.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from tokenaudit.transcripts.columns import Columns
from tokenaudit.transcripts.traces import numbered_lines

__all__ = ["written"]

_NAMES: Final = (
    *("path", "message_id", "request_id", "uuid"),
    *("thinking", "signature", "text", "tool_input", "tool_calls"),
)


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    thinking: str | None = None
    signature: str | None = None
    text: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    content: list[_Block] | None = None


class _Data(msgspec.Struct, gc=False, rename="camel"):
    message: "_Line | None" = None


class _Line(msgspec.Struct, gc=False, rename="camel"):
    type: str | None = None
    message: _Message | None = None
    request_id: str | None = None
    uuid: str | None = None
    data: _Data | None = None


_decode: Final = msgspec.json.Decoder(_Line).decode


def written(paths: Iterable[str]) -> Columns:
    """Return what the lines of responses in the transcripts at *paths* hold, in characters.

    One row per line: `path, message_id, request_id, uuid`; `thinking` and its `signature`, `text`, and
    `tool_input`, of which the characters of its JSON count; and how many `tool_calls` there are. The
    signature holds the thinking in encrypted form, and stands where the text of it is left out. Lines
    that cannot be read have none.
    """
    rows = [row for path in paths for row in _of_file(path)]
    return {name: [row[at] for row in rows] for at, name in enumerate(_NAMES)}


def _of_file(path: str) -> Iterator[tuple[Any, ...]]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            for _, data in numbered_lines(file):
                if b'"usage"' in data and b'"content"' in data and b'"assistant"' in data:
                    yield from _of_line(path, data)
    except OSError:
        return


def _of_line(path: str, data: bytes) -> Iterator[tuple[Any, ...]]:
    try:
        line = _decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return
    if line.type == "progress" and line.data is not None and line.data.message is not None:
        line = line.data.message  # what a parent repeats of its subagent
    if line.type != "assistant" or line.message is None:
        return
    blocks = line.message.content or []
    tool_inputs = [inputs for block in blocks if (inputs := bytes(block.input))]
    yield (
        path,
        line.message.id,
        line.request_id,
        line.uuid,
        sum(len(block.thinking or "") for block in blocks),
        sum(len(block.signature or "") for block in blocks),
        sum(len(block.text or "") for block in blocks),
        sum(len(inputs) for inputs in tool_inputs),
        len(tool_inputs),
    )
