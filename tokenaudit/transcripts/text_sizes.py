"""How much each response wrote: characters of thinking, text and tool input; no text is kept.

Read anew from transcripts, and only where an estimate of lost output is asked for: to count characters
of every line while usage is parsed would cost all other runs a tenth of their time.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tokenaudit.transcripts.columns import Columns
from tokenaudit.transcripts.visitor import blocks_of, lines_of, said_by, understood
from tokenaudit.transcripts.wire import AnyLine

__all__ = ["written"]

_NAMES: Final = (
    *("path", "message_id", "request_id", "uuid"),
    *("thinking", "signature", "text", "tool_input", "tool_calls"),
)


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
        for found in lines_of(path, _may_hold_texts):
            for line in understood(found.data)[0]:
                yield from _of_line(path, said_by(line))
    except OSError:
        return


def _may_hold_texts(data: bytes) -> bool:
    return b'"usage"' in data and b'"content"' in data and b'"assistant"' in data


def _of_line(path: str, line: AnyLine) -> Iterator[tuple[Any, ...]]:
    if line.type != "assistant" or line.message is None:
        return
    blocks = blocks_of(line.message)
    tool_inputs = [inputs for block in blocks if (inputs := bytes(block.input))]
    yield (
        path,
        line.message.id,
        line.request_id,
        line.uuid,
        sum(len(block.thinking or "") for block in blocks),
        sum(_signature(bytes(block.signature)) for block in blocks),
        sum(len(block.text or "") for block in blocks),
        sum(len(inputs) for inputs in tool_inputs),
        len(tool_inputs),
    )


def _signature(raw: bytes) -> int:
    """Return the characters of a signature, which needs no escapes, from its JSON."""
    return len(raw) - 2 if raw.startswith(b'"') else 0
