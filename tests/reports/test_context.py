"""How full contexts are, and what they came from: parts that sum exactly to a measured whole."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcripts_builder import (
    FORK,
    SESSION,
    Line,
    agent_file,
    facts_of,
    prompt,
    reply,
    session_file,
    usage,
    write,
)

from tokenaudit import transcripts
from tokenaudit.__main__ import main
from tokenaudit.analysis.context_growth import AGENT, growth, pieces_of, prompts
from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.errors import UsageError
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.context import context, contexts, find_subject, gauges
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import Selection
from tokenaudit.transcripts import (
    Content,
    ContentCause,
    Piece,
    ReportedContext,
    micros,
    read_content,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MODEL = "claude-sonnet-5-5"  # has one window only: a million tokens


def loaded(root: Path) -> Ledger:
    found = transcripts.discover([root])
    return ledgers.build(facts_of(found), shipped_card())


def step(number: int, prompt_tokens: int, *blocks: Line, at: float, **more: Any) -> Line:
    """Return a response whose prompt has that many tokens: 10 of input, the rest from the cache."""
    line = reply(
        f"msg_{number}",
        f"req_{number}",
        at=at,
        model=MODEL,
        counts=usage(100, read=prompt_tokens - 10),
        **more,
    )
    return {**line, "message": {**line["message"], "content": list(blocks)}}


def text(words: str) -> Line:
    return {"type": "text", "text": words}


def call(name: str, tool_use_id: str) -> Line:
    return {"type": "tool_use", "id": tool_use_id, "name": name, "input": {}}


def result(tool_use_id: str, content: str, at: float) -> Line:
    block = {"type": "tool_result", "tool_use_id": tool_use_id, "content": content}
    line = prompt(tool_use_id, at=at)
    return {**line, "message": {"role": "user", "content": [block]}}


def boundary(at: float, after: int | None = None) -> Line:
    metadata = {"trigger": "auto", "preTokens": 5000, "postTokens": after}
    line = prompt("", at=at, type="system", subtype="compact_boundary", compactMetadata=metadata)
    del line["message"]
    return line


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One session: prompts of 1000, 2000, 5000, then compacted to 800, then 900."""
    write(
        session_file(tmp_path),
        prompt("What is here?", at=0),
        step(1, 1000, text("12345678"), call("Bash", "t1"), at=10),  # 8 + 2 characters
        result("t1", "x" * 30, at=11),
        prompt("y" * 60, at=12),
        step(2, 2000, call("Read", "t2"), call("Bash", "t3"), at=20),  # 2 + 2
        result("t2", "x" * 10, at=21),
        result("t3", "x" * 16, at=22),
        step(3, 5000, text("so"), at=30),
        boundary(at=40),
        prompt("all of it", at=41, isCompactSummary=True),
        step(4, 800, at=50),
        step(5, 900, at=60),
    )
    return tmp_path


def read(root: Path) -> list[Content]:
    return [read_content(SESSION, "main", [str(session_file(root))])]


def parts(root: Path) -> dict[tuple[str, str | None], int]:
    ledger = loaded(root)
    is_own = pl.col("session_id") == SESSION
    responses = prompts(ledger.frame.filter(is_own), ledger.compactions)
    found = growth(responses, pieces_of(read(root)))
    rows = found.group_by("cause", "tool").agg(pl.col("tokens").sum())
    return {(cause, tool): tokens for cause, tool, tokens in rows.iter_rows()}


def test_a_prompt_is_shared_out_by_characters_within_each_step(root: Path) -> None:
    """Step 1 to 2: 1,000 tokens over 100 characters; 2 to 3: 3,000 over 30; the rest is whole."""
    assert parts(root) == {
        ("base context", None): 1000,
        ("assistant output", None): 100 + 400,  # 10 of 100, 4 of 30
        ("tool result", "Bash"): 300 + 1600,  # 30 of 100, 16 of 30
        ("tool result", "Read"): 1000,  # 10 of 30
        ("user text", None): 600,  # 60 of 100
        ("compaction", None): 800 - 5000,
        ("not in the transcript", None): 100,  # 800 to 900, and nothing was written
    }
    assert sum(parts(root).values()) == 900


@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=8),
    st.lists(st.lists(st.integers(0, 2**40), max_size=4), max_size=8),
    st.lists(st.tuples(st.sampled_from(ContentCause), st.integers(0, 2**40)), max_size=6),
)
def test_parts_sum_exactly_to_the_last_prompt(
    sizes: list[int], texts: list[list[int]], before: list[tuple[ContentCause, int]]
) -> None:
    """Whatever the prompts, the characters and what came first are, not one token is lost or made."""
    content = Content(SESSION, "main", [Piece(*each) for each in before])
    for number in range(len(sizes)):
        content.pieces.append(Piece(ContentCause.RESPONSE, 0, f"m{number}", f"r{number}"))
        lengths = texts[number] if number < len(texts) else []
        content.pieces += [Piece(ContentCause.RESULT, each, tool="Bash") for each in lengths]
    count = len(sizes)
    frame = pl.DataFrame(
        {
            "session_id": [SESSION] * count,
            "agent_id": ["main"] * count,
            "kind": ["message"] * count,
            "response_id": [f"m{number}" for number in range(count)],
            "request_id": [f"r{number}" for number in range(count)],
            "time": [datetime(2026, 1, 1, 0, number, tzinfo=UTC) for number in range(count)],
            "source_path": [""] * count,
            "source_line": list(range(count)),
            "prompt_tokens": sizes,
        }
    )
    nothing = pl.DataFrame(
        schema={
            "session_id": pl.String,
            "agent_id": pl.String,
            "time": pl.Datetime("us", "UTC"),
            "kind": pl.String,
        }
    )

    found = growth(prompts(frame, nothing), pieces_of([content]))

    assert found["tokens"].sum() == sizes[-1]
    assert (found.filter(pl.col("cause") == "tool result")["tokens"] >= 0).all()


def test_the_first_prompt_is_shared_out_where_its_definitions_are_known(tmp_path: Path) -> None:
    """Of a fork: after the compaction in what it went on from, with the definitions, which stay.

    1,220 tokens over 30 of system prompt, 22 of tools, 40 of summary and 30 of text: 10 a character.
    """
    definitions = {"system": "x" * 30, "tools": [{"name": "Bash"}, {"a": 0}]}  # 15 + 7 of JSON
    asked = prompt("z" * 30, at=9)
    write(
        session_file(tmp_path),
        step(7, 70_000, text("gone" * 20), at=0, sessionId=FORK),
        boundary(at=1),
        prompt("s" * 40, at=2, isCompactSummary=True),
        asked,
        {"type": "api-request-shape", "shapeHash": "a", "shape": definitions},
        {"type": "api-request", "id": "r1", "shapeHash": "a"},
        step(1, 1220, at=10, requestRef="r1"),
    )
    first = prompt("earlier", at=-1, sessionId=FORK)
    write(session_file(tmp_path, FORK), first, step(7, 70_000, at=0, sessionId=FORK))

    assert parts(tmp_path) == {
        ("system prompt", None): 300,
        ("tools", None): 220,
        ("compaction", None): 400,
        ("user text", None): 300,
    }


def test_what_context_said_stands_beside_the_measured_prompt(root: Path) -> None:
    """By time; unknown before the first response, and between a compaction and the next response."""
    ledger = loaded(root)
    said = [
        ReportedContext(micros(f"2026-03-02T09:00:{at:02}Z"), None, total, None, [("All", None, 1)])
        for at, total in ((45, 7), (5, 6), (25, 2100))
    ]
    contents = [Content(SESSION, "main", reported=said)]
    report = context(ledger, request(), find_subject(ledger, "1111"), contents)
    table, *_, reported = report.sections

    assert reported.rows.select("reported_tokens", "prompt_tokens").rows() == [
        (6, None),
        (2100, 2000),
        (7, None),
    ]
    assert table.rows.select("reported_tokens", "reported_time").rows() == [
        (7, datetime(2026, 3, 2, 9, 0, 45, tzinfo=UTC))
    ]
    assert any("/context" in note for note in report.notes)


def test_the_gauge_is_that_of_the_last_response(root: Path) -> None:
    """900 of a million tokens, 100 written, five responses, one compaction."""
    row = gauges(loaded(root)).row(0, named=True)

    assert row["prompt_tokens"] == 900
    assert row["output_tokens"] == 100
    assert row["total_tokens"] == 1000
    assert (row["window_tokens"], row["window_basis"]) == (1_000_000, "model")
    assert row["used_percent"] == pytest.approx(0.09)
    assert row["state"] is None
    assert (row["responses"], row["compactions"]) == (5, 1)
    assert row["last_compaction"] == datetime(2026, 3, 2, 9, 0, 40, tzinfo=UTC)


def test_near_the_limit_from_a_share_on(root: Path) -> None:
    """900 of 1,125 is 80 % exactly: near; a token more of room, and it is not."""
    near = gauges(loaded(root), window=1125).row(0, named=True)
    not_near = gauges(loaded(root), window=1126).row(0, named=True)
    lower = gauges(loaded(root), window=2000, near_limit=45).row(0, named=True)

    assert (near["used_percent"], near["state"]) == (80.0, "near limit")
    assert near["window_basis"] == "override"
    assert not_near["state"] is None
    assert lower["state"] == "near limit"


@pytest.mark.parametrize("after", [1234, None])
def test_after_a_compaction_the_new_figure_counts(tmp_path: Path, after: int | None) -> None:
    """What the compaction left is the context until the next response; unknown if it does not say."""
    write(session_file(tmp_path), step(1, 5000, at=0), boundary(at=10, after=after))
    row = gauges(loaded(tmp_path)).row(0, named=True)

    assert row["prompt_tokens"] == after
    assert (row["output_tokens"], row["state"]) == (None, "compacted")
    assert row["used_percent"] == (None if after is None else pytest.approx(0.1234))


def test_a_window_that_may_be_one_of_two_is_not_guessed(tmp_path: Path) -> None:
    """Opus 4.6 runs at 200k or a million; a longer prompt tells which."""
    line = step(1, 150_000, at=0)
    line["message"]["model"] = "claude-opus-4-6"
    write(session_file(tmp_path), line)
    unknown = gauges(loaded(tmp_path)).row(0, named=True)
    longer = step(2, 250_000, at=1)
    longer["message"]["model"] = "claude-opus-4-6"
    write(session_file(tmp_path), line, longer, {**step(3, 1000, at=2)})
    rows = gauges(loaded(tmp_path)).row(0, named=True)

    assert (unknown["window_tokens"], unknown["window_basis"]) == (None, "ambiguous")
    assert (unknown["used_percent"], unknown["state"]) == (None, None)
    assert rows["window_basis"] == "model"  # that of the last response's own model


def test_a_session_without_usage_has_a_context_that_is_not_known(tmp_path: Path) -> None:
    """Nothing has been asked yet: a row, no figure, and what a prompt will hold in characters alone."""
    write(session_file(tmp_path), prompt("Hello"))
    ledger = loaded(tmp_path)
    report = context(ledger, request(), find_subject(ledger, "1111"), read(tmp_path))
    row = report.sections[0].rows.row(0, named=True)

    assert (row["session_id"], row["responses"]) == (SESSION, 0)
    assert (row["prompt_tokens"], row["window_tokens"], row["window_basis"]) == (None, None, None)
    (_, grown) = report.sections
    assert grown.totals == {"pieces": 1, "characters": 5, "tokens": None}


def request(**more: Any) -> Request:
    return Request("context", "0", NOW, **more)


def test_the_report_of_a_session(root: Path) -> None:
    """Its agents, the curve of its own agent with the compaction marked, and the growth."""
    ledger = loaded(root)
    report = context(ledger, request(), find_subject(ledger, "1111"), read(root))
    table, curve, grown = report.sections

    assert report.title == f"Context of session {SESSION}"
    assert table.rows.height == 1
    assert curve.rows["prompt_tokens"].to_list() == [1000, 2000, 5000, 800, 900]
    assert curve.rows["step_tokens"].to_list() == [None, 1000, 3000, -4200, 100]
    assert curve.rows["is_compacted"].to_list() == [False, False, False, True, False]
    assert grown.totals == {"pieces": 9, "characters": 130, "tokens": 900}
    assert grown.rows["tokens"].sum() == 900
    shares = grown.rows.filter(pl.col("share_percent").is_not_null())["share_percent"].sum()
    assert shares == pytest.approx(100)


def test_agents_are_found_by_their_ids(root: Path) -> None:
    """A session first, then an agent; none and several are errors that name candidates."""
    for agent_id in ("a77", "a78"):
        write(
            agent_file(root, agent_id),
            reply(f"msg_{agent_id}", "req_9", isSidechain=True, agentId=agent_id),
        )
    ledger = loaded(root)

    assert find_subject(ledger, "a77").agent_id == "a77"
    assert find_subject(ledger, "111").agent_id is None
    with pytest.raises(UsageError, match="2 agents begin with 'a7'"):
        find_subject(ledger, "a7")
    with pytest.raises(UsageError, match="no session begins with 'zz'"):
        find_subject(ledger, "zz")
    report = context(ledger, request(), find_subject(ledger, "a78"), read(root))
    assert report.title == f"Context of agent a78 of session {SESSION}"
    assert report.sections[0].rows["agent_id"].to_list() == ["a78"]


def test_all_contexts_the_latest_first(root: Path) -> None:
    """Filters choose agents; a limit says what it left out; columns sort."""
    write(agent_file(root, "a77"), reply("m", "r", at=9, isSidechain=True, agentId="a77"))
    ledger = loaded(root)

    def agents(**shape: Any) -> list[str]:
        found = contexts(ledger, request(shape=Layout(**shape))).sections[0]
        return found.rows["agent_id"].to_list()

    assert agents() == ["main", "a77"]
    assert agents(descending=False) == ["a77", "main"]
    assert agents(sort="responses", descending=False) == ["a77", "main"]
    assert agents(sort="prompt") == ["main", "a77"]
    assert contexts(ledger, request(shape=Layout(limit=1))).sections[0].cut_rows == 1
    chosen = Request("context", "0", NOW, Selection(agents=("a77",)))
    assert contexts(ledger, chosen).sections[0].rows["agent_id"].to_list() == ["a77"]
    assert contexts(ledger, request()).sections[0].rows.select(AGENT).height == 2


def test_the_list_names_each_session_by_its_title(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In machine formats always, null where there is none; on a screen where there is room for it."""
    title = {"type": "custom-title", "customTitle": "Mend the roof", "sessionId": FORK}
    write(session_file(root, FORK), title, reply("msg_f", "req_f", sessionId=FORK))
    ledger = loaded(root)
    (section,) = contexts(ledger, request(shape=Layout(sort="title"))).sections
    subject = context(ledger, request(), find_subject(ledger, FORK[:8]), read(root)).sections[0]

    assert section.rows.select("session_id", "title").rows() == [
        (FORK, "Mend the roof"),
        (SESSION, None),
    ]
    assert [subject.rows["title"].to_list(), subject.columns[1].screen] == [
        ["Mend the roof"],
        False,
    ]
    shown = []
    for width in ("70", "140"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", width)
            assert main(["context", "--root", str(root), "--no-store"]) == 0
        shown.append("Mend the roof" in capsys.readouterr().out)
    assert [False, True] == shown
    for form in ("json", "csv"):
        assert main(["context", "--root", str(root), "--no-store", "--format", form]) == 0
        assert "Mend the roof" in capsys.readouterr().out
