"""Lines are found and sorted by a few of their bytes: whatever the blocks, and without losing one."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from transcripts_builder import (
    agent_result,
    encoded,
    parsed,
    progress,
    prompt,
    reply,
    sidechain,
    usage,
    write,
)

from tokenaudit.transcripts import lines
from tokenaudit.transcripts.lines import (
    Candidate,
    LineReader,
    Sort,
    lines_back,
    lines_from,
)
from tokenaudit.transcripts.parse import Parsed

SYSTEM = b'{"type":"system","subtype":"compact_boundary","content":"x","uuid":"u","timestamp":"t"}'
TITLE = b'{"type":"custom-title","customTitle":"Kiln","sessionId":"s"}'
HOOK = b'{"type":"progress","data":{"type":"hook_progress","hookEvent":"Stop"},"uuid":"u"}'
SNAPSHOT = b'{"type":"file-history-snapshot","messageId":"m","snapshot":{"files":{}}}'


def candidates(content: bytes) -> tuple[list[Candidate], int, int]:
    reader = LineReader(io.BytesIO(content))
    found = [(number, sort, line.removesuffix(b"\n")) for number, sort, line in reader]
    return found, reader.lines, reader.bytes


def parsed_file(folder: Path, *content: bytes, end: bytes = b"\n") -> Parsed:
    return parsed(write(folder / "a.jsonl", *content, end=end))


def sorts(content: bytes) -> list[tuple[int, Sort]]:
    return [(number, sort) for number, sort, _ in candidates(content)[0]]


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Read in blocks of as many bytes as the test says."""
    monkeypatch.setattr(lines, "BLOCK", request.param)


def in_blocks(*sizes: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", sizes, indirect=True)


# numbers and counts

ODD = b"\n".join(
    [
        b'\xef\xbb\xbf{"type":"custom-title","customTitle":"first","sessionId":"s"}',
        b"",
        encoded(prompt("x" * 50)),
        b" \t ",
        encoded(reply()) + b"\r",
        b"\r",
        b"\x00" * 40,
        b'  {"type":"summary","summary":"x","leafUuid":"u"}',
        b"garbage",
        encoded(progress(reply())),
        SYSTEM,
        HOOK,
        encoded(reply("msg_2")) + encoded(reply("msg_3")),
        encoded(prompt()) + encoded(reply("msg_4")),
        b"",
        encoded(reply("msg_5"))[:-20],
    ]
)
ODD_SORTS = [
    (1, Sort.NOTE),
    (5, Sort.RAGGED),
    (7, Sort.RAGGED),
    (8, Sort.RAGGED),
    (9, Sort.RAGGED),
    (10, Sort.PROGRESS),
    (11, Sort.NOTE),
    (13, Sort.ASSISTANT),
    (14, Sort.ASSISTANT),
    (16, Sort.TAIL),
]


def test_numbers_count_every_line_and_lines_those_that_are_not_blank() -> None:
    """Blank lines have a number and no other part; what is of no interest is counted, not handed out."""
    found, count, size = candidates(ODD)

    assert ODD_SORTS == [(number, sort) for number, sort, _ in found]
    assert (16 - 4, len(ODD)) == (count, size)


@in_blocks(*range(3, 700, 17))
@pytest.mark.usefixtures("block")
def test_candidates_are_the_same_whatever_the_block() -> None:
    """A line may lie across any number of blocks, and a block hold any number of lines."""
    found, count, size = candidates(ODD)

    assert ODD_SORTS == [(number, sort) for number, sort, _ in found]
    assert [ODD.split(b"\n")[number - 1].strip(b" \r\xef\xbb\xbf") for number, _ in ODD_SORTS] == [
        line for _, _, line in found
    ]
    assert (16 - 4, len(ODD)) == (count, size)


@examples(60)
@given(
    st.lists(
        st.sampled_from(
            [
                *(b"", b" ", b"\r", b"{}", b"x", b"\x00\x00", b'{"type":"user","message":{"a":1}}'),
                *(TITLE, HOOK, SYSTEM, b'{"message":{"usage":1},"type":"assistant"}'),
            ]
        ),
        max_size=12,
    ),
    st.sampled_from([b"", b"\n"]),
    st.integers(3, 200),
)
def test_any_file_reads_the_same_in_any_block(content: list[bytes], end: bytes, size: int) -> None:
    """Only the bytes decide what is found, never where a read happened to stop."""
    data = b"\n".join(content) + end
    expected = candidates(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", size)
        actual = candidates(data)

    assert expected == actual


@pytest.mark.parametrize("before", [b'"type":"user","message":{', b'x"message":{'])
def test_a_line_is_not_judged_by_the_end_of_its_block(before: bytes) -> None:
    """A line without nested objects has none at the end of the block either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", len(TITLE) + 1 + len(before))
        found = sorts(TITLE + b"\n" + before + b"\n")

    assert [(1, Sort.NOTE), (2, Sort.RAGGED)] == found


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n", b"\n \n"])
def test_last_line_counts_with_or_without_its_end(end: bytes) -> None:
    """Blank lines at the end are no lines."""
    found, count, size = candidates(b"{}\n" + TITLE + end)

    assert [2] == [number for number, _, _ in found]
    assert (2, 3 + len(TITLE) + len(end)) == (count, size)


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n\n", b"\xef\xbb\xbf", b" ", b"\r\n"])
def test_files_of_nothing_have_no_lines(content: bytes) -> None:
    """An empty file is read like any other."""
    assert ([], 0, len(content)) == candidates(content)


@in_blocks(3, 4, 1 << 18)
@pytest.mark.usefixtures("block")
def test_byte_order_mark_is_not_part_of_the_first_line() -> None:
    """Only at the very start is it a mark."""
    found, _, _ = candidates(b"\xef\xbb\xbf" + TITLE + b"\n\xef\xbb\xbf" + TITLE + b"\n")

    assert [(1, Sort.NOTE, TITLE), (2, Sort.RAGGED, b"\xef\xbb\xbf" + TITLE)] == found


@in_blocks(7, 64, 1 << 18)
@pytest.mark.usefixtures("block")
def test_nul_runs_do_not_hide_the_next_line(tmp_path: Path) -> None:
    """What a crash leaves in a file is a reject of its own line, however long."""
    found = parsed_file(tmp_path, encoded(prompt()), b"\x00" * 1000, encoded(reply()))

    assert [3] == [record.first_line for record in found.records]
    assert [2] == [reject.line for reject in found.rejects]


# lines that are too long

LIMIT = 2000


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a line of some kilobytes be too long."""
    monkeypatch.setattr(lines, "LONGEST_LINE", LIMIT)


def long_line(size: int) -> bytes:
    """Return a usage line of *size* bytes, its line end included."""
    line = encoded(reply("msg_long", text=""))
    return encoded(reply("msg_long", text="x" * (size - 1 - len(line))))


@pytest.mark.usefixtures("low_limit", "block")
@in_blocks(16, 100, 333, 1999)
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 100, 3 * LIMIT])
def test_line_that_is_too_long_leaves_its_neighbours_alone(size: int, tmp_path: Path) -> None:
    """It is a reject with its number; the lines before and after it have theirs."""
    found = parsed_file(
        tmp_path, encoded(reply("msg_1")), long_line(size), b"", b"bad", encoded(reply("msg_2"))
    )

    assert [1, 5] == [record.first_line for record in found.records]
    assert [(2, "longer than 64 MiB"), (4, "not JSON: Expecting value at character 1")] == [
        (reject.line, reject.reason) for reject in found.rejects
    ]
    assert (4, False) == (found.lines, found.incomplete)


@pytest.mark.usefixtures("low_limit", "block")
@in_blocks(16, 100, 333, 1999)
@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_line_just_short_enough_is_read(size: int, tmp_path: Path) -> None:
    """Whether a line is too long depends on its length alone, not on where blocks end."""
    found = parsed_file(tmp_path, encoded(reply("msg_1")), long_line(size), encoded(reply("m")))

    assert [1, 2, 3] == [record.first_line for record in found.records]
    assert [] == found.rejects


@pytest.mark.usefixtures("low_limit", "block")
@in_blocks(16, 1999)
def test_last_line_that_is_too_long_is_a_reject(tmp_path: Path) -> None:
    """Without a line end too: it cannot become shorter."""
    found = parsed_file(tmp_path, encoded(reply()) + b"\n" + long_line(LIMIT + 10), end=b"")

    assert [1] == [record.first_line for record in found.records]
    assert [2] == [reject.line for reject in found.rejects]


# lines from the ends

PIECES = st.sampled_from([b"", b"some", b"x", b"n" * 60])


@examples(100)
@given(st.lists(PIECES, max_size=10), st.sampled_from([b"", b"\n"]), st.integers(1, 80), st.data())
def test_lines_can_be_had_from_both_ends(
    content: list[bytes], end: bytes, size: int, data: st.DataObject
) -> None:
    """However much is read at a time, and from any line to any other."""
    every = (b"\n".join(content) + end).splitlines(keepends=True)
    first = data.draw(st.integers(0, len(every)))
    last = data.draw(st.integers(first, len(every)))
    start, stop = len(b"".join(every[:first])), len(b"".join(every[:last]))
    file = io.BytesIO(b"".join(every))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_LOOK", size)

        assert every[first:] == list(lines_from(file, start))
        assert every[first:last][::-1] == list(lines_back(file, start, stop))


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("look", [16, 1 << 14])
def test_lines_from_the_ends_pass_over_what_is_too_long(
    look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more of it is kept than of a line that may be read; the others are whole."""
    monkeypatch.setattr(lines, "_LOOK", look)
    content = [b"a\n", b"!" * (9 * LIMIT) + b"\n", b"b\n"]
    file = io.BytesIO(b"".join(content))

    assert [b"a\n", b"b\n"] == list(lines_from(file, 0))
    back = list(lines_back(file, 0, len(b"".join(content))))
    assert (b"b\n", b"a\n") == (back[0], back[-1])


# sorting by a few bytes


@pytest.mark.parametrize(
    ("line", "sort"),
    [
        pytest.param(encoded(reply()), Sort.ASSISTANT, id="assistant"),
        pytest.param(encoded(sidechain(reply(), "a1")), Sort.ASSISTANT, id="subagent"),
        pytest.param(encoded(prompt()), None, id="user"),
        pytest.param(encoded(agent_result(usage())), Sort.USAGE, id="usage of a tool's result"),
        pytest.param(encoded(progress(reply())), Sort.PROGRESS, id="agent progress"),
        pytest.param(encoded(progress(prompt())), None, id="agent progress of a user's line"),
        pytest.param(HOOK, None, id="hook progress"),
        pytest.param(SYSTEM, Sort.NOTE, id="compaction"),
        pytest.param(b'{"type":"system","subtype":"turn_duration"}', None, id="system"),
        pytest.param(TITLE, Sort.NOTE, id="custom title"),
        pytest.param(b'{"type":"ai-title","aiTitle":"x"}', Sort.NOTE, id="generated title"),
        pytest.param(b'{"type":"summary","summary":"x"}', Sort.NOTE, id="summary"),
        pytest.param(SNAPSHOT, None, id="snapshot"),
        pytest.param(b"{}", None, id="nothing"),
        pytest.param(b"[]", Sort.RAGGED, id="array"),
        pytest.param(b'{"type":"user"', Sort.RAGGED, id="half an object"),
    ],
)
def test_a_line_is_sorted_by_what_it_is(line: bytes, sort: Sort | None) -> None:
    """What matters is handed out by its kind, and little else is handed out at all."""
    expected = [] if sort is None else [(1, sort)]

    assert expected == sorts(line + b"\n")


TEXTS = st.sampled_from(
    ["", "x", '"usage"', '"type":"user"', "}{", '{"type":"user","message":{"usage":1}}', "é\ud83d"]
)
LONG = "l" * 5000
COUNTS = st.integers(0, 10**6)


def shuffled(keys: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.permutations(list(keys.items())).map(dict)


@st.composite
def usage_objects(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> dict[str, Any]:
    """An assistant line or a progress line with usage, its keys in any order at every level."""
    counts = {"input_tokens": draw(COUNTS), "output_tokens": draw(COUNTS), "service_tier": "x"}
    nested: dict[str, Any] = draw(
        st.sampled_from([{}, {"cache_creation": {}}, {"iterations": [{}]}])
    )
    message = {
        "usage": draw(shuffled({**counts, **nested})),
        "id": "msg_1",
        "content": [{"type": "text", "text": draw(texts)}, {"type": "tool_use", "input": {}}],
        "role": "assistant",
    }
    line = {
        "type": "assistant",
        "message": draw(shuffled(message)),
        "requestId": "req_1",
        "uuid": draw(texts),
        "forkedFrom": {"sessionId": "s"},
    }
    if draw(st.booleans()):
        return draw(shuffled(line))
    data = {"type": "agent_progress", "message": draw(shuffled(line)), "agentId": "a", "n": {}}
    return draw(
        shuffled({"type": "progress", "data": draw(shuffled(data)), "x": {"type": "origin"}})
    )


OTHERS = st.sampled_from(
    [
        *(prompt(), agent_result(usage()), progress(prompt()), {}, {"type": "x"}, {"a": {"b": {}}}),
        *(json.loads(line) for line in (SYSTEM, TITLE, HOOK, SNAPSHOT)),
        {"type": "progress", "data": {"hookEvent": "Stop", "type": "hook_progress"}},
        {"message": {"role": "user"}, "type": "user"},
    ]
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")])


FILES = examples(120)


@FILES
@given(usage_objects(st.sampled_from([LONG]) | TEXTS), SEPARATORS)
def test_no_usage_is_lost_whatever_the_order_of_keys(
    tmp_path: Path, line: dict[str, Any], separators: tuple[str, str]
) -> None:
    """R2: keys in any order, blanks anywhere, texts that look like JSON, of any length."""
    found = parsed_file(tmp_path, json.dumps(line, separators=separators).encode())

    assert (1, []) == (found.usage_lines, found.rejects)


@FILES
@given(usage_objects(), usage_objects(st.sampled_from([LONG]) | TEXTS), OTHERS, SEPARATORS)
def test_no_usage_is_lost_where_objects_share_a_line(
    tmp_path: Path,
    line: dict[str, Any],
    longer: dict[str, Any],
    other: dict[str, Any],
    separators: tuple[str, str],
) -> None:
    """R2: two objects on one line are two, in whichever order they stand, and three are three."""
    texts = [json.dumps(one, separators=separators).encode() for one in (line, longer, other)]
    short, long, glued = texts
    found = parsed_file(
        tmp_path, long + glued, glued + long, long + short, short + long, glued + long + glued
    )

    assert (7, []) == (found.usage_lines, found.rejects)
