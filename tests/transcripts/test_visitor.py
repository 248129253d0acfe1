"""The second look: lines with their places, and what is on them however odd it is."""

import io
from pathlib import Path

import pytest

from tokenaudit.transcripts import visitor
from tokenaudit.transcripts.visitor import VisitedLine, lines_in, lines_of, understood

CONTENT = b"\xef\xbb\xbf{1}\n\n{22}\r\n{333}"


def test_lines_have_numbers_and_places(tmp_path: Path) -> None:
    """Blank ones too; the mark before the first is no part of it, but of the places."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(CONTENT)

    assert list(lines_of(str(path))) == [
        VisitedLine(1, 0, b"{1}\n"),
        VisitedLine(2, 7, b"\n"),
        VisitedLine(3, 8, b"{22}\r\n"),
        VisitedLine(4, 14, b"{333}"),
    ]
    assert [line.number for line in lines_of(str(path), lambda data: b"3" in data)] == [4]
    assert [line.offset for line in lines_in(io.BytesIO(CONTENT), 8)] == [8, 14]
    with pytest.raises(FileNotFoundError):
        next(lines_of(str(tmp_path / "gone.jsonl")))


def test_lines_too_long_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """And counted, wherever they end."""
    monkeypatch.setattr(visitor, "LONGEST_LINE", 6)
    content = b"1\n" + b"2" * 20 + b"\n33333\n" + b"4" * 6 + b"\n5\n" + b"6" * 7

    assert list(lines_in(io.BytesIO(content))) == [
        VisitedLine(1, 0, b"1\n"),
        VisitedLine(3, 23, b"33333\n"),
        VisitedLine(5, 36, b"5\n"),
    ]


@pytest.mark.parametrize(
    ("data", "uuids", "is_whole"),
    [
        (b'{"uuid":"a"}', ["a"], True),
        (b'{"uuid":"a"}{"uuid":"b"}\n', ["a", "b"], True),
        (b'\x00\x00{"uuid":"a"}', ["a"], False),
        (b'{"uuid":"a\xff","content":"\xff"}', ["a\ufffd"], True),
        (b'{"uuid":"a","timestamp":7,"content":{"b":1}}', ["a"], False),
        (b'{"uuid":"a"} rest', ["a"], False),
        (b'{"uuid":"a', [], False),
        (b"[1]", [], False),
        (b"[" * 5000, [], False),
    ],
)
def test_what_is_on_a_line(data: bytes, uuids: list[str], is_whole: bool) -> None:  # noqa: FBT001
    """Every object, each without what is odd of it; whether that is all is told."""
    lines, is_all = understood(data)

    assert [line.uuid for line in lines] == uuids
    assert is_all is is_whole


def test_an_odd_value_changes_nothing_of_its_neighbours() -> None:
    """Nor does how it is read: inputs of tools and what few ask for stay as they are written."""
    usual = (
        b'{"type":"assistant","isMeta":true,"attachment":{"a":[1]},"message":{"content":'
        b'[{"type":"tool_use","name":"Bash","input":{"b":"c"}}]}}'
    )
    for data in (usual, usual[:-1] + b',"uuid":1}', usual + usual[:9]):
        line, *_ = understood(data)[0]

        assert (line.type, line.is_meta, line.uuid) == ("assistant", True, None)
        assert bytes(line.attachment) == b'{"a":[1]}'
        assert line.message is not None
        assert isinstance(line.message.content, list)
        (found,) = line.message.content
        assert (found.name, bytes(found.input)) == ("Bash", b'{"b":"c"}')
