"""Bridges: each step from files and transcripts made by hand; the steps of every bridge sum exactly."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import evidence
from hypothesis import given
from hypothesis import strategies as st
from test_real_data import FOLDERS, REAL, expected
from transcripts_builder import (
    FORK,
    SESSION,
    Line,
    Regime,
    agent_file,
    agent_result,
    progress,
    prompt,
    reply,
    response,
    session_file,
    sidechain,
    usage,
    write,
)

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import Bridge, Cause, Figure, Step, StepBasis, bridged
from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, ClaimKind, ClaimLine, read_claims
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.reports.reconcile import chooser
from tokenaudit.reports.selection import Selection, select

OPUS, HAIKU = "claude-opus-4-6", "claude-haiku-4-5"


def total(bridge: Bridge) -> Figure:
    figure = bridge.theirs
    for step in bridge.steps:
        figure = figure + step.change
    return figure


def stated(
    tmp_path: Path,
    models: dict[str, tuple[int, int, int, int, str]],
    *,
    searches: int = 0,
    **more: Any,
) -> Claim:
    """The claim of a result with these counts (input, output, read, write) and costs."""
    names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    by_model = {
        model: {**dict(zip(names, counts, strict=True)), "costUSD": float(cost)}
        for model, (*counts, cost) in models.items()
    }
    if searches:
        by_model[HAIKU]["webSearchRequests"] = searches
    cost = sum(Decimal(each[-1]) for each in models.values())
    document = {
        "type": "result",
        "session_id": SESSION,
        "total_cost_usd": float(cost),
        "modelUsage": by_model,
        **more,
    }
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document))
    (claim,), _ = read_claims(path)
    return claim


def reconciled_with(claim: Claim, held: Evidence) -> Bridge:
    return reconciled(claim, held, chooser(held.ledger))


def bridge(tmp_path: Path, claim: Claim, *lines: Line) -> Bridge:
    write(session_file(tmp_path / "claude"), *lines)
    found = reconciled_with(claim, evidence(tmp_path / "claude"))
    assert total(found) == found.ours
    return found


def changes(found: Bridge) -> dict[str, tuple[ClaimCounts | None, Decimal | None]]:
    return {step.name: (step.change.counts, step.change.cost_usd) for step in found.steps}


NOTHING = (ClaimCounts(), Decimal(0))
# 10 input and 100 output tokens of Opus 4.6: 10 x $5 + 100 x $25 per million
ONE = (10, 100, 0, 0, "0.00255")


def test_the_same_total_needs_no_step(tmp_path: Path) -> None:
    """But for the unexplained, which is nothing."""
    found = bridge(tmp_path, stated(tmp_path, {OPUS: ONE}), reply())

    assert {"unexplained": NOTHING} == changes(found)


def test_lost_output(tmp_path: Path) -> None:
    """A placeholder of 3 where 600 were billed: 597 x $25 per million are $0.014925."""
    claim = stated(tmp_path, {OPUS: (10, 600, 0, 0, "0.01505")})
    found = bridge(tmp_path, claim, *response(Regime.B, output=600))

    assert changes(found) == {
        f"output that no line tells ({OPUS})": (ClaimCounts(output=-597), Decimal("-0.014925")),
        "unexplained": NOTHING,
    }
    assert [StepBasis.INFERRED, StepBasis.UNEXPLAINED] == [step.basis for step in found.steps]


def test_more_output_where_all_is_final_stays_unexplained(tmp_path: Path) -> None:
    """Nothing is made up."""
    claim = stated(tmp_path, {OPUS: (10, 600, 0, 0, "0.01505")})
    found = bridge(tmp_path, claim, reply())

    assert {"unexplained": (ClaimCounts(output=-500), Decimal("-0.0125"))} == changes(found)


def test_prompt_suggestions(tmp_path: Path) -> None:
    """One of 295: 295 x $5 + 16 x $25 + 40,000 x $0.5 per million are $0.021875."""
    claim = stated(tmp_path, {OPUS: (305, 116, 80_000, 0, "0.044425")})
    found = bridge(tmp_path, claim, reply(counts=usage(100, read=40_000), version="2.1.114"))

    assert changes(found) == {
        f"prompt suggestions ({OPUS})": (ClaimCounts(-295, -16, -40_000), Decimal("-0.021875")),
        "unexplained": NOTHING,
    }


def test_titles_and_searches_of_the_small_model(tmp_path: Path) -> None:
    """A title costs what they say of the model; each search is a cent of that."""
    claim = stated(tmp_path, {OPUS: ONE, HAIKU: (400, 20, 0, 0, "0.0305")}, searches=3)
    found = bridge(tmp_path, claim, reply())

    assert changes(found) == {
        f"session titles ({HAIKU})": (ClaimCounts(-400, -20), Decimal("-0.0005")),
        "web searches": (ClaimCounts(), Decimal("-0.03")),
        "unexplained": NOTHING,
    }
    pages = stated(tmp_path, {OPUS: ONE, HAIKU: (9000, 700, 0, 0, "0.0125")})
    assert f"titles, web pages, searches, command checks ({HAIKU})" in changes(
        bridge(tmp_path, pages, reply())
    )


def boundary() -> Line:
    return {"type": "system", "subtype": "compact_boundary", "sessionId": SESSION}


def test_compaction_and_recaps(tmp_path: Path) -> None:
    """Only where the transcripts mark them: 2 in, the context written anew; 72 in, 100 out."""
    compaction = stated(tmp_path, {OPUS: (12, 3100, 0, 150_000, "1")})
    found = bridge(tmp_path, compaction, reply(version="2.1.41"), boundary())
    assert changes(found)[f"compactions ({OPUS})"] == (
        ClaimCounts(-2, -3000, 0, -150_000),
        # 2 x $5 + 3,000 x $25 + 150,000 x $6.25 per million
        Decimal("-1.01251"),
    )
    assert ["unexplained"] == list(changes(bridge(tmp_path, compaction, reply())))

    recap = stated(tmp_path, {OPUS: (82, 200, 60_000, 0, "0.03541")})
    away = prompt("", at=5) | {"type": "system", "subtype": "away_summary"}
    said = reply(counts=usage(100, read=30_000), version="2.1.140")
    found = bridge(tmp_path, recap, said, away)
    # 72 x $5 + 100 x $25 + 30,000 x $0.5 per million
    assert changes(found)[f"recaps ({OPUS})"] == (
        ClaimCounts(-72, -100, -30_000),
        Decimal("-0.01786"),
    )
    assert f"recaps ({OPUS})" not in changes(bridge(tmp_path, recap, said))


def test_a_model_that_transcripts_do_not_hold(tmp_path: Path) -> None:
    """All of it, at the cost that they state."""
    claim = stated(tmp_path, {OPUS: ONE, "claude-sonnet-4-6": (500, 50, 0, 1000, "0.007")})
    found = bridge(tmp_path, claim, reply())

    assert changes(found)["calls of claude-sonnet-4-6"] == (
        ClaimCounts(-500, -50, 0, -1000),
        Decimal("-0.007"),
    )


def hours(tokens: int) -> Line:
    return usage(
        100,
        write=tokens,
        cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": tokens},
    )


@pytest.mark.parametrize(("version", "is_cheap"), [("2.1.159", True), ("2.1.176", False)])
def test_hour_writes_at_the_price_of_five_minutes(
    tmp_path: Path,
    version: str,
    is_cheap: bool,  # noqa: FBT001
) -> None:
    """1,000 tokens at $6.25 instead of $10 per million: $0.00375."""
    cost = "0.0088" if is_cheap else "0.01255"
    claim = stated(tmp_path, {OPUS: (10, 100, 0, 1000, cost)})
    found = bridge(tmp_path, claim, reply(counts=hours(1000), version=version))

    expected = {"1-hour cache writes": (ClaimCounts(), Decimal("0.00375"))} if is_cheap else {}
    assert {**expected, "unexplained": NOTHING} == changes(found)


def test_models_that_claude_code_mispriced(tmp_path: Path) -> None:
    """Sonnet 4.5 at $5/$25 for $3/$15: 10 x $2 + 100 x $10 per million are $0.00102 less."""
    model = "claude-sonnet-4-5-20250929"
    claim = stated(tmp_path, {model: ONE})
    found = bridge(tmp_path, claim, reply(model=model, version="2.1.38"))
    assert changes(found) == {
        "models that Claude Code mispriced": (ClaimCounts(), Decimal("-0.00102")),
        "unexplained": NOTHING,
    }

    for version in ("2.1.32", "2.1.69"):
        found = bridge(tmp_path, claim, reply(model=model, version=version))
        assert {"unexplained": (ClaimCounts(), Decimal("-0.00102"))} == changes(found)

    opus = stated(tmp_path, {OPUS: (10, 100, 0, 0, "0.00765")})
    found = bridge(tmp_path, opus, reply(version="2.1.29"))
    assert changes(found)["models that Claude Code mispriced"] == (
        ClaimCounts(),
        Decimal("-0.0051"),
    )


def test_sessions_that_are_not_here(tmp_path: Path) -> None:
    """Named in a note; nothing of ours is in the scope."""
    claim = stated(tmp_path, {OPUS: ONE}, session_id=FORK)
    found = bridge(tmp_path, claim, reply())

    assert ClaimCounts() == found.ours.counts
    assert "1 of its 1 sessions have no usage" in found.notes[0]


def test_a_status_line_tells_a_cost_alone(tmp_path: Path) -> None:
    """No tokens are compared, and none are shown as zero."""
    path = tmp_path / "status.jsonl"
    lines = [
        {"session_id": SESSION, "version": "2.1.200", "cost": {"total_cost_usd": cost}}
        for cost in (0.001, 0.00265)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (claim,), _ = read_claims(path)
    found = bridge(tmp_path, claim, reply())

    assert (None, Decimal("0.00265")) == (found.theirs.counts, found.theirs.cost_usd)
    assert {"unexplained": (None, Decimal("-0.0001"))} == changes(found)


def test_what_the_status_line_kept_tells_the_same(tmp_path: Path) -> None:
    """Of sessions of long ago the last line of each counts; one without a total says nothing."""
    kept = {"format": 1, "model": OPUS, "version": "2.1.250", "rate_limits": {}}
    lines: list[Line] = [
        {**kept, "session_id": SESSION, "recorded_at": 9, "total_cost_usd": "0.00265"},
        {**kept, "session_id": SESSION, "recorded_at": 5, "total_cost_usd": "0.001"},
        {**kept, "session_id": FORK, "recorded_at": 7, "total_cost_usd": "0.5"},
        {**kept, "session_id": "limits alone", "recorded_at": 7, "total_cost_usd": None},
    ]
    path = tmp_path / "evidence" / "settled.jsonl"
    path.parent.mkdir()
    path.write_text("\n" + "\n\n".join(map(json.dumps, lines)) + "\n")
    one = path.with_name("0123456789abcdef.json")
    one.write_text(json.dumps(lines[0]))
    path.with_name("limits.json").write_text(json.dumps(lines[3]))
    (first, second), (other,) = read_claims(path.parent)

    assert str(one) == first.source
    assert [{SESSION}, {SESSION, FORK}] == [set(each.sessions) for each in (first, second)]
    assert [Decimal("0.00265"), Decimal("0.50265")] == [first.cost_usd, second.cost_usd]
    assert "as no total that is known" in other
    found = bridge(tmp_path, first, reply())
    assert {"unexplained": (None, Decimal("-0.0001"))} == changes(found)


def test_days_of_utc_and_of_the_user(tmp_path: Path) -> None:
    """The Console's second of March holds both replies; ours in Tokyo only the first one."""
    write(session_file(tmp_path), reply(), reply("msg_2", "req_2", at=7 * 3600))
    path = tmp_path / "console.csv"
    path.write_text(
        "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
        "2026-03-02,claude-opus-4-6,20,0,0,0,200\n"
    )
    (claim,), _ = read_claims(path)
    whole = evidence(tmp_path)
    zone = "Asia/Tokyo"
    rows = select(whole.ledger.frame, Selection(timezone=zone)).collect()
    found = reconciled_with(claim, Evidence(whole.facts, whole.ledger, rows, whole.now, zone))

    assert {
        "time zone": (ClaimCounts(-10, -100), None),
        "unexplained": (ClaimCounts(), None),
    } == changes(found)
    assert total(found) == found.ours


def event(request_id: str, output: int, cost: str) -> Line:
    attributes = {
        "event.name": "api_request",
        "request_id": request_id,
        "model": OPUS,
        "session.id": SESSION,
        "input_tokens": "10",
        "output_tokens": str(output),
        "cost_usd": cost,
    }
    return {
        "attributes": [
            {"key": key, "value": {"stringValue": value}} for key, value in attributes.items()
        ]
    }


def test_responses_without_an_event(tmp_path: Path) -> None:
    """Telemetry was on for the first request only; an event that came twice counts once."""
    path = tmp_path / "logs.json"
    records = [event("req_1", 100, "0.00255"), event("req_1", 100, "0.00255")]
    path.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}))
    (claim,), _ = read_claims(path)
    found = bridge(tmp_path, claim, reply(), reply("msg_2", "req_2", at=1))

    assert changes(found) == {
        "responses without an event": (ClaimCounts(10, 100), Decimal("0.00255")),
        "unexplained": NOTHING,
    }


def ccusage(
    tmp_path: Path, counts: ClaimCounts, cost: str, first: str = "2026-03-02", last: str = ""
) -> Claim:
    figures = {
        "inputTokens": counts.input,
        "outputTokens": counts.output,
        "cacheReadTokens": counts.cache_read,
        "cacheCreationTokens": counts.cache_write,
        "totalCost": float(cost),
    }
    nothing = {**dict.fromkeys(figures, 0), "date": last or first}
    document = {"daily": [{"date": first, **figures}, nothing], "totals": figures}
    path = tmp_path / "ccusage.json"
    path.write_text(json.dumps(document))
    (claim,), _ = read_claims(path)
    return claim


def test_ccusage_that_merges_as_we_do(tmp_path: Path) -> None:
    """Three lines of one response; the same price."""
    claim = ccusage(tmp_path, ClaimCounts(10, 600), "0.01505")

    assert {"unexplained": NOTHING} == changes(
        bridge(tmp_path, claim, *response(Regime.D, output=600))
    )


def test_ccusage_that_takes_the_first_line(tmp_path: Path) -> None:
    """3 tokens instead of 600."""
    claim = ccusage(tmp_path, ClaimCounts(10, 3), "0.000125")

    assert changes(bridge(tmp_path, claim, *response(Regime.D, output=600))) == {
        "final counts instead of first lines": (ClaimCounts(output=597), Decimal("0.014925")),
        "unexplained": NOTHING,
    }


def test_ccusage_that_adds_up_every_line(tmp_path: Path) -> None:
    """3 + 3 + 600, and the input three times: 20 x $5 + 6 x $25 per million too much."""
    claim = ccusage(tmp_path, ClaimCounts(30, 606), "0.0153")

    assert changes(bridge(tmp_path, claim, *response(Regime.D, output=600))) == {
        "copies merged": (ClaimCounts(-20, -6), Decimal("-0.00025")),
        "unexplained": NOTHING,
    }


def test_ccusage_with_other_prices(tmp_path: Path) -> None:
    """1-hour writes as 5-minute ones, and a tenth of a cent that is only theirs."""
    claim = ccusage(tmp_path, ClaimCounts(10, 100, 0, 1000), "0.0078")
    found = bridge(tmp_path, claim, reply(counts=hours(1000)))

    assert changes(found) == {
        "1-hour cache writes": (ClaimCounts(), Decimal("0.00375")),
        "prices": (ClaimCounts(), Decimal("0.001")),
        "unexplained": NOTHING,
    }


def row(period: str, *models: tuple[str, int, int, int, int, float]) -> Line:
    """A row as ccusage 20 writes it: sums, and one part for each model."""
    names = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheCreationTokens")
    parts: list[Line] = [
        {"modelName": name, **dict(zip(names, counts, strict=True)), "cost": cost}
        for name, *counts, cost in models
    ]
    sums = {name: sum(part[name] for part in parts) for name in names}
    return {
        "agent": "all",
        "metadata": {"agents": ["claude"]},
        "modelBreakdowns": parts,
        "modelsUsed": sorted(part["modelName"] for part in parts),
        "period": period,
        **sums,
        "totalCost": sum(part["cost"] for part in parts),
        "totalTokens": sum(sums.values()),
    }


def report(tmp_path: Path, name: str, *rows: Line) -> Claim:
    """The claim of a report of ccusage with these rows; blocks have no totals."""
    document: Line = {name: list(rows)}
    if name != "blocks":
        document["totals"] = {"totalCost": sum(each["totalCost"] for each in rows)}
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(document))
    (claim,), _ = read_claims(path)
    return claim


ALSO = sidechain(reply("msg_2", "req_2", 7), "a1b2c3d")
"""A response of a subagent: 10 in and 7 out, $0.000225."""


@pytest.mark.parametrize(
    ("name", "period"),
    [
        ("daily", "2026-03-02"),
        ("weekly", "2026-03-02"),
        ("monthly", "2026-03"),
        ("session", SESSION),
    ],
)
def test_ccusage_that_reads_progress_lines_as_we_do(tmp_path: Path, name: str, period: str) -> None:
    """Ours is one of the ways of counting: what both count is no step, and nothing is measured."""
    claim = report(tmp_path, name, row(period, (OPUS, 20, 107, 0, 0, 0.002775)))
    found = bridge(tmp_path, claim, reply(), progress(ALSO))

    assert {"unexplained": NOTHING} == changes(found)


def test_ccusage_that_leaves_progress_lines_out(tmp_path: Path) -> None:
    """Its sessions and blocks do: an agent known by progress lines alone is missing there."""
    block = {
        "startTime": "2026-03-02T09:00:00.000Z",
        "endTime": "2026-03-02T14:00:00.000Z",
        "actualEndTime": "2026-03-02T09:00:00.000Z",
        "isGap": False,
        "costUSD": 0.00255,
        "tokenCounts": {"inputTokens": 10, "outputTokens": 100, "cacheReadInputTokens": 0},
    }
    gap = {"startTime": "2020-01-01T00:00:00Z", "isGap": True, "costUSD": 0, "tokenCounts": {}}
    later = reply("msg_3", "req_3", at=6 * 3600)
    sessions = row(SESSION, (OPUS, 20, 200, 0, 0, 0.0051))
    for claim in (report(tmp_path, "blocks", gap, block), report(tmp_path, "session", sessions)):
        found = bridge(tmp_path, claim, reply(), progress(ALSO), later)

        assert changes(found) == {
            "agents without a transcript": (ClaimCounts(10, 7), Decimal("0.000225")),
            "unexplained": NOTHING,
        }
        assert found.steps[0].basis is StepBasis.MEASURED


def test_ccusage_without_repairs(tmp_path: Path) -> None:
    """Its parent was told 800 of the 7 tokens that the agent's last line holds: 793 x $25 per million."""
    write(
        agent_file(tmp_path / "claude"), ALSO | {"message": ALSO["message"] | {"stop_reason": None}}
    )
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 20, 107, 0, 0, 0.002775)))
    found = bridge(tmp_path, claim, reply(), agent_result(usage(800), at=5))

    assert changes(found) == {
        "repaired output": (ClaimCounts(output=793), Decimal("0.019825")),
        "unexplained": NOTHING,
    }


def test_ccusage_without_iterations(tmp_path: Path) -> None:
    """An advisor of 50 in and 20 out beside the response: 50 x $5 + 20 x $25 per million."""
    iterations = [
        {"type": "message", "input_tokens": 10, "output_tokens": 100},
        {"type": "advisor_message", "model": OPUS, "input_tokens": 50, "output_tokens": 20},
    ]
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, *ONE[:4], 0.00255)))
    found = bridge(tmp_path, claim, reply(counts=usage(100, iterations=iterations)))

    assert changes(found) == {
        "advisors and compactions": (ClaimCounts(50, 20), Decimal("0.00075")),
        "unexplained": NOTHING,
    }


def test_ccusage_that_counts_copies_in_each_transcript(tmp_path: Path) -> None:
    """A fork repeats one of two responses."""
    line = reply()
    write(session_file(tmp_path / "claude", FORK), {**line, "sessionId": FORK})
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 30, 207, 0, 0, 0.005325)))
    found = bridge(tmp_path, claim, line, reply("msg_2", "req_2", 7))

    assert changes(found) == {
        "copies in other transcripts merged": (ClaimCounts(-10, -100), Decimal("-0.00255")),
        "unexplained": NOTHING,
    }


def test_ccusage_that_takes_the_largest_line(tmp_path: Path) -> None:
    """A line of 600 came before the last one, which is finished and says 100."""
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 10, 600, 0, 0, 0.01505)))
    found = bridge(tmp_path, claim, reply(output=600, stop=None), reply(at=1))

    assert changes(found) == {
        "finished lines, joined copies": (ClaimCounts(output=-500), Decimal("-0.0125")),
        "unexplained": NOTHING,
    }


def test_ccusage_of_other_agents_and_sessions(tmp_path: Path) -> None:
    """A model of another program goes first; a session that it does not list is one of ours."""
    other = row("other", ("gpt-6", 1000, 50, 0, 0, 0.25))
    write(session_file(tmp_path / "claude", FORK), reply("msg_9", "req_9", sessionId=FORK))
    claim = report(tmp_path, "session", row(SESSION, (OPUS, *ONE[:4], 0.00255)), other)
    found = bridge(tmp_path, claim, reply())

    assert [(step.name, step.basis, step.change) for step in found.steps] == [
        ("usage of gpt-6", StepBasis.STATED, Figure(ClaimCounts(-1000, -50), Decimal("-0.25"))),
        (
            "sessions that theirs does not list",
            StepBasis.MEASURED,
            Figure(ClaimCounts(10, 100), Decimal("0.00255")),
        ),
        ("unexplained", StepBasis.UNEXPLAINED, Figure(*NOTHING)),
    ]


@pytest.mark.parametrize("regime", [Regime.D, Regime.E])
def test_ccusage_without_the_filters_of_today_and_in_days_of_utc(
    tmp_path: Path, regime: Regime
) -> None:
    """Of 2 March in UTC; in Tokyo its evening is of the third. Today's filter leaves Haiku out.

    The three lines of each response are no copies that theirs counts: filters choose lines too.
    """
    lines = [
        *response(regime, output=100),
        *response(regime, "msg_2", "req_2", output=100, at=11 * 3600),
        *response(regime, "msg_3", "req_3", output=100, at=9, model=HAIKU),
    ]
    write(session_file(tmp_path / "claude"), *lines)
    both = (HAIKU, 10, 100, 0, 0, 0.00051)
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 20, 200, 0, 0, 0.0051), both))
    whole = evidence(tmp_path / "claude")

    def told(zone: str, *models: str) -> dict[str, tuple[ClaimCounts | None, Decimal | None]]:
        chosen = select(whole.ledger.frame, Selection(timezone=zone, models=models)).collect()
        held = Evidence(whole.facts, whole.ledger, chosen, whole.now, zone)
        found = reconciled_with(claim, held)
        assert total(found) == found.ours
        return changes(found)

    zone = {"time zone": (ClaimCounts(-10, -100), Decimal("-0.00255"))}
    hidden = {"filters of today": (ClaimCounts(-10, -100), Decimal("-0.00051"))}
    assert told("UTC") == {"unexplained": NOTHING}
    assert told("Asia/Tokyo") == {**zone, "unexplained": NOTHING}
    assert told("UTC", OPUS) == {**hidden, "unexplained": NOTHING}
    assert told("Asia/Tokyo", OPUS) == {**zone, **hidden, "unexplained": NOTHING}

    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 20, 200, 0, 0, 0.0051)))
    assert told("UTC", OPUS) == {"unexplained": NOTHING}


def test_stats_cache_without_the_filters_of_today(tmp_path: Path) -> None:
    """Two lines of one response and a subagent, of which only the subagent was asked for."""
    path = tmp_path / "stats-cache.json"
    counts = {"inputTokens": 20, "outputTokens": 200, "costUSD": 0}
    document = {"version": 2, "lastComputedDate": "2026-03-02", "dailyActivity": []}
    path.write_text(json.dumps({**document, "modelUsage": {OPUS: counts}}))
    (claim,), _ = read_claims(path)
    write(session_file(tmp_path / "claude"), reply(), reply(at=1))
    write(agent_file(tmp_path / "claude"), ALSO)
    whole = evidence(tmp_path / "claude")
    zone = "Asia/Tokyo"
    rows = select(whole.ledger.frame, Selection(timezone=zone, agents=("a1b2c3d",))).collect()
    found = reconciled_with(claim, Evidence(whole.facts, whole.ledger, rows, whole.now, zone))

    assert changes(found) == {
        "copies merged": (ClaimCounts(-10, -100), None),
        "subagents": (ClaimCounts(10, 7), None),
        "filters of today": (ClaimCounts(-10, -100), None),
        "unexplained": (ClaimCounts(), None),
    }


def test_ccusage_of_which_no_way_of_counting_is_known(tmp_path: Path) -> None:
    """Less than every way: nothing is measured, and no step is made up that another must undo."""
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 9, 50, 0, 0, 0.001295)))
    found = bridge(tmp_path, claim, reply(), progress(ALSO))

    assert changes(found) == {
        # the ledger without progress lines is nearer in both classes, and so is inferred
        "agents without a transcript": (ClaimCounts(10, 7), Decimal("0.000225")),
        "unexplained": (ClaimCounts(1, 50), Decimal("0.001255")),
    }
    assert found.steps[0].basis is StepBasis.INFERRED

    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 21, 90, 0, 0, 0.002355)))
    found = bridge(tmp_path, claim, reply(), progress(ALSO))
    # without progress lines output would be nearer, but input farther: no step
    assert {"unexplained": (ClaimCounts(-1, 17), Decimal("0.00042"))} == changes(found)


def test_prices_of_ccusage_by_model(tmp_path: Path) -> None:
    """Each with its own: too new for it, unknown here, another price; the speed is no model.

    Opus 4.6: 10 x $5 + 100 x $25 per million. Fast, six times that: $0.0153. Haiku 4.5: $0.00051.
    """
    fast = usage(100, speed="fast")
    claim = report(
        tmp_path,
        "daily",
        row(
            "2026-03-02",
            (OPUS, 10, 100, 0, 0, 0.00255),
            (f"{OPUS}-fast", 10, 100, 0, 0, 0.0153),
            ("claude-sonnet-4-6", 10, 100, 0, 0, 0.0),
            ("glm-9", 10, 100, 0, 0, 0.125),
            (HAIKU, 10, 100, 0, 0, 0.00061),
        ),
    )
    found = bridge(
        tmp_path,
        claim,
        reply(),
        reply("msg_2", "req_2", at=1, counts=fast),
        reply("msg_3", "req_3", at=2, model="claude-sonnet-4-6"),
        reply("msg_4", "req_4", at=3, model="glm-9"),
        reply("msg_5", "req_5", at=4, model=HAIKU),
    )

    assert changes(found) == {
        # 10 x $3 + 100 x $15 per million
        "unpriced there (claude-sonnet-4-6)": (ClaimCounts(), Decimal("0.00153")),
        "unpriced here (glm-9)": (ClaimCounts(), Decimal("-0.125")),
        f"prices ({HAIKU})": (ClaimCounts(), Decimal("-0.0001")),
        "unexplained": NOTHING,
    }


def test_costs_that_old_transcripts_recorded(tmp_path: Path) -> None:
    """ccusage takes them where they stand."""
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 10, 100, 0, 0, 0.5)))
    found = bridge(tmp_path, claim, reply(costUSD=0.5))

    assert changes(found) == {
        "recorded costs": (ClaimCounts(), Decimal("-0.49745")),
        "unexplained": NOTHING,
    }


def test_sums_of_binary_floats_are_a_step_of_their_own(tmp_path: Path) -> None:
    """0.1 + 0.2 is not 0.3: below a ten-thousandth of a cent nothing is unexplained."""
    claim = report(tmp_path, "daily", row("2026-03-02", (OPUS, 10, 100, 0, 0, 0.0025500004)))
    found = bridge(tmp_path, claim, reply())

    assert {"rounding": (ClaimCounts(), Decimal("-4E-10")), "unexplained": NOTHING} == changes(
        found
    )


def test_an_empty_report_of_ccusage_is_nothing_rather_than_unknown(tmp_path: Path) -> None:
    """It found no usage, and says so."""
    found = bridge(tmp_path, report(tmp_path, "daily"), reply())

    assert {"unexplained": (ClaimCounts(10, 100), Decimal("0.00255"))} == changes(found)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real histories are not here")
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_same_figures_of_real_histories_need_no_step(tmp_path: Path, folder: str) -> None:
    """Totals of an independent program, told as ccusage tells them."""
    wanted = expected()[folder]
    tokens = wanted["tokens"]
    writes = tokens["cache_write_5m"] + tokens["cache_write_1h"]
    counts = ClaimCounts(tokens["input"], tokens["output"], tokens["cache_read"], writes)
    claim = ccusage(tmp_path, counts, wanted["cost_usd"], min(wanted["days"]), max(wanted["days"]))
    found = reconciled_with(claim, evidence(REAL / folder))

    assert {"rounding", "unexplained"} >= changes(found).keys()
    assert (ClaimCounts(), True) == (
        found.unexplained.counts,
        abs(found.unexplained.cost_usd or Decimal(0)) < Decimal("1e-6"),
    )


def test_stats_cache_counts_every_line_of_main_files(tmp_path: Path) -> None:
    """Three lines of 100, of which one is a response; the subagent is not in it; nor is the next day."""
    path = tmp_path / "stats-cache.json"
    counts = {"inputTokens": 30, "outputTokens": 300, "costUSD": 0}
    path.write_text(
        json.dumps(
            {
                "version": 2,
                "lastComputedDate": "2026-03-02",
                "dailyActivity": [],
                "modelUsage": {OPUS: counts},
            }
        )
    )
    (claim,), _ = read_claims(path)
    write(agent_file(tmp_path / "claude"), sidechain(reply("msg_2", "req_2", 7), "a1b2c3d"))
    later = reply("msg_3", "req_3", at=86_400)
    found = bridge(tmp_path, claim, reply(), reply(at=1), reply(at=2), later)

    assert changes(found) == {
        "copies merged": (ClaimCounts(-20, -200), None),
        "subagents": (ClaimCounts(10, 7), None),
        "unexplained": (ClaimCounts(), None),
    }


def test_an_export_of_ours(tmp_path: Path) -> None:
    """What came since is unexplained here; `verify` tells it apart."""
    claim = Claim(
        ClaimKind.EXPORT,
        "x",
        (ClaimLine(None, ClaimCounts(10, 100), None),),
        cost_usd=Decimal("0.00255"),
    )
    found = bridge(tmp_path, claim, reply(), reply("msg_2", "req_2", at=1))

    assert {"unexplained": (ClaimCounts(10, 100), Decimal("0.00255"))} == changes(found)


# the property

whole = st.integers(-(10**12), 10**12)
figures = st.builds(
    Figure,
    st.none() | st.builds(ClaimCounts, whole, whole, whole, whole),
    st.none() | st.decimals(-(10**9), 10**9, places=12),
)
steps = st.builds(
    Step,
    st.text(max_size=3),
    st.just(StepBasis.MEASURED),
    figures,
    st.just(""),
    st.sampled_from([cause for cause in Cause if cause is not Cause.UNEXPLAINED]),
)


@given(figures, st.lists(steps, max_size=6), figures)
def test_the_steps_of_every_bridge_sum_exactly(
    theirs: Figure, given_steps: list[Step], ours: Figure
) -> None:
    """Whatever the figures: tokens as whole numbers, dollars to the twelfth place, or neither."""
    claim = Claim(ClaimKind.RESULT, "x", ())
    found = bridged(claim, theirs, given_steps, ours)

    assert total(found) == found.ours
    assert sum((found.of(cause) for cause in Cause), found.theirs) == found.ours
    assert found.of(Cause.UNEXPLAINED) == found.unexplained
    assert (found.theirs.counts is None) == (theirs.counts is None or ours.counts is None)
    assert (found.ours.cost_usd is None) == (theirs.cost_usd is None or ours.cost_usd is None)
    if found.ours.counts is not None:
        assert (theirs.counts, ours.counts) == (found.theirs.counts, found.ours.counts)
