"""What stands before all messages of a prompt: by the request that a response names, else by a snapshot."""

from pathlib import Path

from transcripts_builder import Line, prompt, reply, write

from tokenaudit.transcripts import DEFINED, ContentCause, Piece, read_content

PLAIN = {"name": "Bash", "description": "run"}
MCP = {"name": "mcp__maps__find", "description": "find"}
DEFERRED = {"name": "Later", "description": "x" * 900, "defer_loading": True}
BASH = len('{"name":"Bash","description":"run"}')
FIND = len('{"name":"mcp__maps__find","description":"find"}')


def shape(name: str, system: str, *tools: Line) -> Line:
    texts = [{"type": "text", "text": system}]
    return {
        "type": "api-request-shape",
        "shapeHash": name,
        "timestamp": "2026-11-30T09:00:00.000Z",
        "shape": {"system": texts, "tools": list(tools)},
    }


def sent(request: str, name: str) -> Line:
    moment = "2026-11-30T09:00:01.000Z"
    return {"type": "api-request", "id": request, "timestamp": moment, "shapeHash": name}


def answer(number: int, request: str | None = None) -> Line:
    line = reply(f"msg_{number}", f"req_{number}", at=number)
    return line if request is None else {**line, "requestRef": request}


def snapshot(system: object, *tools: Line, at: float = 0, with_tools: bool = True) -> Line:
    line = prompt("", at=at, type="attachment")
    del line["message"]
    held: Line = {"type": "prompt_snapshot", "systemPrompt": system}
    if with_tools:
        held["tools"] = [{"name": tool["name"], "schema": tool} for tool in tools]
    return {**line, "attachment": held}


def read(tmp_path: Path, *lines: Line) -> list[Piece]:
    return read_content("s", "main", [str(write(tmp_path / "a.jsonl", *lines))]).pieces


def defined(pieces: list[Piece]) -> list[tuple[ContentCause, int, str | None]]:
    return [(each.cause, each.characters, each.tool) for each in pieces if each.cause in DEFINED]


def test_a_response_names_its_request_and_that_its_shape(tmp_path: Path) -> None:
    """Before the response stand the system prompt, each tool and its server; no deferred tool."""
    found = read(
        tmp_path,
        shape("other", "y" * 70),
        shape("a", "x" * 20, PLAIN, MCP, DEFERRED),
        sent("r0", "other"),
        sent("r1", "a"),
        answer(1, "r1"),
    )

    assert defined(found) == [
        (ContentCause.SYSTEM, 20, None),
        (ContentCause.TOOLS, BASH, None),
        (ContentCause.MCP, FIND, "maps"),
    ]
    assert [each.cause for each in found[-2:]] == [ContentCause.RESPONSE, ContentCause.ASSISTANT]
    assert found[0].time == 1_796_029_201_000_000  # when the request was sent


def test_a_later_request_adds_what_it_defines_anew(tmp_path: Path) -> None:
    """A tool that joined, and by how much the system prompt grew; nothing where the shape is the same."""
    found = read(
        tmp_path,
        shape("a", "x" * 20, PLAIN),
        shape("b", "x" * 25, PLAIN, MCP),
        *(sent(f"r{number}", name) for number, name in enumerate("aabb")),
        *(answer(number, f"r{number}") for number in range(4)),
    )
    before = [
        [cause for cause, *_ in defined(found[:at])]
        for at, piece in enumerate(found)
        if piece.cause is ContentCause.RESPONSE
    ]

    assert defined(found)[2:] == [(ContentCause.SYSTEM, 5, None), (ContentCause.MCP, FIND, "maps")]
    assert [len(causes) for causes in before] == [2, 2, 4, 4]


def test_requests_may_stand_behind_their_responses(tmp_path: Path) -> None:
    """As where a session begins in a hurry; a response of before then takes the first shape there is."""
    lines = (answer(1, "r1"), shape("a", "x" * 20), sent("r1", "a"))
    late = (answer(0), *lines[:1], shape("a", "x" * 20), sent("r1", "a"))

    assert [each.cause for each in read(tmp_path, *lines)][:2] == [
        ContentCause.SYSTEM,
        ContentCause.RESPONSE,
    ]
    assert defined(read(tmp_path, *late)) == [(ContentCause.SYSTEM, 20, None)]
    assert read(tmp_path, *late)[0].cause is ContentCause.SYSTEM


def test_a_snapshot_stands_first_where_no_request_is_written(tmp_path: Path) -> None:
    """Wherever it stands, and in both forms of the system prompt; a shape goes before it."""
    late = snapshot(["x" * 8, {"type": "text", "text": "y"}], PLAIN, DEFERRED, at=9)

    assert defined(read(tmp_path, answer(1), late)) == [
        (ContentCause.SYSTEM, 9, None),
        (ContentCause.TOOLS, BASH, None),
    ]
    assert read(tmp_path, answer(1), late)[0].cause is ContentCause.SYSTEM
    assert defined(read(tmp_path, answer(1), late, shape("a", "x" * 20))) == [
        (ContentCause.SYSTEM, 20, None)
    ]


def test_a_snapshot_without_tools_is_no_measure_once_there_is_a_response(tmp_path: Path) -> None:
    """Before one it says how long the system prompt is; after one it would take the share of the tools."""
    alone = snapshot(["x" * 8], with_tools=False)

    assert defined(read(tmp_path, alone)) == [(ContentCause.SYSTEM, 8, None)]
    assert defined(read(tmp_path, alone, answer(1))) == []


def test_odd_requests_are_counted_and_cost_nothing_else(tmp_path: Path) -> None:
    """What is no shape is a line that could not be read; the response stays."""
    path = write(
        tmp_path / "a.jsonl",
        {**shape("a", ""), "shape": {"system": 7}},
        {**shape("b", ""), "shape": {"tools": ["no tool"]}},
        {**sent("r1", "a"), "id": None},
        answer(1, "r1"),
    )
    content = read_content("s", "main", [str(path)])

    assert content.unread == 2
    assert defined(content.pieces) == []
    assert [each.cause for each in content.pieces] == [
        ContentCause.RESPONSE,
        ContentCause.ASSISTANT,
    ]
