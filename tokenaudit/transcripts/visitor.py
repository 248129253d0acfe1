"""The second look at transcripts: the one way in which lines are read again, whatever is asked of them.

Counting needs one reading, which is `parse` and knows beforehand which bytes matter. What else is asked
(what came into a context, what a line said before it was merged, how chains of lines run) is read on
demand, line by line, each line as `wire.AnyLine` or, of usage, as the types of the first reading.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

from tokenaudit.transcripts import tolerant
from tokenaudit.transcripts.lines import BLOCK, LONGEST_LINE
from tokenaudit.transcripts.wire import (
    AnyLine,
    ContentBlock,
    MessageContent,
    decode_any_line,
    decode_repeated,
    keys_of,
)

__all__ = ["VisitedLine", "blocks_of", "lines_in", "lines_of", "said_by", "understood"]

_BOM: Final = b"\xef\xbb\xbf"
_KEYS: Final = keys_of(AnyLine)


class VisitedLine(NamedTuple):
    """A line of a transcript."""

    number: int
    """From 1 where reading begins; blank lines are counted too."""
    offset: int
    """Where it begins in the file, from 0."""
    data: bytes
    """With its line end, if it has one; without the mark that an editor may have put before the first."""


def lines_of(path: str, is_wanted: Callable[[bytes], bool] | None = None) -> Iterator[VisitedLine]:
    """Yield the lines of the transcript at *path*, or those that are wanted, by their bytes.

    Lines too long to be read are passed over. Raises OSError where the transcript cannot be read.
    """
    with open(path, "rb", buffering=BLOCK) as file:  # noqa: PTH123 - as everywhere here
        yield from lines_in(file, is_wanted=is_wanted)


def lines_in(
    file: BinaryIO, start: int = 0, *, is_wanted: Callable[[bytes], bool] | None = None
) -> Iterator[VisitedLine]:
    """Yield the lines of *file* from *start* on, where one begins, or those that are wanted."""
    number, offset = 0, start
    file.seek(start)
    while data := file.readline(LONGEST_LINE + 1):
        number += 1
        begin, size = offset, len(data)
        offset += size
        if size > LONGEST_LINE:
            offset += _passed(file, data)
        elif is_wanted is None or is_wanted(data):
            yield VisitedLine(number, begin, data if begin else data.removeprefix(_BOM))


def _passed(file: BinaryIO, data: bytes) -> int:
    """Pass over the rest of the line that *data* begins; return its bytes."""
    size = 0
    while data and not data.endswith(b"\n"):
        data = file.readline(LONGEST_LINE)
        size += len(data)
    return size


def understood(data: bytes) -> tuple[list[AnyLine], bool]:
    """Return the objects on a line, and whether that is all of it.

    What the strict types refuse is read by the forgiving parser, as in the first reading: two objects
    on a line, lone surrogates, bytes that are no UTF-8.
    """
    try:
        return [decode_any_line(data)], True
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    values, error = tolerant.objects(data)
    lines = [_lenient(value) for value in values]
    return [line for line, _ in lines], error is None and all(is_whole for _, is_whole in lines)


def said_by(line: AnyLine) -> AnyLine:
    """Return the line of a subagent that *line* repeats, if it is one of progress that does; else *line*."""
    if line.type != "progress":
        return line
    try:
        return decode_repeated(line.data).message or line
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return line


def blocks_of(message: MessageContent) -> list[ContentBlock]:
    """Return the blocks of *message*, a text alone as one."""
    if isinstance(message.content, str):
        return [ContentBlock("text", text=message.content)]
    return message.content or []


def _lenient(value: dict[str, Any]) -> tuple[AnyLine, bool]:
    """Return the line that *value* is, without what of it is odd, and whether nothing is."""
    try:
        return decode_any_line(_written(value)), True
    except (msgspec.MsgspecError, RecursionError):
        pass
    line, is_whole = AnyLine(), True
    for name, key in _KEYS.items():
        if key in value:
            try:
                alone = decode_any_line(_written({key: value[key]}))
                setattr(line, name, getattr(alone, name))
            except (msgspec.MsgspecError, RecursionError):
                is_whole = False
    return line, is_whole


def _written(value: dict[str, Any]) -> bytes:
    """Write *value* anew, without what JSON in UTF-8 cannot hold: halves of characters, NaN."""
    plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
