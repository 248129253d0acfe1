"""Finds the lines that matter in the bytes of a transcript, without parsing the others.

Reads in blocks of a fixed size. What is handed out are the lines that may hold usage or facts of the
session, each with its number and with what a look at a few of its bytes says it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from io import BytesIO
from typing import BinaryIO, Final

from tokenaudit.transcripts.prefix_digest import Digester
from tokenaudit.transcripts.results import may_state_result
from tokenaudit.transcripts.wire import CUT_NOTE, REFUSED_MESSAGE_ID

__all__ = [
    "BLOCK",
    "LONGEST_LINE",
    "Candidate",
    "LineReader",
    "Sort",
    "lines_back",
    "lines_from",
]

BLOCK: Final = 1 << 18
LONGEST_LINE: Final = 64 << 20
"""A longer line is rejected unread: memory must not grow with what a file holds."""

_LOOK: Final = 1 << 14
"""Where but a line or two is wanted, this much is read first, and twice as much each time after that."""
_LARGEST_LOOK: Final = 8 << 20
_SHORT: Final = 2048
"""Whatever tells the kind of a line that is written with blanks, or of a compaction, stands so near to its start."""
_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = ord("\n")
_OPEN: Final = ord("{")
_CLOSE: Final = ord("}")


class Sort(Enum):
    """What a line seems to be."""

    ASSISTANT = auto()
    """It may hold the usage of a response."""
    PROGRESS = auto()
    """It may repeat a subagent's response."""
    RESULT = auto()
    """It may state what a subagent used last."""
    NOTE = auto()
    """It may tell a fact of the session: a title, a compaction, Claude Code's own total."""
    REQUEST = auto()
    """It may tell of a request: that it was sent, failed, was refused, or went to another model."""
    CUT = auto()
    """It may be the note by which a model goes on whose stream was cut."""
    USAGE = auto()
    """It names a usage, but no assistant: one may stand at its top level, where it does not count."""
    RAGGED = auto()
    """It has blanks around it, NUL bytes in it, or is no JSON object from end to end."""
    OVERSIZE = auto()
    """It is longer than any line that is read."""
    TAIL = auto()
    """The last line, without a line end: whole, or half-written."""


Candidate = tuple[int, Sort, bytes]
"""A line that may matter: its number, from 1 and counting blank lines too, its sort, its bytes; blanks
around it and its line end may be part of them or not."""


class LineReader:
    """Reads an extent of a transcript: an iterator of candidates that counts what it passes by.

    `lines` counts the lines that are not blank, `line_ends` the line ends, `bytes` what was read;
    `end` is where the last whole line ends, and `digests` are those of what stands before, as far as it
    was read here: both are known when all is read.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int = 0,
        end: int | None = None,
        *,
        with_results: bool = False,
        before: bytes = b"",
    ) -> None:
        """Read *file*, open in binary mode, from *start* to *end*, where lines begin and end.

        *with_results*: hand out the results of subagents too. *before* is what stands before *start*
        in the block that has a digest.
        """
        self.lines = 0
        self.bytes = 0
        self.line_ends = 0
        self.end = start
        self._file = file
        self._start = start
        self._left = None if end is None else end - start
        self._with_results = with_results
        # Before the first line of a request nothing tells what became of one.
        self._has_requests = start > 0
        self._is_ended = False
        self.has_endless_line = False
        """Whether the last line is too long to be read, and has no end yet."""
        self.first: list[bytes] = []
        self.last: list[bytes] = []
        """Some of the first and of the last lines, blank ones too."""
        self._digester = Digester(before)
        self.digests = self._digester.digests()

    def __iter__(self) -> Iterator[Candidate]:
        """Yield the candidates in the order of the file."""
        if self._start:
            self._file.seek(self._start)
        data: bytes | None = b""
        size = 0
        for data, start, end in _whole_lines(self._blocks()):
            size = end - start
            if data is None:
                self.lines += 1
                self.line_ends += 1
                yield self.line_ends, Sort.OVERSIZE, b""
            elif data[end - 1] == _LINE_END:
                has_nul = data.find(_NUL, start, end) >= 0
                self.last = _lines(data, start, end)
                self.first = self.first or self.last
                yield from self._candidates(self.last, has_nul=has_nul)
            elif data.strip():
                self.lines += 1
                self.last = [*self.last, data]
                yield self.line_ends + 1, Sort.TAIL, data
        self.has_endless_line = data is None and not self._is_ended
        if self.line_ends:
            self.end = self._start + self.bytes - (0 if self._is_ended else size)

    def _blocks(self) -> Iterator[bytes]:
        """Yield what the extent holds, without the mark that an editor may have put before it."""
        read = self._file.read
        while block := read(BLOCK if self._left is None else min(BLOCK, self._left)):
            is_first = not self.bytes and not self._start
            self.bytes += len(block)
            if self._left is not None:
                self._left -= len(block)
            self._is_ended = block[-1] == _LINE_END
            yield block.removeprefix(_BOM) if is_first else block
            self._digest(block)  # it is in the processor's cache now: half the time

    def _digest(self, block: bytes) -> None:
        """Take the digest of *block*: what stands behind its last line end is not yet part of `digests`."""
        view, end = memoryview(block), block.rfind(b"\n") + 1
        if end:
            self._digester.add(view[:end])
            self.digests = self._digester.digests()
        self._digester.add(view[end:])

    def _candidates(self, lines: Sequence[bytes], *, has_nul: bool) -> list[Candidate]:
        """Return the candidates among *lines*, which come next, with their line ends."""
        found: list[Candidate] = []
        blank, with_results, has_requests = 0, self._with_results, self._has_requests
        for number, line in enumerate(lines, self.line_ends + 1):
            if line[0] == _OPEN and line[-2] == _CLOSE and not (has_nul and _NUL in line):
                # What stands before the first nested object names nearly every line that is written.
                brace = line.find(b"{", 1)
                named = line[brace - _NAMED : brace]
                if named == _USER or (named == _PROGRESS and line.startswith(_DULL, brace + 1)):
                    is_note = line.startswith(_CUT, brace + 1) or (
                        has_requests and line.find(_REFUSED, _END) >= 0
                    )
                    if is_note or _OUTPUT in line:
                        found.append((number, _sort_user(line, brace, with_results), line))
                elif named[-_LAST:] == _MESSAGE:
                    found.append((number, _ASSISTANT, line))
                elif sort := _sort(line, brace, with_results):
                    found.append((number, sort, line))
                    has_requests = has_requests or sort is Sort.REQUEST
            elif line := line.strip():
                found.append((number, Sort.RAGGED, line))
            else:
                blank += 1
        self.lines += len(lines) - blank
        self.line_ends += len(lines)
        self._has_requests = has_requests
        return found


_ASSISTANT: Final = Sort.ASSISTANT
"""Looked up once: as a member of its class it takes as long as a search in a line."""
_NAMED: Final = 24
_USER: Final = b'"type":"user","message":'
_PROGRESS: Final = b'type":"progress","data":'
_MESSAGE: Final = b'"message":'
_LAST: Final = len(_MESSAGE)
_CUT: Final = tuple(
    f'"role":"user","content":{before}"{CUT_NOTE}'.encode()
    for before in ("", '[{"type":"text","text":')
)
_REFUSED: Final = REFUSED_MESSAGE_ID + b":"
_END: Final = -700
"""How near to its end a note says which message was refused: only where it is and who writes comes after."""
_DULL: Final = (b'"type":"hook', b'"type":"bash', b'"message":{"type":"user"')
"""How the data of those progress lines begin that report on hooks and commands, or repeat a user's line."""
_USAGE: Final = b'"usage"'
_OUTPUT: Final = b'"output_tokens"'
"""What names a usage in a line of another kind; of all its keys the one that is looked for fastest."""
_NUL: Final = b"\0"
_NOTES: Final = frozenset((b"custom-title", b"ai-title", b"summary", b"cost-state"))
_SYSTEM: Final = (b'"subtype":"api_error"', b'"subtype":"model_fallback"')


def _sort(line: bytes, brace: int, with_results: bool) -> Sort | None:  # noqa: FBT001 - called for each line
    """Say what the object *line* may be; None if it need not be read.

    Up to *brace*, where the first nested object opens, all keys are those of the object itself: a
    `type` that stands there is its type.
    """
    before = line if brace < 0 else line[:brace]
    at = before.find(b'"type":"')
    if at < 0:
        is_first = before.endswith(_MESSAGE)  # too near to the start for the look above
        return _ASSISTANT if is_first else _sort_by_content(line, with_results)
    kind = before[at + 8 : before.find(b'"', at + 8)]
    if kind == b"assistant":
        return _ASSISTANT
    if kind == b"progress" and b'"agent_progress"' in line and _USAGE in line:
        return Sort.PROGRESS
    if kind in _NOTES or (kind == b"system" and b"compact_boundary" in line):
        return Sort.NOTE
    if kind == b"api-request" or (kind == b"system" and line.startswith(_SYSTEM, at + _OF_SYSTEM)):
        return Sort.REQUEST
    return _sort_usage(line, with_results) if _OUTPUT in line else None


_OF_SYSTEM: Final = len(b'"type":"system",')


def _sort_user(line: bytes, brace: int, with_results: bool) -> Sort:  # noqa: FBT001
    """Sort a line of a user, whose message opens at *brace*: it may be Claude Code's own note."""
    if line.startswith(_CUT, brace + 1):
        return Sort.CUT
    is_refused = line.find(_REFUSED, _END) >= 0
    return Sort.REQUEST if is_refused else _sort_usage(line, with_results)


def _sort_by_content(line: bytes, with_results: bool) -> Sort | None:  # noqa: FBT001
    """Sort an object whose type stands behind a nested object, or is written with blanks."""
    if _USAGE in line:
        is_progress = b'"agent_progress"' in line and b'"assistant"' in line
        return Sort.PROGRESS if is_progress else _sort_usage(line, with_results)
    is_short = len(line) <= _SHORT and b'"type": "' in line
    if is_short or b'compact_boundary"' in line[:_SHORT] or b'"cost-state"' in line:
        return Sort.NOTE
    return None


def _sort_usage(line: bytes, with_results: bool) -> Sort:  # noqa: FBT001
    """Sort a line that names a usage, though its first object is of no interest.

    Another object may be glued to it, or several, with a response among them.
    """
    if with_results and may_state_result(line):
        return Sort.RESULT
    return _ASSISTANT if b'"assistant"' in line else Sort.USAGE


def lines_from(file: BinaryIO, start: int) -> Iterator[bytes]:
    """Yield the lines of *file* from *start* on, where one begins; none that is too long to be read."""
    file.seek(start)
    for data, first, last in _whole_lines(_growing_blocks(file)):
        if data is not None:
            yield from _lines(data, first, last)


def _growing_blocks(file: BinaryIO) -> Iterator[bytes]:
    size = _LOOK
    while block := file.read(size):
        yield block
        size = min(2 * size, _LARGEST_LOOK)


def lines_back(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines of *file* between *start* and *end*, where lines begin and end, the last one first."""
    rest, size = b"", _LOOK
    while end > start:
        at = max(start, end - size)
        file.seek(at)
        data = file.read(end - at) + rest
        whole = data.find(b"\n") + 1 if at > start else 0
        if whole or at == start:
            yield from reversed(_lines(data, whole, len(data)))
            rest = data[:whole]
        else:
            rest = data if len(data) <= LONGEST_LINE else b""
        end, size = at, min(2 * size, _LARGEST_LOOK)


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[tuple[bytes | None, int, int]]:
    """Cut *blocks* where lines end: yield bytes, and from where to where in them lines are whole.

    A line that goes over the end of a block is put together; None stands for one that is too long
    to be read. Only what comes last may have no line end.
    """
    begun: list[bytes] = []
    size = 0  # of the line that has begun, kept or not
    for block in blocks:
        start, last = 0, block.rfind(b"\n") + 1
        if size or not last:
            start = block.find(b"\n") + 1 or len(block)
            size += start
            begun = [*begun, block[:start]] if size <= LONGEST_LINE else []
            if not last:
                continue
            yield _joined(begun, size)
        if start < last:
            yield block, start, last
        begun, size = [block[last:]], len(block) - last
    if size:
        yield _joined(begun, size)


def _lines(data: bytes, start: int, end: int) -> list[bytes]:
    """Return the lines of *data* between *start* and *end*, with their line ends."""
    text = BytesIO(data)
    text.seek(start)
    return text.readlines(end - start)


def _joined(parts: Sequence[bytes], size: int) -> tuple[bytes | None, int, int]:
    return (b"".join(parts) if size <= LONGEST_LINE else None), 0, size
