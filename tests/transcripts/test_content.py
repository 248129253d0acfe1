"""What came into a context, by size: pieces in order, each line once, odd lines read all the same."""

from pathlib import Path

from transcripts_builder import Line, encoded, prompt, reply, sidechain, write

from tokenaudit.transcripts import ContentCause, Follower, Piece, read_content


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
    """Return what came in, without the times."""
    found = read_content("s", agent_id, [str(path)]).pieces
    return [piece._replace(time=None) for piece in found]


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
        Piece(ContentCause.USER, 5),
        Piece(ContentCause.RESPONSE, 0, *KEY),
        Piece(ContentCause.ASSISTANT, 5, *KEY),  # 2 of thoughts, 3 of text; a signature is no text
        Piece(ContentCause.ASSISTANT, 16, *KEY),  # {"command":"ls"}
        Piece(ContentCause.RESULT, 3, tool="Bash", is_error=True),
        Piece(ContentCause.RESULT, 6004, tool="unknown"),
        Piece(ContentCause.ADDED, 8),
        Piece(ContentCause.COMPACTED, 12),
    ]


def attachment(held: Line, rendered: object = None, *, at: float = 0) -> Line:
    line = prompt(f"{held} {at}", at=at, type="attachment")
    del line["message"]
    return {**line, "attachment": held} | ({} if rendered is None else {"rendered": rendered})


def causes(path: Path) -> list[tuple[ContentCause, int]]:
    return [(piece.cause, piece.characters) for piece in pieces(path)]


def test_of_an_attachment_counts_what_was_rendered(tmp_path: Path) -> None:
    """Text and blocks; nothing of an attachment that was not rendered, nor of an empty rendering."""
    path = write(
        tmp_path / "a.jsonl",
        attachment({"type": "skill_listing", "content": "x" * 90}, [{"content": "x" * 9}]),
        attachment({"type": "file"}, [{"content": "xx"}, {"content": [text("abc")]}], at=1),
        attachment({"type": "instructions", "files": []}, [{"content": "memory"}], at=2),
        attachment({"type": "queued_command", "prompt": "go on"}, [{"content": "go on!"}], at=3),
        attachment({"type": "date", "text": "x" * 90}, [], at=4),
        attachment({"type": "session_context", "content": "x" * 90}, at=5),
    )

    assert causes(path) == [
        (ContentCause.ADDED, 9),
        (ContentCause.ADDED, 5),
        (ContentCause.MEMORY, 6),
        (ContentCause.USER, 6),
    ]


def test_of_versions_that_say_nothing_of_rendering_an_attachments_texts_count(
    tmp_path: Path,
) -> None:
    """Not its names, paths, numbers and keys; nothing of the kinds that were never sent."""
    nested = {"path": "/a", "content": {"path": "/a", "content": "rule"}}
    file = {"type": "text", "file": {"filePath": "/etc/hosts", "content": "1\n2", "numLines": 2}}
    machine = {"kind": "task-notification"}
    path = write(
        tmp_path / "a.jsonl",
        attachment({"type": "nested_memory", **nested}),
        attachment({"type": "file", "filename": "hosts", "content": file}, at=1),
        attachment(
            {"type": "deferred_tools_delta", "addedLines": ["A", "BC"], "addedNames": ["A"]}
        ),
        attachment({"type": "hook_success", "hookEvent": "SessionStart", "content": "hi"}, at=2),
        attachment({"type": "hook_success", "hookEvent": "PostToolUse", "content": "hi"}, at=3),
        attachment({"type": "command_permissions", "content": "hi"}, at=4),
        attachment({"type": "edited_image_file", "content": {"type": "image"}}, at=5),
        attachment({"type": "file", "content": {"type": "image", "file": "x" * 99}}, at=6),
        attachment({"type": "queued_command", "prompt": [text("go")], "origin": machine}, at=7),
        attachment({"type": "queued_command", "prompt": [text("stop")]}, at=8),
    )

    assert causes(path) == [
        (ContentCause.MEMORY, 4),
        (ContentCause.ADDED, 3),
        (ContentCause.ADDED, 3),
        (ContentCause.ADDED, 2),
        (ContentCause.ADDED, 6000),
        (ContentCause.ADDED, 2),
        (ContentCause.USER, 4),
    ]


def system(subtype: str, *, at: float, **more: object) -> Line:
    line = prompt(f"{subtype} {at}", at=at, type="system", subtype=subtype, **more)
    del line["message"]
    return line


def test_outputs_of_commands_are_sent_and_what_context_said_is_kept(tmp_path: Path) -> None:
    """Not those for display only, nor other notes; odd counts of a category are unknown, not lost."""
    usage = {
        "model": "claude-opus-5-5",
        "total_tokens": 30,
        "raw_max_tokens": 1000,
        "categories": [
            {"name": "Messages", "tokens": 30, "kind": "used"},
            {"name": "Free space", "kind": "free"},
        ],
    }
    path = write(
        tmp_path / "a.jsonl",
        system("local_command", at=0, content="four", contextUsage=usage),
        system("local_command", at=1, content="shown", isDisplayOnly=True),
        system("informational", at=2, content="for the user"),
        system("compact_boundary", at=3, content="Conversation compacted"),
        system("local_command", at=4, content="five!", contextUsage={"total_tokens": "many"}),
    )
    content = read_content("s", "main", [str(path)])
    (said,) = content.reported

    assert causes(path) == [(ContentCause.ADDED, 4), (ContentCause.COMPACTED, 0)]
    assert (said.model, said.total_tokens, said.window_tokens) == ("claude-opus-5-5", 30, 1000)
    assert said.categories == [("Messages", "used", 30), ("Free space", "free", None)]
    assert content.unread == 1


def test_a_line_counts_once(tmp_path: Path) -> None:
    """Replays and copies in another transcript of the agent repeat lines with their uuid."""
    lines = [prompt("Hello", at=0), said(text("yes"), at=1)]
    first, second = (write(tmp_path / name, *lines, *lines) for name in ("a.jsonl", "b.jsonl"))

    found = read_content("s", "main", [str(first), str(second)]).pieces

    assert [piece.characters for piece in found] == [5, 0, 3]


def test_inline_sidechains_are_not_the_main_agent(tmp_path: Path) -> None:
    """In a session of Claude Code 1.0 subagents speak in the same file."""
    path = write(tmp_path / "a.jsonl", prompt("Hello"), sidechain(prompt("Task for you", at=1)))

    assert pieces(path) == [Piece(ContentCause.USER, 5)]
    assert [piece.characters for piece in pieces(path, "a1b2")] == [5, 12]


def test_odd_lines_are_read_and_broken_ones_counted(tmp_path: Path) -> None:
    """A lone surrogate costs nothing; half a line is told; a missing file adds nothing."""
    path = write(
        tmp_path / "a.jsonl",
        b'{"type":"user","uuid":"u1","message":{"content":"ab\\ud83d"}}',
        b'{"type":"attachment","uuid":"u2","attachment":{"text":"a\\ud83d"}}',
        b'{"type":"assistant","uuid":"u3","message":{"content":[{"input":{"b":"\\ud83d"}}]}}',
        b'{"type":"user","uuid":"u4","message":{"cont',
        b'{"type":"user","uuid":7,"message":[]}',
        b"[" * 5000 + b'"uuid"',
    )
    content = read_content("s", "main", [str(path), str(tmp_path / "gone.jsonl")])

    assert [piece.characters for piece in content.pieces] == [3, 2, 0, 9]  # {"b":"?"}
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
