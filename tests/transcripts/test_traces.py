"""Traces: what a line mentions, and that nothing else is one."""

from pathlib import Path

from transcripts_builder import agent_result, moment, prompt, reply, session_file, usage, write

from tokenaudit.rules.time import micros
from tokenaudit.transcripts.traces import last_line, traces


def test_lines_and_times_of_traces(tmp_path: Path) -> None:
    """With line numbers that count blank lines, and texts that only look like traces left out."""
    path = write(
        session_file(tmp_path),
        prompt('talk of "away_summary", "ai-title" and "toolUseResult"'),
        b"",
        agent_result(usage(7), "a000001", at=3),
        {"type": "ai-title", "aiTitle": "One"},
        {"type": "ai-title", "aiTitle": "One"},
        {"type": "ai-title", "aiTitle": "Two"},
        b'{"toolUseResult": {"agentId": broken',
        prompt("x", toolUseResult={"searchCount": -1}),
        prompt("x", toolUseResult="Error: agentId"),
        reply(),
    )
    found = traces([str(path), str(tmp_path / "gone.jsonl")])

    assert list(zip(found["line"], found["kind"], found["agent_id"], strict=True)) == [
        (3, "agent", "a000001"),
        (4, "title", None),
        (6, "title", None),
        (8, "web_search", None),
    ]
    assert [1, 1, 1, 0] == found["calls"]
    assert found["time"][0] == micros(moment(3))


def test_the_last_line(tmp_path: Path) -> None:
    """By number; none of an empty file or of one that is gone."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"a\n\nb")

    assert 3 == last_line(str(path))
    path.write_bytes(b"")
    assert last_line(str(path)) is None
    assert last_line(str(tmp_path / "none")) is None
