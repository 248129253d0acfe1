"""Every figure can be followed to its lines, and the lines judged anew say what the ledger counts."""

import json
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from audited import Audited, rows, warnings
from stories import FIXTURES, STORIES, Story
from transcripts_builder import (
    FORK,
    agent_file,
    agent_result,
    progress,
    reply,
    session_file,
    sidechain,
    usage,
    write,
)

from tokenaudit.ledger.frame import TOKENS
from tokenaudit.model.errors import UsageError
from tokenaudit.model.terms import Kind
from tokenaudit.pricing.card import shipped_card
from tokenaudit.pricing.user_rates import read_user_rates


@pytest.fixture(params=STORIES, ids=lambda story: story.name)
def story(request: pytest.FixtureRequest) -> Story:
    assert isinstance(request.param, Story)
    return request.param


@cache
def audit_of(root: Path) -> Audited:
    return Audited.of(root)


def test_every_response_of_every_story_is_explained(story: Story) -> None:
    """The counting line is the ledger's source, the lines are all there, the terms sum to the cost."""
    audited = audit_of(story.root)
    explained = 0
    for row in pl.concat([audited.ledger.frame, audited.ledger.refused]).iter_rows(named=True):
        report = audited.explain(row["response_id"])
        if report.sections[0].name == "arithmetic":  # several responses share the id
            continue
        explained += 1
        lines = rows(report, "lines")
        counting = [line for line in lines if line["verdict"] == "counts"]
        terms = [term["cost_term_usd"] for term in rows(report, "terms")]

        assert warnings(report) == []
        assert [(line["path"], line["line"]) for line in counting] == [
            (row["source_path"], row["source_line"])
        ]
        if row["kind"] == Kind.MESSAGE:
            said = [line for line in lines if line["said_by"] != "tool result"]
            assert len(said) == row["copies"] + 1
            if row["quality"] != "repaired":
                assert {name: counting[0][name] for name in TOKENS} == {
                    name: row[name] for name in TOKENS
                }
        assert sum(terms, Decimal(0)) == (row["cost_usd"] or 0)
        assert bool(terms) == (row["cost_usd"] is not None and row["total_tokens"] > 0)
    assert explained or audited.ledger.frame.is_empty()


def test_every_line_is_where_it_is_said_to_be(story: Story) -> None:
    """At the byte offset the line begins: what stands there says the ids."""
    audited = audit_of(story.root)
    for response_id in audited.ledger.frame.filter(kind="message")["response_id"].unique():
        report = audited.explain(response_id)
        for line in rows(report, "lines") if report.sections[0].name == "lines" else ():
            data = Path(line["path"]).read_bytes()
            start = line["byte_offset"]
            text = data[start:].split(b"\n", 1)[0]

            assert start == 0 or data[start - 1 : start] == b"\n"
            assert data[:start].count(b"\n") + 1 == line["line"]
            if line["uuid"]:
                assert line["uuid"].encode() in text


def test_cells_add_up_and_other_rules_agree_where_they_must(story: Story) -> None:
    """The terms of everything sum to its cost; a sum over lines counts every usage line."""
    audited = audit_of(story.root)
    report = audited.explain(None, all_rules=True)
    frame, intake = audited.ledger.frame, audited.ledger.intake
    terms = [term["cost_term_usd"] or Decimal(0) for term in rows(report, "arithmetic")]
    by_rule = {row["rule"]: row for row in rows(report, "all_rules")}
    apart = frame.filter(pl.col("kind") != Kind.MESSAGE).height

    assert warnings(report) == []
    assert sum(terms, Decimal(0)) == (frame["cost_usd"].sum() or 0)
    assert report.sections[0].totals == {
        "cost_term_usd": story_cost(story),
    }
    assert by_rule["as_counted"]["counted"] == frame.height
    assert by_rule["as_counted"]["difference_usd"] in {None, Decimal(0)}
    assert by_rule["sum_of_lines"]["counted"] == intake.usage_lines + apart
    for rule in ("first_line", "last_line"):
        assert by_rule[rule]["counted"] == frame.height


def story_cost(story: Story) -> Decimal | None:
    cost = story.expected["totals"]["cost_usd"]
    return None if cost is None else Decimal(cost)


def test_other_rules_are_those_worked_out_by_hand() -> None:
    """`last-line-final`: output by line 2, 2, 512; 1, 64; 1, 90, 1; 80, 75 (its README)."""
    audited = Audited.of(FIXTURES / "last-line-final" / "claude")
    by_rule = {row["rule"]: row for row in rows(audited.explain(None, all_rules=True), "all_rules")}

    assert by_rule["as_counted"]["output_tokens"] == 512 + 64 + 90 + 75
    assert by_rule["first_line"]["output_tokens"] == 2 + 1 + 1 + 80
    assert by_rule["last_line"]["output_tokens"] == 512 + 64 + 1 + 75
    assert by_rule["no_merging"]["output_tokens"] == 512 + 64 + 90 + 75
    assert by_rule["sum_of_lines"]["output_tokens"] == (2 + 2 + 512) + (1 + 64) + (1 + 90 + 1) + 155


def test_copies_are_listed_and_what_no_merging_would_cost() -> None:
    """`fork-copies`: A stands on two lines in each of five transcripts, at 41,204 millionths."""
    audited = Audited.of(FIXTURES / "fork-copies" / "claude")
    report = audited.explain("msg_01forkCopyA", all_rules=True)
    by_rule = {row["rule"]: row for row in rows(report, "all_rules")}
    lines = rows(report, "lines")

    assert [line["verdict"] for line in lines] == ["merged", "counts", *["copy, merged"] * 8]
    assert [row["role"] for row in rows(report, "transcripts")] == ["owner", *["copy"] * 4]
    assert by_rule["as_counted"]["cost_usd"] == Decimal("0.041204")
    assert by_rule["no_merging"]["cost_usd"] == 5 * Decimal("0.041204")
    assert by_rule["sum_of_lines"]["cost_usd"] == 10 * Decimal("0.041204")
    assert by_rule["sum_of_lines"]["difference_usd"] == 9 * Decimal("0.041204")


def test_a_cell_says_where_its_responses_and_their_copies_lie() -> None:
    """`fork-copies`: A and others count in the session and are copied by its forks (its README)."""
    audited = Audited.of(FIXTURES / "fork-copies" / "claude")
    places = rows(audited.explain(None), "transcripts")

    assert sum(row["counted"] for row in places) == audited.ledger.frame.height
    assert sum(row["lines"] for row in places) == audited.ledger.intake.usage_lines
    assert sum(row["copied"] > 0 for row in places) == 4


def decisions(report: Any) -> str:
    return "\n".join(f"{row['rule']}: {row['decision']}" for row in rows(report, "decisions"))


def test_progress_copies_and_their_owner(tmp_path: Path) -> None:
    """The agent's own line owns the response before the parent's progress line (R5)."""
    own = sidechain(reply(at=5), "a1b2c3d")
    write(session_file(tmp_path), reply("msg_0", "req_0"), progress(own, at=6))
    write(agent_file(tmp_path), own)
    report = Audited.of(tmp_path).explain("msg_1")

    assert [line["said_by"] for line in rows(report, "lines")] == ["sidechain", "progress copy"]
    assert "R5 owner: transcript 1 owns it: its line is the agent's own" in decisions(report)
    assert rows(report, "transcripts")[1]["role"] == "progress copy"


def test_a_replay_with_another_request_id_is_named(tmp_path: Path) -> None:
    """A helper's sidechain replays the parent's response under a request id of its own (R3)."""
    write(session_file(tmp_path), reply(at=1))
    write(
        agent_file(tmp_path, "acompact-1234567"),
        sidechain(reply("msg_1", "req_9", at=2), "acompact-1234567"),
    )
    report = Audited.of(tmp_path).explain("msg_1")

    assert [row["joined_by"] for row in rows(report, "transcripts")] == [
        None,
        "another request id; a sidechain's replay",
    ]
    assert "it is no sidechain" in decisions(report)


def test_missing_request_ids_and_colliding_ids_are_told_apart(tmp_path: Path) -> None:
    """One message id, three responses: two with request ids, one that a gateway wrote without (R3)."""
    path = write(
        session_file(tmp_path),
        reply("msg_1", "req_1", 10, at=1),
        reply("msg_1", "req_2", 20, at=2),
        reply("msg_2", None, 31, stop=None, at=3),
        reply("msg_2", None, 64, stop=None, at=4),
    )
    audited = Audited.of(tmp_path)

    assert [line["line"] for line in rows(audited.explain("req_2"), "lines")] == [2]
    assert audited.explain("msg_1").sections[0].name == "arithmetic"
    report = audited.explain("msg_2")
    assert [(line["line"], line["verdict"]) for line in rows(report, "lines")] == [
        (3, "merged"),
        (4, "counts"),
    ]
    assert "no request id; same transcript and agent" in decisions(report)
    assert "lower_bound" in decisions(report)
    assert rows(report, "lines")[0]["path"] == str(path)


def test_a_repair_shows_the_line_of_the_parent(tmp_path: Path) -> None:
    """The tool result that gave the output is listed with its place (R4)."""
    counts = usage(2, write=500)
    write(
        session_file(tmp_path), reply("msg_0", "req_0"), agent_result(usage(640, write=500), at=9)
    )
    write(agent_file(tmp_path), sidechain(reply(stop=None, counts=counts, at=5), "a1b2c3d"))
    report = Audited.of(tmp_path).explain("msg_1")

    assert [(line["said_by"], line["line"], line["verdict"]) for line in rows(report, "lines")] == [
        ("sidechain", 1, "counts"),
        ("tool result", 2, "repairs"),
    ]
    assert "the tool result in line 2 of transcript 2 says 640" in decisions(report)
    assert rows(report, "transcripts")[1]["role"] == "parent's tool result"


@pytest.mark.parametrize(
    ("counts", "model", "words"),
    [
        ({"speed": "fast"}, "claude-opus-4-6", "fast mode, at its own rate"),
        ({"inference_geo": "us"}, "claude-opus-4-8", "in the United States only: times 1.1"),
        ({"service_tier": "batch"}, "claude-opus-4-8", "a batch: times 0.5"),
        ({"read": 200_000}, "claude-opus-4-6", "over 200,000: all of it at the rate of long"),
        ({}, "glm-9", "unpriced: no source has a price of glm-9"),
        ({}, "us.anthropic.claude-opus-4-6-v1", "a regional endpoint: times 1.1"),
    ],
)
def test_what_changed_the_price_is_said(
    tmp_path: Path, counts: dict[str, Any], model: str, words: str
) -> None:
    """Tiers, geography, speed and what has no price (R10)."""
    day = "2026-02-20" if "read" in counts or "speed" in counts else "2026-06-20"
    said = reply(model=model, counts=usage(100, **counts), timestamp=f"{day}T09:00:00.000Z")
    write(session_file(tmp_path), said)
    report = Audited.of(tmp_path).explain("msg_1")

    assert words in decisions(report)


def test_a_discount_is_a_term_of_its_own(tmp_path: Path) -> None:
    """15 % off: listed is 10 x $5 + 100 x $25 a million = $0.00255, paid $0.0021675."""
    path = tmp_path / "rates.toml"
    path.write_text('[[discount]]\nmodels = ["claude-*"]\nmultiplier = 0.85\n', "utf-8")
    card = shipped_card().with_user(read_user_rates(path, must_exist=True))
    write(session_file(tmp_path), reply(), reply("msg_2", "req_2"))
    audited = Audited.of(tmp_path, card=card)
    one, all_of_it = audited.explain("msg_1"), audited.explain(None)

    assert "your discount: times 0.85" in decisions(one)
    assert [row["cost_term_usd"] for row in rows(one, "terms")] == [
        Decimal("0.00005"),
        Decimal("0.0025"),
        Decimal("-0.0003825"),
    ]
    assert [row["cost_term_usd"] for row in rows(all_of_it, "arithmetic")] == [
        Decimal("0.0001"),
        Decimal("0.005"),
        Decimal("-0.000765"),
    ]


def test_a_cell_is_what_the_filters_leave(tmp_path: Path) -> None:
    """A day and a model; the responses are limited, the sum is not."""
    lines = [reply(f"msg_{at}", f"req_{at}", at=at) for at in range(5)]
    late = reply("msg_9", "req_9", timestamp="2026-03-03T09:00:00.000Z")
    write(session_file(tmp_path), *lines, late)
    audited = Audited.of(tmp_path)
    day = rows(audited.explain(None), "responses")[0]["time"].date()
    report = audited.explain(None, since=day, until=day, limit=2)

    assert report.title == "2026-03-02"
    assert len(rows(report, "responses")) == 2
    assert report.sections[3].cut_rows == 3
    assert report.sections[0].totals == {"cost_term_usd": 5 * Decimal("0.00255")}


def test_ids_of_sessions_agents_and_requests(tmp_path: Path) -> None:
    """By a part of the id, where that is enough."""
    write(session_file(tmp_path), reply(), reply("msg_2", "req_2", at=2))
    write(agent_file(tmp_path), sidechain(reply("msg_3", "req_3", at=3), "a1b2c3d"))
    audited = Audited.of(tmp_path)

    assert audited.explain("1111").title == "Session 11111111-1111-4111-8111-111111111111"
    assert audited.explain("a1b2").title.endswith("/a1b2c3d: response msg_3")
    assert audited.explain("11111111-1111-4111-8111-111111111111/main").sections[0].totals == {
        "cost_term_usd": 2 * Decimal("0.00255")
    }
    assert audited.explain("req_3").title == "Request req_3: response msg_3"


def test_ids_that_fit_nothing_or_several_name_candidates(tmp_path: Path) -> None:
    """Never a guess."""
    write(session_file(tmp_path), reply(), reply("msg_2", "req_2", at=2))
    audited = Audited.of(tmp_path)

    with pytest.raises(UsageError, match="no response, request, session or agent") as nothing:
        audited.explain("nope")
    assert nothing.value.hint
    with pytest.raises(UsageError, match="2 things begin with 'msg_'") as several:
        audited.explain("msg_")
    assert several.value.hint == "They are response msg_1, response msg_2."
    with pytest.raises(UsageError, match="nothing of response msg_1 is in this selection"):
        audited.explain("msg_1", models=("claude-haiku-*",))


def test_a_transcript_that_changed_or_went_is_said(tmp_path: Path) -> None:
    """The ledger stands on what was read; lines that are no longer there are missed, not invented."""
    path = write(session_file(tmp_path), reply(), reply(output=200, at=1))
    copy = write(session_file(tmp_path, FORK), reply(at=2), reply("msg_5", "req_5", at=3))
    audited = Audited.of(tmp_path)
    copy.unlink()
    assert any("cannot be read" in note for note in warnings(audited.explain("msg_1")))

    write(path, reply())
    assert any("do not say what was counted" in note for note in warnings(audited.explain("msg_1")))

    path.unlink()
    gone = audited.explain("msg_1", all_rules=True)
    assert len(warnings(gone)) == len(set(warnings(gone)))
    assert any("no line of it can be read" in note for note in warnings(gone))
    assert gone.sections[0].name == "terms"


def test_lines_that_only_a_tolerant_reading_understands(tmp_path: Path) -> None:
    """Two objects on a line, a byte order mark, an odd count: the same lines as in the first reading."""
    two = json.dumps(reply(at=1)).encode() + json.dumps(reply("msg_2", "req_2", at=2)).encode()
    odd = reply("msg_3", "req_3", counts={"input_tokens": "10", "output_tokens": 7.0}, at=3)
    write(session_file(tmp_path), b"\xef\xbb\xbf" + two, b"", odd)
    audited = Audited.of(tmp_path)

    assert rows(audited.explain("msg_2"), "lines")[0]["line"] == 1
    assert rows(audited.explain("msg_3"), "lines")[0]["line"] == 3
    assert "R9 numbers" in decisions(audited.explain("msg_3"))


def test_the_beginning_of_a_response_with_iterations_means_the_response(tmp_path: Path) -> None:
    """They are beside it; a response whose own id looks like theirs is not."""
    advisor = {"type": "advisor_message", "model": "claude-opus-5", **usage(70)}
    whole = reply(counts=usage(100, iterations=[advisor]))
    write(session_file(tmp_path), whole)
    assert Audited.of(tmp_path).explain("msg_").title.startswith("Response msg_1")

    write(session_file(tmp_path), whole, reply("msg_1#7", "req_2", at=1))
    with pytest.raises(UsageError, match="2 things begin with 'msg_'"):
        Audited.of(tmp_path).explain("msg_")
