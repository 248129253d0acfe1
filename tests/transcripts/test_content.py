"""What came into a context, by size: pieces in order, each line once, odd lines read all the same."""

from pathlib import Path

from transcripts_builder import Line, encoded, prompt, reply, sidechain, write

from tokenaudit.transcripts import Cause, Follower, Piece, read_content


def said(*blocks: Line, message: str = "msg_1", at: float = 0) -> Line:
    """Return an assistant line with content."""
    line = reply(message, f"req_{message}", at=at)
    return {**line, "message": {**line["message"], "content": list(blocks)}}


def result(tool_use_id: str, content: object, *, at: float = 0, **more: object) -> Line:
    block = {"type": "tool_result", "tool_use_id": tool_use_id, "content": content, **more}
    line = prompt(f"{tool_use_id} {content}", at=at)
    return {**line, "message": {"role": "user", "content": [block]}}


def call(name: str, tool_use_id: str, **arguments: str) -> Line:
    return {"type": "tool_use", "id": tool_use_id, "name": name, "input": arguments}


def text(words: str) -> Line:
    return {"type": "text", "text": words}


def pieces(path: Path, agent_id: str = "main") -> list[Piece]:
    return read_content("s", agent_id, [str(path)]).pieces


KEY = ("msg_1", "req_msg_1")


def test_pieces_have_causes_tools_and_sizes(tmp_path: Path) -> None:
    """Text by its characters, a call by those of its input, a result by its tool."""
    path = write(
        tmp_path / "a.jsonl",
        prompt("Hello", at=0),
        said({"type": "thinking", "thinking": "hm", "signature": "x" * 900}, text("héé"), at=1),
        said(call("Bash", "t1", command="ls"), at=2),
        result("t1", "a\nb", at=3, is_error=True),
        result("t2", [text("four"), {"type": "image", "source": {"data": "x" * 99}}], at=4),
        prompt("reminder", at=5, isMeta=True),
        prompt("all that was", at=6, isCompactSummary=True),
    )

    assert pieces(path) == [
        Piece(Cause.USER, 5),
        Piece(Cause.RESPONSE, 0, *KEY),
        Piece(Cause.ASSISTANT, 5, *KEY),  # 2 of thoughts, 3 of text; a signature is no text
        Piece(Cause.ASSISTANT, 16, *KEY),  # {"command":"ls"}
        Piece(Cause.RESULT, 3, tool="Bash", is_error=True),
        Piece(Cause.RESULT, 6004, tool="unknown"),
        Piece(Cause.ADDED, 8),
    ]


def test_a_line_counts_once(tmp_path: Path) -> None:
    """Replays and copies in another transcript of the agent repeat lines with their uuid."""
    lines = [prompt("Hello", at=0), said(text("yes"), at=1)]
    first, second = (write(tmp_path / name, *lines, *lines) for name in ("a.jsonl", "b.jsonl"))

    found = read_content("s", "main", [str(first), str(second)]).pieces

    assert [piece.characters for piece in found] == [5, 0, 3]


def test_inline_sidechains_are_not_the_main_agent(tmp_path: Path) -> None:
    """In a session of Claude Code 1.0 subagents speak in the same file."""
    path = write(tmp_path / "a.jsonl", prompt("Hello"), sidechain(prompt("Task for you", at=1)))

    assert pieces(path) == [Piece(Cause.USER, 5)]
    assert [piece.characters for piece in pieces(path, "a1b2")] == [5, 12]


def test_odd_lines_are_read_and_broken_ones_counted(tmp_path: Path) -> None:
    """A lone surrogate costs nothing; half a line is told; a missing file adds nothing."""
    path = write(
        tmp_path / "a.jsonl",
        b'{"type":"user","uuid":"u1","message":{"content":"ab\\ud83d"}}',
        b'{"type":"attachment","uuid":"u2","attachment":{"a":"\\ud83d"}}',
        b'{"type":"assistant","uuid":"u3","message":{"content":[{"input":{"b":"\\ud83d"}}]}}',
        b'{"type":"user","uuid":"u4","message":{"cont',
        b'{"type":"user","uuid":7,"message":[]}',
        b"[" * 5000 + b'"uuid"',
    )
    content = read_content("s", "main", [str(path), str(tmp_path / "gone.jsonl")])

    assert [piece.characters for piece in content.pieces] == [3, 15, 0, 15]
    assert content.unread == 3


def test_a_follower_of_a_long_transcript_begins_near_its_end(tmp_path: Path) -> None:
    """At the first line that begins within so many bytes; then nothing is left out, nothing told twice."""
    lines = [prompt("x" * size, at=size) for size in (10, 20, 30)]
    path = write(tmp_path / "a.jsonl", *lines)
    last = len(path.read_bytes().splitlines(keepends=True)[-1])
    session = str(lines[0]["sessionId"])

    def sizes(follower: Follower) -> list[int]:
        return [piece.characters for piece in follower.read(str(path))]

    assert [10, 20, 30] == sizes(Follower(session, "main"))
    assert [10, 20, 30] == sizes(Follower(session, "main", most_bytes=10**6))
    assert [] == sizes(Follower(session, "main", most_bytes=last - 1))
    late = Follower(session, "main", most_bytes=last)
    assert [30] == sizes(late)
    with path.open("ab") as file:
        file.write(encoded(prompt("x" * 40, at=40)) + b"\n")
    assert [40] == sizes(late)
    assert [] == sizes(late)
