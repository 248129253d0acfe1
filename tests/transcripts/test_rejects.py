"""Nothing is lost without a word: each line that lost something is one reject, by an independent reckoning."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from properties import examples
from reckoning import reckon
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

from tokenaudit.model.terms import Transcript
from tokenaudit.transcripts.parse import Extent, Parsed, parse

HOLE: Final = "NUL bytes: a hole in the file"
TITLE: Final = b'{"type":"custom-title","customTitle":"Kiln","sessionId":"s"}'
SNAPSHOT: Final = b'{"type":"file-history-snapshot","messageId":"m","snapshot":{"x":{}}}'
COMPACTION: Final = b'{"parentUuid":null,"type":"system","subtype":"compact_boundary","compactMetadata":{"trigger":"auto"}}'
HOOK: Final = b'{"type":"progress","data":{"type":"hook_progress","hookEvent":"Stop"}}'


def rejects(found: Parsed) -> list[tuple[int | None, str]]:
    return [(reject.line, reject.reason) for reject in found.rejects]


# holes


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_a_run_of_nul_bytes_is_a_reject_of_its_line(tmp_path: Path, size: int) -> None:
    """What stood there is lost, and may have been lines; what stands around it counts."""
    hole = b"\x00" * size
    lines = [
        encoded(reply("msg_1")),
        hole + encoded(reply("msg_2")),
        encoded(reply("msg_3")) + hole,
    ]
    found = parsed(write(tmp_path / "a.jsonl", *lines, encoded(prompt())))

    assert [1, 2, 3] == [record.first_line for record in found.records]
    assert [(2, HOLE), (3, HOLE)] == rejects(found)


def test_a_hole_over_line_ends_is_a_reject_whatever_it_leaves(tmp_path: Path) -> None:
    """Its first half may be the start of a prompt, its second the end of another line: no object at all."""
    lines = [encoded(line) for line in (prompt("x" * 500), reply("msg_1"), prompt("y" * 500))]
    content = b"\n".join(lines) + b"\n"
    start, end = 300, len(content) - 300
    path = tmp_path / "a.jsonl"
    path.write_bytes(content[:start] + bytes(end - start) + content[end:])
    found = parsed(path)

    assert (0, [(1, HOLE)]) == (len(found.records), rejects(found))


# objects that share a line


@pytest.mark.parametrize("distance", [10, 3_000, 300_000])
@pytest.mark.parametrize("with_results", [False, True])
def test_a_response_between_two_objects_of_a_line_counts(
    tmp_path: Path, distance: int, *, with_results: bool
) -> None:
    """However far it stands from either end of the line."""
    other = encoded(prompt("x" * distance))
    path = write(
        tmp_path / "a.jsonl", other + encoded(reply()) + other, HOOK + encoded(reply("m")) + other
    )
    of_main = Transcript(str(path), str(tmp_path), "", None, "main")
    found = parse(Extent(of_main, with_results=with_results))

    assert (2, []) == (found.usage_lines, rejects(found))


def test_a_line_is_one_reject_however_much_of_it_is_lost(tmp_path: Path) -> None:
    """All that was wrong stands in its reason; what can be read of it counts."""
    bad = encoded(reply("msg_1", counts=usage(-1)))
    odd = encoded(reply("msg_2", counts={"input_tokens": 1}))
    found = parsed(write(tmp_path / "a.jsonl", bad + odd + bad + encoded(reply("msg_3")) + b"{"))

    assert (1, [1]) == (found.usage_lines, [line for line, _ in rejects(found)])
    assert (
        "usage.output_tokens: negative; usage.output_tokens: missing; "
        "not JSON: Expecting property name enclosed in double quotes"
    ) == rejects(found)[0][1].rpartition(" at ")[0]


def test_a_response_that_was_cut_before_its_usage_is_a_reject(tmp_path: Path) -> None:
    """Though nothing on the line names a usage; a whole line of an assistant's without one is none."""
    torn = encoded(reply())[:-200]
    whole = b'{"type":"assistant","message":{"role":"assistant","content":[]}}'
    found = parsed(write(tmp_path / "a.jsonl", torn + encoded(prompt()), whole))

    assert b'"usage"' not in torn
    assert [1] == [line for line, _ in rejects(found)]


# usage where none is counted


def test_usage_at_the_top_level_of_a_line_is_counted_as_what_it_is(tmp_path: Path) -> None:
    """Hooks and wrappers write it: it is no response, and not passed over in silence."""
    result = {"type": "result", "subtype": "success", "total_cost_usd": 1.5, "usage": usage(7)}
    lines: list[Any] = [
        *(result, result),
        {"usage": usage(5), "timestamp": "2026-03-02T09:00:00Z"},
        {"type": "assistant", "usage": usage(3), "message": {"content": []}},
        {"type": "user", "message": {"role": "user", "content": "x"}, "usage": usage(1)},
        agent_result(usage(9)),
        reply(),
    ]
    found = parsed(write(tmp_path / "a.jsonl", *lines))

    assert (1, []) == (found.usage_lines, found.rejects)
    assert [(1, "result", 2), (3, None, 1), (4, "assistant", 1), (5, "user", 1)] == found.uncounted


# any damage, reckoned twice

TEXTS: Final = st.sampled_from(
    [
        "",
        "x",
        "é\ud83d",
        '"usage"',
        '{"type":"assistant","message":{"usage":{"output_tokens":1}}}',
        "y" * 4000,
    ]
)
COUNT: Final = st.sampled_from([0, 7, 2**53 - 1, 12.0, "12", -1, 1.5, None, True, 2**53, "x"])


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def reordered(value: dict[str, Any], at: int) -> dict[str, Any]:
    """The same object, its keys in another order."""
    items = [*value.items()]
    at %= len(items)
    return dict([*items[at:], *items[:at]])


@st.composite
def responses(draw: st.DrawFn) -> dict[str, Any]:
    counts = usage(draw(st.integers(0, 900)))
    if draw(st.integers(0, 3)) == 0:
        counts[draw(st.sampled_from([*counts, "cache_read_input_tokens"]))] = draw(COUNT)
    line = reply(f"msg_{draw(st.integers(0, 3))}", counts=counts)
    line["message"]["content"] = [{"type": "text", "text": draw(TEXTS)}]
    line = reordered(
        {**line, "message": reordered(line["message"], draw(st.integers(0, 9)))},
        draw(st.integers(0, 9)),
    )
    kind = draw(st.integers(0, 4))
    return progress(line) if kind == 0 else sidechain(line, "a1") if kind == 1 else line


@st.composite
def others(draw: st.DrawFn) -> dict[str, Any]:
    """An object that is no response."""
    return draw(
        st.sampled_from(
            [
                {**prompt(), "message": {"role": "user", "content": draw(TEXTS)}},
                agent_result(usage(3)),
                progress(prompt()),
                {"usage": usage(3), "type": "result"},
                {"type": "user", "x": 1, "message": {"role": "user"}},
                *(json.loads(line) for line in (TITLE, SNAPSHOT, COMPACTION, HOOK)),
            ]
        )
    )


OBJECTS: Final = st.one_of(responses(), others()).map(compact)


@st.composite
def glued(draw: st.DrawFn) -> bytes:
    """Two or three objects without line ends between them."""
    return b"".join(draw(st.lists(OBJECTS, min_size=2, max_size=3)))


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """The beginning or the end of an object, and perhaps a whole one behind it."""
    line = draw(OBJECTS)
    at = draw(st.integers(0, len(line)))
    return draw(st.sampled_from([line[:at], line[at:]])) + draw(st.just(b"") | OBJECTS)


@st.composite
def with_hole(draw: st.DrawFn) -> bytes:
    """Objects with NUL bytes between them, or instead of a part of one."""
    line = draw(OBJECTS)
    start = draw(st.integers(0, len(line)))
    end = draw(st.integers(start, len(line)))
    whole = bytes(draw(st.integers(1, 9))) + line + bytes(draw(st.integers(0, 9)))
    holed = line[:start] + bytes(end - start) + line[end:]
    return draw(st.sampled_from([whole, holed])) + draw(st.just(b"") | OBJECTS)


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    """An object in which some bytes are others, or more, or fewer."""
    line = draw(OBJECTS)
    at = draw(st.integers(0, len(line)))
    put_in = draw(st.binary(max_size=3)).replace(b"\n", b"")
    return line[:at] + put_in + line[at + draw(st.integers(0, 3)) :]


BLANKS: Final = st.sampled_from([b"", b" ", b"\r", b"\t\r"])
ODDITIES: Final = (b"", b" ", b"[]", b"7", b"{}", b"\x00", b"{", b"}", b"garbage")


def damaged() -> st.SearchStrategy[bytes]:
    """A line as it should be, or with what crashes, cuts and copies do to lines."""
    spaced = st.tuples(BLANKS, OBJECTS, BLANKS).map(b"".join)
    kinds = (glued(), torn(), with_hole(), edited(), spaced, st.sampled_from(ODDITIES))
    return st.one_of(OBJECTS, *kinds)


PLAIN: Final = Extent(Transcript("", "", "", None, "main"))
WITH_RESULTS: Final = replace(PLAIN, with_results=True)
FILES = examples(150)


@FILES
@given(
    st.lists(damaged(), max_size=8),
    st.sampled_from([b"", b"\n"]),
    st.tuples(st.integers(0, 2000), st.integers(0, 3000)),
    st.sampled_from([PLAIN, WITH_RESULTS]),
)
@example([compact(prompt()), compact(reply()), compact(prompt())], b"\n", (40, 900), PLAIN)
@example([b'{"type":"text","text":""}]},"type":"assistant","uuid":"a"}'], b"\n", (0, 1), PLAIN)
@example([b"\x0b" + compact(reply()), compact(prompt())], b"", (0, 1), PLAIN)
def test_reading_finds_what_an_independent_reckoning_finds(
    tmp_path: Path, content: list[bytes], end: bytes, hole: tuple[int, int], extent: Extent
) -> None:
    """Lines, usage lines, rejects with their lines, usage that is not counted: all sums hold."""
    data = b"\n".join(content) + end
    if hole[1] % 3 == 0:  # it may lie over line ends
        start, stop = hole[0], min(sum(hole), len(data))
        data = data[:start] + bytes(max(stop - start, 0)) + data[stop:]
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    of_main = Transcript(str(path), str(tmp_path), "", None, "main")
    found = parse(replace(extent, transcript=of_main))
    expected = reckon(data)

    assert expected.rejects == [line for line, _ in rejects(found)]
    assert (expected.lines, expected.usage_lines) == (found.lines, found.usage_lines)
    assert expected.uncounted == {each.type: each.lines for each in found.uncounted}
