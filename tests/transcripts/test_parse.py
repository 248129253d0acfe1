"""Parsing: what single lines say, what is a reject, and what is neither."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transcripts_builder import (
    PLACEHOLDER,
    Line,
    Regime,
    agent_result,
    encoded,
    parsed,
    progress,
    prompt,
    reply,
    response,
    sidechain,
    usage,
    write,
)

from tokenaudit.model.terms import Transcript
from tokenaudit.transcripts import lines
from tokenaudit.transcripts.parse import Extent, Parsed, parse


def read(folder: Path, *content: Line | bytes, end: bytes = b"\n") -> Parsed:
    return parsed(write(folder / "a.jsonl", *content, end=end))


def outputs(found: Parsed) -> list[int]:
    return [record.best.message.usage.output_tokens for record in found.records]


def reasons(found: Parsed) -> list[tuple[int | None, str]]:
    return [(reject.line, reject.reason) for reject in found.rejects]


# what counts


def with_message(**changes: Any) -> Line:
    line = reply()
    return {**line, "message": {**line["message"], **changes}}


def with_usage(**changes: Any) -> Line:
    return with_message(usage={**usage(100), **changes})


def with_text(text: bytes) -> bytes:
    return encoded({**reply(), "text": "TEXT"}).replace(b"TEXT", text)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(encoded(reply()), id="plain"),
        pytest.param(encoded(sidechain(reply(), "a1")), id="subagent"),
        pytest.param(encoded(progress(reply())), id="progress"),
        pytest.param(json.dumps(reply(), indent=1).replace("\n", " ").encode(), id="blanks"),
        pytest.param(encoded(reply()) + b"\r", id="CRLF"),
        pytest.param(b" \t" + encoded(reply()) + b"  ", id="blanks around"),
        pytest.param(with_text(rb"cut \ud83d"), id="lone high surrogate"),
        pytest.param(with_text(rb"\udc00 cut"), id="lone low surrogate"),
        pytest.param(with_text(b"caf\xe9"), id="Latin-1"),
        pytest.param(with_text(b"\xed\xa0\xbd"), id="surrogate in UTF-8"),
        pytest.param(with_text(rb"\u0000"), id="NUL in a text"),
        pytest.param(with_text(rb"\"usage\":{\"output_tokens\":9}"), id="usage in a text"),
        pytest.param(encoded(reply("msg_X")).replace(b"msg_X", b"msg_\xe9"), id="Latin-1 id"),
        pytest.param(encoded(reply("msg_X")).replace(b"msg_X", rb"\ud83d"), id="surrogate id"),
        pytest.param(
            encoded(reply()).replace(b'"output_tokens":', b'"output_tokens":7,"output_tokens":'),
            id="key twice: the last counts",
        ),
        pytest.param(encoded({**reply(), "nested": {"message": {"usage": usage(9)}}}), id="nested"),
        pytest.param(encoded({**reply(), "toolUseResult": {"usage": usage(9)}}), id="tool result"),
        pytest.param(encoded({**reply(), "data": progress(reply())["data"]}), id="odd data"),
        pytest.param(encoded({**reply(), "isApiErrorMessage": True}), id="error with usage"),
        pytest.param(encoded({**reply(), "n": 10**400}), id="huge number"),
        pytest.param(encoded(reply())[:-1] + b',"n":' + b"9" * 5000 + b"}\r", id="endless number"),
        pytest.param(encoded(reply())[:-1] + b',"n":1e999}', id="number out of range"),
        pytest.param(encoded(with_usage(input_tokens=10.0)), id="whole number as a float"),
        pytest.param(encoded(with_usage(input_tokens="10")), id="whole number as a text"),
    ],
)
def test_usage_of_a_hard_line_is_read(tmp_path: Path, line: bytes) -> None:
    """Nothing around the counts can hide them."""
    found = read(tmp_path, prompt(), line, prompt())

    assert ([100], 1, []) == (outputs(found), found.usage_lines, reasons(found))
    assert (3, False) == (found.lines, found.incomplete)
    assert 10 == found.records[0].best.message.usage.input_tokens


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(prompt(), id="user"),
        pytest.param({**reply(), "type": "user"}, id="user with usage"),
        pytest.param({**reply(), "type": "assistant2"}, id="unknown type"),
        pytest.param({**reply(), "type": None}, id="no type"),
        pytest.param(agent_result(usage()), id="usage of an agent's result"),
        pytest.param(with_message(model="<synthetic>"), id="synthetic"),
        pytest.param(
            sidechain(progress(with_message(model="<synthetic>"))), id="repeated synthetic"
        ),
        pytest.param(with_message(usage=None), id="usage null"),
        pytest.param(with_message(usage=[usage()]), id="usage in an array"),
        pytest.param({**reply(), "message": "x"}, id="message a text"),
        pytest.param({"type": "assistant", "usage": usage()}, id="usage outside the message"),
        pytest.param({**progress(reply()), "type": "system"}, id="data of another type"),
        pytest.param(progress(prompt(usage=usage())), id="repeated user's line"),
        pytest.param(
            {"type": "progress", "data": {**progress(reply())["data"], "type": "hook_progress"}},
            id="other progress",
        ),
        pytest.param({"type": "progress", "data": None, "usage": 1}, id="progress without data"),
        pytest.param({}, id="nothing"),
        pytest.param(
            b'{"type":"user","message":{"content":broken}}', id="broken, and nothing that counts"
        ),
    ],
)
def test_other_lines_are_counted_and_no_rejects(tmp_path: Path, line: Line | bytes) -> None:
    """R2: only the usage of assistants counts, and what is of no interest is never complained about."""
    found = read(tmp_path, line, reply())

    assert ([100], 1, []) == (outputs(found), found.usage_lines, reasons(found))
    assert 2 == found.lines


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"garbage", "not JSON: Expecting value at character 1", id="garbage"),
        pytest.param(b"12", "not an object", id="number"),
        pytest.param(b'["usage"]', "not an object", id="array"),
        pytest.param(b"\x00" * 8, "NUL bytes: a hole in the file", id="NULs"),
        pytest.param(
            b'{"type":"assistant","message":{"content":broken}}',
            "not JSON: Expecting value at character 42",
            id="broken before any usage",
        ),
        pytest.param(
            encoded(reply())[:60] + encoded(reply()),
            "not JSON: Expecting ',' delimiter at character 63",
            id="half a line with a whole one behind it",
        ),
        pytest.param(
            with_text(b"\x01"), "not JSON: Invalid control character at at character", id="control"
        ),
        pytest.param(
            encoded(reply()).replace(b'"output_tokens":100', b'"output_tokens":'),
            "not JSON: Expecting value at character",
            id="no value",
        ),
    ],
)
def test_lines_that_are_no_json_are_rejects(tmp_path: Path, line: bytes, reason: str) -> None:
    """Each tells its file, its number and where in the line reading ended."""
    found = read(tmp_path, reply("msg_1"), b"", line, reply("msg_2"))

    assert [100, 100] == outputs(found)
    assert [(str(tmp_path / "a.jsonl"), 3)] == [(one.path, one.line) for one in found.rejects]
    assert found.rejects[0].reason.startswith(reason), found.rejects[0].reason


def test_what_stands_before_the_damage_counts(tmp_path: Path) -> None:
    """An overwritten tail takes its line's first object with it only where that is cut."""
    found = read(tmp_path, encoded(reply()) + b'ge":{"x":1}}')

    assert [100] == outputs(found)
    assert [1] == [line for line, _ in reasons(found)]


# what is a count, R9

COUNT_FIELDS = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
]


def usage_with(field: str, value: Any) -> Line:
    name, _, part = field.partition(".")
    return usage(**{name: {part: value} if part else value})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-1, "negative"),
        (1.5, "not a whole number"),
        (True, "not a whole number"),
        ("twelve", "not a whole number"),
        ("", "not a whole number"),
        ([], "not a whole number"),
        ({}, "not a whole number"),
        (2**53, "too large"),
        (2**70, "too large"),
        (float("inf"), "not a whole number"),
        (float("nan"), "not a whole number"),
    ],
    ids=str,
)
def test_r9_bad_count_is_a_reject_with_the_name_of_its_field(
    tmp_path: Path, value: object, reason: str
) -> None:
    """Never a zero, never a guess; the other lines count."""
    bad = [reply("msg_1", counts=usage_with(field, value)) for field in COUNT_FIELDS]

    found = read(tmp_path, prompt(), *bad, reply("msg_2"), *map(progress, bad))

    expected = [f"usage.{field}: {reason}" for field in COUNT_FIELDS]
    assert [100] == outputs(found)
    assert [*enumerate(expected, 2), *enumerate(expected, 9)] == reasons(found)


@pytest.mark.parametrize("field", ["input_tokens", "output_tokens"])
def test_r9_missing_count_is_a_reject(tmp_path: Path, field: str) -> None:
    """Usage without input or output is not understood; without cache counts it is."""
    counts = usage()
    counts.pop(field)

    found = read(tmp_path, reply(counts=counts), reply("msg_2", counts={**counts, field: None}))

    assert [] == outputs(found)
    assert [(1, f"usage.{field}: missing"), (2, f"usage.{field}: missing")] == reasons(found)


@pytest.mark.parametrize("field", COUNT_FIELDS)
def test_r9_odd_form_of_a_count_is_read_and_reported(tmp_path: Path, field: str) -> None:
    """`12.0` and `"12"` are 12."""
    forms = {"msg_1": (12.0, 12), "msg_2": ("12", 12), "msg_3": (1e3, 1000), "msg_4": ("0", 0)}
    replies = [reply(name, counts=usage_with(field, value)) for name, (value, _) in forms.items()]

    lines = [record.best for record in read(tmp_path, *replies).records]

    name, _, part = field.partition(".")
    read_as = [getattr(line.message.usage, name) for line in lines]
    counts = [getattr(count, part) for count in read_as] if part else read_as
    assert [count for _, count in forms.values()] == counts
    assert [(f"usage.{field}",)] * 4 == [line.odd for line in lines]


def test_r9_largest_count_is_a_count(tmp_path: Path) -> None:
    """Up to 2**53 - 1 every JSON writer keeps whole numbers exactly."""
    found = read(tmp_path, reply(output=2**53 - 1), reply("msg_2", counts=usage(0, read=None)))

    assert [2**53 - 1, 0] == outputs(found)
    assert [(), ()] == [record.best.odd for record in found.records]


ODD_VALUES = [7, -1.5, True, "x", [], [None], {}, {"a": 1}, None, "\ud83d", 10**400]


@pytest.mark.parametrize(
    "key",
    [
        *("requestId", "uuid", "timestamp", "sessionId", "agentId", "isSidechain", "cwd"),
        *("gitBranch", "version", "entrypoint", "effort", "forkedFrom", "costUSD"),
        *("attributionSkill", "attributionMcpTool", "unknownField"),
        *("message.id", "message.stop_reason", "message.content"),
        *("message.usage.service_tier", "message.usage.speed", "message.usage.inference_geo"),
        *("message.usage.iterations", "message.usage.server_tool_use", "message.usage.whatever"),
        "message.usage.output_tokens_details",
    ],
)
def test_r9_odd_optional_field_never_loses_usage(tmp_path: Path, key: str) -> None:
    """Whatever stands where a label should be, the counts beside it count."""
    for number, value in enumerate(ODD_VALUES):
        line = reply()
        *above, last = key.split(".")
        inner = line
        for name in above:
            inner = inner[name]
        inner[last] = value
        folder = tmp_path / str(number)
        folder.mkdir()

        found = read(folder, json.dumps(line).encode(), json.dumps(progress(line)).encode())

        assert ([100, 100], []) == (outputs(found), reasons(found)), value


@pytest.mark.parametrize(
    ("changes", "odd"),
    [
        ({"requestId": 7}, ("requestId",)),
        ({"isSidechain": "yes"}, ("isSidechain",)),
        ({"timestamp": 1_770_000_000}, ("timestamp",)),
        ({"costUSD": "1.5"}, ("costUSD",)),
        ({"forkedFrom": "s"}, ("forkedFrom",)),
        ({"forkedFrom": {"sessionId": 7}}, ("sessionId",)),
        ({"cwd": ["/"], "gitBranch": 1}, ("cwd", "gitBranch")),
    ],
    ids=str,
)
def test_odd_fields_are_named(tmp_path: Path, changes: Line, odd: tuple[str, ...]) -> None:
    """What was not taken is reported, each name once."""
    found = read(tmp_path, {**reply(), **changes})

    assert [odd] == [record.best.odd for record in found.records]


def test_odd_iterations_are_named_once_and_the_good_ones_kept(tmp_path: Path) -> None:
    """One odd part leaves the others."""
    good = {"type": "message", **usage(5)}
    counts = usage(iterations=[good, None, 7, {"output_tokens": -1}, good])

    found = read(tmp_path, reply(counts=counts))

    iterations = found.records[0].best.message.usage.iterations
    assert iterations is not None
    assert [5, 5] == [iteration.output_tokens for iteration in iterations]
    assert ("usage.iterations",) == found.records[0].best.odd


def test_recorded_cost_is_kept_as_written(tmp_path: Path) -> None:
    """Old transcripts name a cost; a zero is one too."""
    found = read(tmp_path, reply("msg_1", costUSD=0.1), reply("msg_2", costUSD=0), reply("msg_3"))

    assert [0.1, 0.0, None] == [record.best.cost_usd for record in found.records]


# two objects on a line


def test_two_objects_on_a_line_are_two_responses_of_that_line(tmp_path: Path) -> None:
    """R2: a lost line end loses nothing."""
    found = read(tmp_path, encoded(reply("msg_1", output=1)) + encoded(reply("msg_2", output=2)))

    assert [1, 2] == outputs(found)
    assert [1, 1] == [record.first_line for record in found.records]
    assert (1, 2) == (found.lines, found.usage_lines)


def test_title_and_usage_on_a_line_are_both_read(tmp_path: Path) -> None:
    """In either order."""
    title = b'{"type":"custom-title","customTitle":"Kiln","sessionId":"s"}'

    found = read(tmp_path, title + encoded(reply("m1")), encoded(reply("m2")) + title)

    assert [100, 100] == outputs(found)
    assert ["Kiln", "Kiln"] == [one.title for one in found.titles]


# the last line while it is written


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(encoded(reply(text="né à 東京 😀")), id="assistant"),
        pytest.param(encoded(progress(reply())), id="progress"),
        pytest.param(encoded(reply()) + b"\r", id="CRLF"),
        pytest.param(encoded(prompt("x")) + encoded(reply()), id="two objects"),
    ],
)
def test_incomplete_last_line_waits_at_every_byte(tmp_path: Path, line: bytes) -> None:
    """A line that is being written is never a reject and never counts before it is whole."""
    whole = len(line.rstrip())
    before = encoded(reply("msg_0")) + b"\n"
    path = tmp_path / "a.jsonl"
    for written in range(len(line) + 2):
        path.write_bytes(before + (line + b"\n")[:written])
        found = parsed(path)

        assert [] == reasons(found), written
        assert (2 if written >= whole else 1) == found.usage_lines, written
        assert (1 + (written > 0)) == found.lines, written
        assert (written in range(1, whole)) == found.incomplete or b"}{" in line, written


def test_half_an_object_behind_a_whole_one_waits_too(tmp_path: Path) -> None:
    """What is whole on the last line counts once, now and later."""
    line = encoded(reply("m1")) + encoded(reply("m2"))

    found = read(tmp_path, line[:-1], end=b"")

    assert ([100], [], True) == (outputs(found), reasons(found), found.incomplete)


# depth and length


@pytest.mark.parametrize(
    ("depth", "count", "reason"), [(300, 3, []), (100_000, 2, ["nested too deeply"])]
)
def test_depth_is_read_or_rejected(
    tmp_path: Path, depth: int, count: int, reason: list[str]
) -> None:
    """A depth bomb takes down neither the program nor its neighbours."""
    bomb = encoded(reply("msg_2"))[:-1] + b',"x":' + b'{"a":[' * depth + b"]}" * depth + b"}"

    found = read(tmp_path, reply("msg_1"), bomb, reply("msg_3"))

    assert count == len(found.records)
    assert reason == [text for _, text in reasons(found)]


def test_depth_between_is_read_or_rejected_by_the_version_of_python(tmp_path: Path) -> None:
    """Versions differ in how deep their parser goes; the line is in one count or in the other."""
    bomb = encoded(reply("msg_2"))[:-1] + b',"x":' + b'{"a":[' * 2_000 + b"]}" * 2_000 + b"}"

    found = read(tmp_path, reply("msg_1"), bomb, reply("msg_3"))

    assert 3 == len(found.records) + len(found.rejects)
    assert {"nested too deeply"} >= {text for _, text in reasons(found)}


@pytest.mark.parametrize("line", [prompt(x="BOMB"), progress(prompt(x="BOMB")), {"x": "BOMB"}])
def test_depth_of_other_lines_does_not_matter(tmp_path: Path, line: Line) -> None:
    """What is not parsed cannot be too deep."""
    bomb = encoded(line).replace(b'"BOMB"', b"[" * 100_000 + b"]" * 100_000)

    found = read(tmp_path, bomb, reply(), bomb)

    assert ([100], []) == (outputs(found), reasons(found))


MEASURE = """
import os, resource, sys
from pathlib import Path
from tokenaudit.model.terms import Transcript
from tokenaudit.transcripts.parse import Extent, parse

path = sys.argv[1]
if os.fork() == 0:  # what a process has used at most, it inherits from whoever started it
    found = parse(Extent(Transcript(path, "", "", None, "main")))
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = largest >> (20 if sys.platform == "darwin" else 10)
    print(len(found.records), [reject.line for reject in found.rejects], megabytes)
else:
    os.wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory is measured by what Unix tells")
def test_line_of_100_megabytes_takes_bounded_memory(tmp_path: Path) -> None:
    """It is a reject; memory does not grow with what a file holds."""
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(encoded(reply("msg_1")) + b"\n" + encoded(reply("msg_2"))[:-1] + b',"x":"')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + encoded(reply("msg_3")) + b"\n")

    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )

    *said, megabytes = run.stdout.split()
    assert ["2", "[2]"] == said
    assert int(megabytes) < 140


# files that fail


def test_missing_file_is_a_reject(tmp_path: Path) -> None:
    """A transcript may be deleted between listing and reading."""
    assert [(None, "cannot be read: No such file or directory")] == reasons(
        parsed(tmp_path / "gone.jsonl")
    )


def test_folder_is_a_reject(tmp_path: Path) -> None:
    """Opening fails for any reason at all."""
    assert [(None, "cannot be read: Is a directory")] == reasons(parsed(tmp_path))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read")
def test_file_that_fails_while_it_is_read_is_a_reject() -> None:
    """A broken disk is no reason to stop."""
    found = parsed(Path("/proc/self/mem"))

    assert [(None, "cannot be read: Input/output error")] == reasons(found)
    assert (0, 0) == (found.lines, found.usage_lines)


# facts of the transcript


def test_times_and_session_come_from_the_ends_of_the_file(tmp_path: Path) -> None:
    """Lines without a time are passed over, at both ends."""
    title = {"type": "ai-title", "aiTitle": "Kiln"}

    found = read(tmp_path, title, prompt(at=5), reply(at=3), prompt(at=60), title)

    start = 1_772_442_000_000_000  # 2026-03-02 09:00 UTC
    assert (start + 5_000_000, start + 60_000_000) == (found.first_time, found.last_time)
    assert "11111111-1111-4111-8111-111111111111" == found.session_id


def test_first_time_is_known_although_the_first_block_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R5 asks for it: a long snapshot at the start must not give a response to another file."""
    monkeypatch.setattr(lines, "BLOCK", 64)

    found = read(tmp_path, {"type": "snapshot", "x": "x" * 500}, reply(at=7), reply(at=9))

    assert 1_772_442_007_000_000 == found.first_time


def test_compactions_are_noted(tmp_path: Path) -> None:
    """With odd figures left out."""
    line: Line = {"type": "system", "subtype": "compact_boundary", "content": "compacted"}
    facts = {"trigger": "auto", "preTokens": 167_000}
    odd = {"trigger": 7, "preTokens": "x", "postTokens": 1}

    found = read(tmp_path, *({**line, "compactMetadata": one} for one in (facts, odd, None)))

    assert [("auto", 167_000, None), (None, None, 1), (None, None, None)] == [
        (one.trigger, one.pre_tokens, one.post_tokens) for one in found.compactions
    ]


@pytest.mark.parametrize(
    ("regime", "output", "stop"),
    [
        (Regime.A, 450, None),
        (Regime.B, PLACEHOLDER, None),
        (Regime.C, 600, None),
        (Regime.D, 600, "tool_use"),
        (Regime.E, 600, "tool_use"),
    ],
)
def test_lines_of_a_response_fold_in_every_regime(
    tmp_path: Path, regime: Regime, output: int, stop: str | None
) -> None:
    """R4 within a transcript: one record, with the best line's values and the first line's time."""
    found = read(tmp_path, *response(regime))

    record = found.records[0]
    assert (1, 3, 3) == (len(found.records), record.lines, found.usage_lines)
    assert (output, stop) == (
        record.best.message.usage.output_tokens,
        record.best.message.stop_reason,
    )
    assert (1, "2026-03-02T09:00:00.000Z") == (record.first_line, record.first.timestamp)


# while it is being replaced


def test_a_piece_of_a_file_that_was_replaced_is_a_reject(tmp_path: Path) -> None:
    """Its neighbours may be of the other file; nothing is kept of it, so that it is read again."""
    path = write(tmp_path / "a.jsonl", reply())
    stat = path.stat()
    write(tmp_path / "b.jsonl", reply("msg_2", "req_2")).replace(path)
    planned = Transcript(
        str(path), "", "", None, "main", device=stat.st_dev, inode=stat.st_ino, size=stat.st_size
    )

    piece = parse(Extent(planned, end=stat.st_size))
    whole = parse(Extent(planned))

    assert [(None, "replaced while it was read")] == reasons(piece)
    assert (0, None) == (len(piece.records), piece.digests)
    assert (1, []) == (len(whole.records), reasons(whole))


@pytest.mark.parametrize(
    ("times", "earliest"),
    [
        (["2026-03-02T09:00:05.000Z", "2026-03-02T09:00:00.000Z"], "2026-03-02T09:00:00.000Z"),
        (["2026-03-02T09:00:00.000Z", "2026-03-02T09:00:05.000Z"], "2026-03-02T09:00:00.000Z"),
        (["2026-13-02T09:00:00.000Z", "2026-03-02T09:00:05.000Z"], "2026-03-02T09:00:05.000Z"),
        (
            ["2026-03-02T10:00:05.000+01:00", "2026-03-02T09:30:00Z"],
            "2026-03-02T10:00:05.000+01:00",
        ),
        (["no time at all", "2026-03-02T09:00:00.000Z"], "2026-03-02T09:00:00.000Z"),
    ],
)
def test_r8_the_time_is_the_earliest_that_a_line_tells(
    tmp_path: Path, times: list[str], earliest: str
) -> None:
    """In whatever order and form they are written; what is no time tells none."""
    found = read(tmp_path, *({**reply(), "timestamp": time} for time in times))

    assert [earliest] == [record.time for record in found.records]
