"""Each kind of finding, from transcripts made by hand in which it is known what should be found."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
from evidence import NOW, evidence
from msgspec.structs import replace
from stories import STORIES, Story
from transcripts_builder import (
    FORK,
    OTHER,
    SESSION,
    Line,
    Regime,
    agent_file,
    agent_result,
    moment,
    progress,
    prompt,
    reply,
    response,
    session_file,
    sidechain,
    usage,
    write,
)

from tokenaudit import transcripts
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import Finding, Severity
from tokenaudit.audit.check.registry import findings
from tokenaudit.ledger import frame as ledgers
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.reports.selection import Selection, select
from tokenaudit.store import Store


def found(*roots: Path, now: datetime = NOW) -> dict[str, Finding]:
    """The findings by name; of a name that occurs twice the first."""
    every = findings(evidence(*roots, now=now))
    return {finding.name: finding for finding in reversed(every)}


def at(finding: Finding) -> tuple[str, int | None]:
    assert finding.place is not None
    return Path(finding.place.path).name, finding.place.line


def test_a_whole_history_has_no_finding(tmp_path: Path) -> None:
    """Every line final, every price known, no copy in another file."""
    write(session_file(tmp_path), prompt(), *response(Regime.E))

    assert {} == found(tmp_path)


@pytest.mark.parametrize("off", [-2, 1])
def test_a_ledger_that_breaks_its_own_identity(tmp_path: Path, off: int) -> None:
    """Three lines are one response and two copies; were they counted otherwise, that is an error.

    No history may bring this about (see the stories below): the count itself is falsified here.
    """
    write(session_file(tmp_path), *response(Regime.E))
    whole = evidence(tmp_path)
    intake = replace(whole.ledger.intake, usage_lines=whole.ledger.intake.usage_lines + off)
    (finding,) = findings(
        dataclasses.replace(whole, ledger=dataclasses.replace(whole.ledger, intake=intake))
    )

    assert ("identity_broken", Severity.ERROR, abs(off)) == (
        finding.name,
        finding.severity,
        finding.count,
    )
    assert f" are not 1 response and 2 copies: {abs(off)} counted wrongly." in finding.message


def test_rejects_by_reason(tmp_path: Path) -> None:
    """Two lines that differ only in where they break are one finding; another reason is another."""
    bad = reply("msg_2", "req_2", counts={"input_tokens": -1, "output_tokens": 1})
    write(session_file(tmp_path), reply(), b'{"a": zz', b'{"abc": zz', bad)
    every = [each for each in findings(evidence(tmp_path)) if each.name == "reject"]

    assert [("not JSON: Expecting value", 2), ("usage.input_tokens: negative", 1)] == [
        (each.subject, each.count) for each in every
    ]
    assert all(each.severity is Severity.ERROR and each.tokens is None for each in every)
    assert (f"{SESSION}.jsonl", 2) == at(every[0])
    assert (f"{SESSION}.jsonl", 4) == at(every[1])


def test_usage_where_none_is_counted_is_counted_as_what_it_is(tmp_path: Path) -> None:
    """By the type of its lines, with the first of them; the figures stay as they are."""
    wrapped = {"type": "result", "usage": usage(7)}
    write(session_file(tmp_path), reply(), wrapped, {"usage": usage(7)}, wrapped)
    every = [each for each in findings(evidence(tmp_path)) if each.name == "uncounted_usage"]

    assert [("result", 2), (None, 1)] == [(each.subject, each.count) for each in every]
    assert (f"{SESSION}.jsonl", 2) == at(every[0])
    assert every[1].message.startswith("1 line of no type with usage beside a message")
    assert 100 == evidence(tmp_path).ledger.frame["output_tokens"].sum()


def test_an_incomplete_tail_is_no_error(tmp_path: Path) -> None:
    """With the line that is half-written, blank lines counted."""
    path = write(session_file(tmp_path), reply(), b"", prompt())
    with path.open("ab") as file:
        file.write(b'{"type":"assistant","mess')
    finding = found(tmp_path)["incomplete_tail"]

    assert (Severity.INFO, 1) == (finding.severity, finding.count)
    assert (f"{SESSION}.jsonl", 4) == at(finding)


@pytest.mark.parametrize(
    ("regime", "name", "tokens"),
    [(Regime.B, "placeholder_output", 3), (Regime.C, "lower_bound_output", 600)],
)
def test_unfinished_output_by_version(
    tmp_path: Path, regime: Regime, name: str, tokens: int
) -> None:
    """At stake is what is recorded of the output: at $25 per million tokens of Opus 4.6."""
    write(session_file(tmp_path), *response(regime, version="2.1.20"))
    finding = found(tmp_path)[name]

    assert ("2.1.20", 1, tokens) == (finding.subject, finding.count, finding.tokens)
    assert finding.cost_usd == Decimal(25 * tokens) / 10**6
    assert "2.1.97" in finding.action


def test_versions_beyond_the_fifth_are_told_together(tmp_path: Path) -> None:
    """Seven versions: five of their own, and two as one."""
    lines: list[Line] = []
    for number in range(7):
        for each in range(7 - number):
            lines += response(
                Regime.B,
                f"msg_{number}_{each}",
                f"req_{number}_{each}",
                version=f"2.1.{10 + number}",
            )
    write(session_file(tmp_path), *lines)
    every = [each for each in findings(evidence(tmp_path)) if each.name == "placeholder_output"]

    assert [("2.1.10", 7), ("2.1.11", 6), ("2.1.12", 5), ("2.1.13", 4), ("2.1.14", 3)] == [
        (each.subject, each.count) for each in every[:5]
    ]
    assert [("2 more versions", 3)] == [(each.subject, each.count) for each in every[5:]]


def test_unfinished_responses_of_new_versions_are_told_by_thread(tmp_path: Path) -> None:
    """2.1.200 writes final counts in main threads; in subagents a part stays unfinished, and is known."""
    write(session_file(tmp_path), reply(output=3, stop=None, version="2.1.200"))
    last = [reply(f"msg_{n}", f"req_{n}", 2, stop=None, version="2.1.200") for n in (2, 3)]
    write(agent_file(tmp_path), *(sidechain(line, "a1b2c3d") for line in last))
    every = [each for each in findings(evidence(tmp_path)) if each.name == "placeholder_output"]
    of_subagents, of_main = every

    assert ("2.1.200 (subagents)", 2) == (of_subagents.subject, of_subagents.count)
    assert "13.4% in 2.1.150 to 2.1.199" in of_subagents.action
    assert "interrupted" not in of_subagents.action
    assert ("2.1.200", 1) == (of_main.subject, of_main.count)
    assert "0.23%" in of_main.action
    assert "interrupted" in of_main.action


def test_counts_near_the_limit_of_placeholders(tmp_path: Path) -> None:
    """30 is the largest placeholder: 25 and 35 are near it, 24, 36 and a final 30 are not."""
    counts = [24, 25, 35, 36]
    lines = [reply(f"msg_{count}", f"req_{count}", count, stop=None) for count in counts]
    write(session_file(tmp_path), *lines, reply("msg_f", "req_f", 30))
    finding = found(tmp_path)["near_placeholder_limit"]

    assert (2, 60) == (finding.count, finding.tokens)


def test_unpriced_models(tmp_path: Path) -> None:
    """The cost at stake is not known, and is not zero."""
    write(session_file(tmp_path), reply(model="glm-9"))
    finding = found(tmp_path)["unpriced_model"]

    assert ("glm-9", 1, 110, None) == (
        finding.subject,
        finding.count,
        finding.tokens,
        finding.cost_usd,
    )


def test_missing_request_ids_and_colliding_ids(tmp_path: Path) -> None:
    """Two responses of one message id and two request ids are counted one by one, and said."""
    write(
        session_file(tmp_path),
        reply("msg_a", None, at=1),
        reply("msg_b", "req_1", at=2),
        reply("msg_b", "req_2", at=3),
    )
    every = found(tmp_path)

    assert 1 == every["missing_request_id"].count
    assert (2, 220) == (every["colliding_ids"].count, every["colliding_ids"].tokens)
    assert (f"{SESSION}.jsonl", 2) == at(every["colliding_ids"])


def test_copies_by_kind(tmp_path: Path) -> None:
    """A fork, a helper's replay and a backup, each of one response of 110 tokens."""
    line = reply()
    write(session_file(tmp_path), line)
    write(session_file(tmp_path, FORK), {**line, "sessionId": FORK})
    write(agent_file(tmp_path, "acompact-1"), sidechain(line, "acompact-1"))
    write(session_file(tmp_path, SESSION, "-work-app-backup"), line)
    every = found(tmp_path)

    assert [(1, 110)] * 3 == [
        (every[name].count, every[name].tokens)
        for name in ("fork_copies", "replay_copies", "backup_copies")
    ]
    assert (f"{FORK}.jsonl", 1) == at(every["fork_copies"])
    assert ("agent-acompact-1.jsonl", 1) == at(every["replay_copies"])


def test_a_session_in_several_roots(tmp_path: Path) -> None:
    """It counts once, and it is said."""
    for name in ("one", "two"):
        write(session_file(tmp_path / name), reply())
    finding = found(tmp_path / "one", tmp_path / "two")["session_in_several_roots"]

    assert (1, 110) == (finding.count, finding.tokens)


def test_an_agent_without_a_file(tmp_path: Path) -> None:
    """Known from the parent's result alone: an error; from progress lines too: a warning."""
    gone = agent_result(usage(5), "a000001", at=1)
    seen = agent_result(usage(5), "a000002", at=2)
    line = sidechain(reply("msg_2", "req_2", at=1), "a000002")
    write(session_file(tmp_path), reply(), gone, seen, progress(line, "a000002"))
    every = found(tmp_path)

    missing, known = every["agent_file_missing"], every["agent_known_by_progress"]
    assert (Severity.ERROR, 1, 1) == (missing.severity, missing.count, missing.tokens)
    assert (f"{SESSION}.jsonl", 2) == at(missing)
    assert (Severity.WARNING, 1) == (known.severity, known.count)
    assert (f"{SESSION}.jsonl", 3) == at(known)


def test_an_agent_with_a_file_is_no_finding(tmp_path: Path) -> None:
    """The ordinary case."""
    write(session_file(tmp_path), reply(), agent_result(usage(5)))
    write(agent_file(tmp_path), sidechain(reply("msg_2", "req_2"), "a1b2c3d"))

    assert {} == found(tmp_path)


def result(at: float, **more: Any) -> Line:
    return prompt("done", at=at, toolUseResult=more)


def boundary(tokens: int, at: float) -> Line:
    return {
        "type": "system",
        "subtype": "compact_boundary",
        "sessionId": SESSION,
        "timestamp": moment(at),
        "compactMetadata": {"trigger": "auto", "preTokens": tokens},
    }


def test_calls_that_leave_no_usage(tmp_path: Path) -> None:
    """The least of each: 340 + 11 tokens a title, 94 + 100 a recap, a cent a search, the context.

    A compaction of 2.1.200 reads its context: 100,000 tokens of Opus 4.6 at $0.50 per million are
    $0.05; its instruction of 6,361 characters is 1,060 tokens at least, at $5 $0.0053. A title of
    Haiku 4.5: 340 x $1 + 11 x $5 per million are $0.000395. A recap: 94 x $5 + 100 x $25 per million
    are $0.00297. Three searches cost three cents.
    """
    title = {"type": "ai-title", "aiTitle": "Tests", "sessionId": SESSION}
    recap = prompt("", at=5) | {"type": "system", "subtype": "away_summary"}
    write(
        session_file(tmp_path),
        title,
        reply(),
        title,
        result(1, searchCount=2, query="x"),
        result(2, query="y", results=[], durationSeconds=1),
        result(3, bytes=1, code=200, codeText="OK", result="page", url="http://x"),
        boundary(100_000, 4),
        recap,
    )
    every = found(tmp_path)
    named = {name: (each.count, each.tokens, each.cost_usd) for name, each in every.items()}

    assert named == {
        "unrecorded_title": (1, 351, Decimal("0.000395")),
        "unrecorded_web_search": (3, None, Decimal("0.03")),
        "unrecorded_web_fetch": (1, None, None),
        "unrecorded_compaction": (1, 101_060, Decimal("0.0553")),
        "unrecorded_recap": (1, 194, Decimal("0.00297")),
    }
    assert (f"{SESSION}.jsonl", 7) == at(every["unrecorded_compaction"])


def test_an_early_compaction_wrote_its_context_anew(tmp_path: Path) -> None:
    """Up to 2.1.41: 100,000 tokens written at $6.25 per million; none where a helper holds the call."""
    write(session_file(tmp_path), reply(version="2.1.41"), boundary(100_000, 4))
    assert found(tmp_path)["unrecorded_compaction"].cost_usd == Decimal("0.625")

    write(agent_file(tmp_path, "acompact-1"), sidechain(reply("msg_2", "req_2"), "acompact-1"))
    assert "unrecorded_compaction" not in found(tmp_path)


def test_gaps_in_time(tmp_path: Path) -> None:
    """14 days between two days of usage are none; 15 are one of 14 days."""
    day = 86_400
    write(
        session_file(tmp_path),
        reply(),
        reply("msg_2", "req_2", at=14 * day),
        reply("msg_3", "req_3", at=29 * day),
    )
    finding = found(tmp_path, now=datetime(2026, 4, 2, tzinfo=UTC))["gap_in_time"]

    assert ("2026-03-17 to 2026-03-30", 14) == (finding.subject, finding.count)
    assert (f"{SESSION}.jsonl", 2) == at(finding)


def test_odd_numbers_and_times(tmp_path: Path) -> None:
    """A count as a text; no time; a time of tomorrow's tomorrow; one before the first release."""
    odd = reply("msg_1", "req_1", counts={"input_tokens": "10", "output_tokens": 5})
    times = [None, "2026-03-04T00:00:01Z", "2025-02-23T23:59:59Z"]
    lines = [
        reply(f"msg_t{at}", f"req_t{at}") | {"timestamp": time} for at, time in enumerate(times)
    ]
    write(session_file(tmp_path), odd, *lines)
    every = found(tmp_path)

    assert ("usage.input_tokens", 15) == (every["odd_value"].subject, every["odd_value"].tokens)
    for line, name in enumerate(("undated", "future_time", "time_too_early"), 2):
        assert (1, 110, (f"{SESSION}.jsonl", line)) == (
            every[name].count,
            every[name].tokens,
            at(every[name]),
        )


def test_cache_writes_without_a_split(tmp_path: Path) -> None:
    """1,000 tokens at $6.25 per million, which may have been $10."""
    write(session_file(tmp_path), reply(counts=usage(5, write=1000)))
    finding = found(tmp_path)["cache_split_assumed"]

    assert (1, 1000, Decimal("0.00625")) == (finding.count, finding.tokens, finding.cost_usd)


@pytest.mark.parametrize(
    ("prompt_tokens", "is_near"),
    [(98_999, False), (99_000, True), (101_000, True), (101_001, False)],
)
def test_prompts_near_the_threshold_of_a_price(
    tmp_path: Path,
    prompt_tokens: int,
    is_near: bool,  # noqa: FBT001
) -> None:
    """Haiku 5.5 costs more above 100,000 tokens; near is one per cent."""
    line = reply(
        model="claude-haiku-5-5", counts={"input_tokens": prompt_tokens, "output_tokens": 1}
    ) | {"timestamp": "2026-11-01T09:00:00.000Z"}
    write(session_file(tmp_path), line)

    assert is_near == ("near_long_prompt" in found(tmp_path, now=datetime(2026, 11, 2, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("now", "severity"),
    [
        (datetime(2027, 1, 14, tzinfo=UTC), Severity.INFO),
        (datetime(2027, 1, 15, tzinfo=UTC), Severity.WARNING),
    ],
)
def test_a_stale_card(tmp_path: Path, now: datetime, severity: Severity) -> None:
    """Usage of the day after the check; a warning from the 46th day on."""
    line = reply(model="claude-opus-5") | {"timestamp": "2026-12-01T09:00:00.000Z"}
    write(session_file(tmp_path), line)

    assert severity is found(tmp_path, now=now)["stale_rate_card"].severity


def test_a_doubtful_price(tmp_path: Path) -> None:
    """A speed that nobody knows is priced as standard, and said."""
    write(session_file(tmp_path), reply(counts=usage(5, speed="warp")))

    assert "speed_unknown" == found(tmp_path)["doubtful_price"].subject


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_every_story_keeps_the_ledgers_identity(story: Story) -> None:
    """Usage lines are responses and copies: no story breaks it, and each message stands alone."""
    every = findings(evidence(story.root))

    assert "identity_broken" not in {each.name for each in every}
    assert all(each.count > 0 and each.message and each.action for each in every)
    assert sorted(each.severity.rank for each in every) == [each.severity.rank for each in every]


def test_refused_attempts_are_named() -> None:
    """The story of a fallback: one attempt of 48,004 tokens, worked out in its README."""
    story = next(each for each in STORIES if each.name == "refused-fallback")
    finding = found(story.root)["refused_attempt"]

    assert (1, 48_004, Decimal("0.42812")) == (finding.count, finding.tokens, finding.cost_usd)


def test_a_filter_chooses_what_findings_are_about(tmp_path: Path) -> None:
    """Responses of other models are no finding; rejects are, for nobody knows whose they are."""
    write(session_file(tmp_path), reply(model="glm-9"), b"broken", reply("msg_2", "req_2"))
    whole = evidence(tmp_path)
    chosen = select(whole.ledger.frame, Selection(models=("claude-*",))).collect()
    names = {each.name for each in findings(Evidence(whole.facts, whole.ledger, chosen, NOW))}

    assert {"reject"} == names


# what is known from the store alone


def kept(root: Path, folder: Path) -> Evidence:
    """The evidence of a run with the store in *folder*."""
    store = Store.open(folder)
    plan = store.plan(transcripts.discover([root]))
    facts = store.take(plan, transcripts.read(plan.extents), now_ns=time_ns())
    ledger = ledgers.build(facts, rates_in_force())
    return Evidence(facts, ledger, select(ledger.frame, Selection()).collect(), NOW)


def kept_finding(name: str, root: Path, folder: Path) -> Finding:
    (finding,) = (each for each in findings(kept(root, folder)) if each.name == name)
    return finding


def test_a_transcript_that_is_gone(tmp_path: Path) -> None:
    """At stake is what it held: 10 tokens in and 100 out, at $5 and $25 per million of Opus 4.6."""
    root, folder = tmp_path / "claude", tmp_path / "store"
    write(session_file(root), reply())
    gone = write(session_file(root, OTHER), reply("msg_2", "req_2"))
    kept(root, folder)
    gone.unlink()
    finding = kept_finding("transcript_gone", root, folder)

    assert (Severity.INFO, 1) == (finding.severity, finding.count)
    assert (110, Decimal("0.00255")) == (finding.tokens, finding.cost_usd)
    assert (gone.name, None) == at(finding)


def test_a_transcript_that_was_rewritten(tmp_path: Path) -> None:
    """At stake is what only its former content held."""
    root, folder = tmp_path / "claude", tmp_path / "store"
    path = write(session_file(root), reply(), reply("msg_2", "req_2", 60, at=5))
    kept(root, folder)
    write(path, reply(), reply("msg_3", "req_3", at=9))
    finding = kept_finding("transcript_rewritten", root, folder)

    assert (Severity.WARNING, 1) == (finding.severity, finding.count)
    assert (70, Decimal("0.00155")) == (finding.tokens, finding.cost_usd)
    assert (path.name, None) == at(finding)


def test_a_response_that_was_read_in_two_goes_is_no_copy_of_itself(tmp_path: Path) -> None:
    """Of three lines two were read before the third was written; then the file was cut to one."""
    root, folder = tmp_path / "claude", tmp_path / "store"
    lines = response(Regime.D)
    path = write(session_file(root), *lines[:2])
    kept(root, folder)
    write(path, *lines)
    assert set() == {each.name for each in findings(kept(root, folder))}

    write(path, prompt(), *lines)
    assert {"transcript_rewritten"} == {each.name for each in findings(kept(root, folder))}
