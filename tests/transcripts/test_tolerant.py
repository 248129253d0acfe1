"""The strict types and the tolerant reading give a line one meaning; neither fails on any bytes."""

import json
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from transcripts_builder import encoded, parsed, progress, prompt, reply, sidechain

from tokenaudit.transcripts import tolerant
from tokenaudit.transcripts.tolerant import UnreadableError
from tokenaudit.transcripts.wire import (
    LARGEST_COUNT,
    Assistant,
    ProgressLine,
    RequestLine,
    SessionLine,
    decode_assistant,
    decode_note,
    decode_progress,
)

Values = st.SearchStrategy[Any]

TEXTS = st.text(max_size=5)
JSON: Values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
COUNTS = st.integers(0, LARGEST_COUNT)
COSTS = st.floats(allow_nan=False, allow_infinity=False) | st.integers()


@st.composite
def objects(
    draw: st.DrawFn, good: dict[str, Values], needed: dict[str, Values] | None = None
) -> dict[str, Any]:
    """An object with the keys of *good*, or some of them, in any order, among unknown ones.

    Once in a while one value is of any kind.
    """
    chosen = draw(st.integers(0, 2 ** len(good) - 1))
    optional = {
        key: st.none() | value for at, (key, value) in enumerate(good.items()) if chosen >> at & 1
    }
    fields = {**optional, **(needed or {})}
    if fields and draw(st.integers(0, 5)) == 0:
        fields[draw(st.sampled_from(list(fields)))] = JSON
    known = [(key, draw(value)) for key, value in fields.items()]
    unknown = draw(st.lists(st.tuples(st.just("unknown"), JSON), max_size=1))
    return dict(draw(st.permutations([*known, *unknown])))


SPLIT = objects({"ephemeral_5m_input_tokens": COUNTS, "ephemeral_1h_input_tokens": COUNTS})
TOKENS = {
    "input_tokens": COUNTS,
    "output_tokens": COUNTS,
    "cache_read_input_tokens": COUNTS,
    "cache_creation_input_tokens": COUNTS,
    "cache_creation": SPLIT,
}
USAGES = objects(
    {
        **TOKENS,
        "server_tool_use": objects({"web_search_requests": COUNTS, "web_fetch_requests": COUNTS}),
        "output_tokens_details": objects({"thinking_tokens": COUNTS}),
        "service_tier": TEXTS,
        "inference_geo": TEXTS,
        "speed": TEXTS,
        "iterations": st.lists(objects({"type": TEXTS, "model": TEXTS, **TOKENS}), max_size=2),
    },
    {"input_tokens": COUNTS, "output_tokens": COUNTS},
)
FORKS = objects({"sessionId": TEXTS})
ASSISTANTS = objects(
    {
        **dict.fromkeys(
            (
                *("requestId", "uuid", "timestamp", "sessionId", "agentId", "cwd", "gitBranch"),
                *("version", "entrypoint", "effort", "attributionSkill", "attributionPlugin"),
                *("attributionAgent", "attributionMcpServer", "attributionMcpTool"),
            ),
            TEXTS,
        ),
        "isSidechain": st.booleans(),
        "forkedFrom": FORKS,
        "costUSD": COSTS,
    },
    {
        "type": st.just("assistant"),
        "message": objects({"id": TEXTS, "model": TEXTS, "stop_reason": TEXTS}, {"usage": USAGES}),
    },
)
PROGRESSES = objects(
    dict.fromkeys(("sessionId", "cwd", "gitBranch", "version", "entrypoint"), TEXTS),
    {
        "type": st.just("progress"),
        "data": objects(
            {"agentId": TEXTS}, {"type": st.just("agent_progress"), "message": ASSISTANTS}
        ),
    },
)
NOTES = objects(
    {
        **dict.fromkeys(
            (
                *("subtype", "uuid", "timestamp", "sessionId", "cwd", "customTitle", "aiTitle"),
                *("summary", "leafUuid"),
            ),
            TEXTS,
        ),
        "forkedFrom": FORKS,
        "compactMetadata": objects({"trigger": TEXTS, "preTokens": COUNTS, "postTokens": COUNTS}),
    },
    {"type": st.sampled_from(["user", "system", "summary", "custom-title"])},
)

Understood = Assistant | ProgressLine | RequestLine | SessionLine | None


def read_tolerantly(data: bytes) -> Understood:
    """Return what the tolerant reading makes of one object; None where it takes it for a reject."""
    found, error = tolerant.objects(data)
    assert (1, None) == (len(found), error)
    try:
        return tolerant.understand(found[0])
    except UnreadableError:
        return None


def plain(line: msgspec.Struct | None) -> dict[str, Any] | None:
    return None if line is None else msgspec.structs.asdict(line)


@examples(200)
@given(ASSISTANTS, st.sampled_from(["escaped", "UTF-8"]))
def test_a_usage_line_means_the_same_to_both_readings(line: dict[str, Any], texts: str) -> None:
    """What the strict types take the tolerant reading takes as the same; what they do not, as odd."""
    data = json.dumps(line, ensure_ascii=texts == "escaped").encode()
    understood = read_tolerantly(data)
    try:
        strict = decode_assistant(data)
    except msgspec.MsgspecError:
        assert understood is None or isinstance(understood, SessionLine) or is_odd(understood)
    else:
        assert plain(strict) == plain(understood) or strict.type != "assistant"


def is_odd(line: Understood) -> bool:
    return isinstance(line, Assistant) and line.odd != ()


@examples(100)
@given(PROGRESSES)
def test_a_progress_line_means_the_same_to_both_readings(line: dict[str, Any]) -> None:
    """What a parent repeats of its subagent is read as the subagent's own lines are."""
    data = json.dumps(line).encode()
    try:
        strict = decode_progress(data)
    except msgspec.MsgspecError:
        return
    types = (strict.type, strict.data.type, strict.data.message.type)
    expected = strict if types == ("progress", "agent_progress", "assistant") else None

    understood = read_tolerantly(data)

    assert plain(expected) == plain(understood if isinstance(understood, ProgressLine) else None)


@examples(100)
@given(NOTES)
def test_any_other_line_means_the_same_to_both_readings(line: dict[str, Any]) -> None:
    """Titles, compactions and times do not depend on how the line was read."""
    data = json.dumps(line).encode()
    try:
        strict = decode_note(data)
    except msgspec.MsgspecError:
        return

    assert plain(strict) == plain(read_tolerantly(data))


LINES = st.sampled_from(
    [
        *(
            encoded(line)
            for line in (reply(), prompt(), progress(reply()), sidechain(reply(), "a"))
        ),
        encoded(reply(counts={"input_tokens": "12", "output_tokens": 7.0, "iterations": [{}]})),
        b'{"type":"system","subtype":"compact_boundary","compactMetadata":{"preTokens":1}}',
        b'{"type":"custom-title","customTitle":"x"}',
    ]
)
DAMAGE = st.sampled_from(
    [
        *(b"\n", b"{", b"}", b'"', b"\\", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\\ud83d", b"-"),
        *(b"1e400", b"9" * 400, b"NaN", b"[" * 1500, b'"usage":', b'"type":"assistant"', b"\r\n"),
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Lines of transcripts, with something cut out of them or put into them in some places."""
    data = b"\n".join(draw(st.lists(LINES | st.binary(max_size=20), max_size=4)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 30))
        data = data[:start] + draw(DAMAGE | st.binary(max_size=3)) + data[end:]
    return data


@examples(200)
@given(damaged())
def test_parsing_never_fails(tmp_path: Path, data: bytes) -> None:
    """Every line of any file is counted, and each is a record, a reject, or of no interest."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)

    found = parsed(path)

    blank = sum(not line.strip() for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    numbers = range(1, data.count(b"\n") + 2)
    assert data.count(b"\n") + 1 - blank == found.lines
    assert found.usage_lines == sum(record.lines for record in found.records)
    assert all(record.first_line in numbers for record in found.records)
    assert all(reject.line in numbers for reject in found.rejects)
    assert all(
        0 <= record.best.message.usage.output_tokens <= LARGEST_COUNT for record in found.records
    )
