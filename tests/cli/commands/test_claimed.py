"""What Claude Code says itself of sessions, in the reports that show it: figures of the story `claimed`."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from stories import FIXTURES
from transcripts_builder import MODEL, OTHER, SESSION, cost_state, reply, session_file, write

from tokenaudit import load
from tokenaudit.__main__ import main
from tokenaudit.config.directories import data_folder
from tokenaudit.limits import FOLDER, FORMAT

ROOT = FIXTURES / "claimed" / "claude"
FORK = "55555555-0000-4000-8000-000000000005"
REFUND = "77777777-0000-4000-8000-000000000007"
SILENT = "aaaaaaaa-0000-4000-8000-000000000008"


def written(capfd: pytest.CaptureFixture[str], *argv: str, root: Path = ROOT) -> str:
    assert 0 == main([*argv, "--root", str(root)])
    return capfd.readouterr().out


def document(capfd: pytest.CaptureFixture[str], *argv: str, root: Path = ROOT) -> Any:
    return json.loads(written(capfd, *argv, "--json", root=root))


def sum_of(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


def test_rows_of_claims_add_up_to_their_totals(capfd: pytest.CaptureFixture[str]) -> None:
    """And each claim is what is counted and the differences by cause (R11)."""
    found = document(capfd, "sessions", "--claimed")
    rows, totals = found["rows"], found["totals"]
    causes = ("unrecorded_usd", "lost_output_usd", "price_difference_usd", "scope_difference_usd")
    parts = ("counted_usd", *causes, "unexplained_usd")

    for name in ("claimed_usd", *parts):
        assert Decimal(totals[name]) == sum_of(rows, name), name
    for row in [*rows, totals]:
        assert Decimal(row["claimed_usd"]) == sum(Decimal(row[name]) for name in parts)
    expected = {"claimed_usd": "9.07395", "counted_usd": "0.031075", "unexplained_usd": "8.99745"}
    assert expected == {name: totals[name] for name in expected}


def test_a_limit_leaves_totals_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """The largest unexplained comes first; other orders on request."""
    first = document(capfd, "sessions", "--claimed", "-n", "1")
    assert [REFUND] == [row["session_id"] for row in first["rows"]]
    assert "9.07395" == first["totals"]["claimed_usd"]
    lost = document(capfd, "sessions", "--claimed", "-n", "1", "--sort", "lost_output")
    assert ["0.014925"] == [row["lost_output_usd"] for row in lost["rows"]]


def test_a_session_shows_its_bridge(capfd: pytest.CaptureFixture[str]) -> None:
    """From the claim without the parent's total; nothing for a session of which nothing is said."""
    sections = document(capfd, "session", FORK)["sections"]
    steps = {row["step"]: row["cost_usd"] for row in sections["claimed"]["rows"]}
    assert {"theirs": "0.00255", "unexplained": "0.00", "ours": "0.00255"} == steps

    assert "claimed" not in document(capfd, "session", SILENT)["sections"]


def test_check_tells_the_unexplained_with_its_sum_and_place(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Over 1 % of a claim: one session, $8.99745, at its line."""
    rows = document(capfd, "check", "--fail-on", "never")["rows"]
    (found,) = [row for row in rows if row["finding"].startswith("claim_")]

    assert ("claim_unexplained", "warning", 1) == (
        found["finding"],
        found["severity"],
        found["count"],
    )
    assert ("8.99745", 3) == (found["cost_usd"], found["line"])
    assert found["path"].endswith(f"{REFUND}.jsonl")


def test_reconcile_alone_bridges_all_that_has_a_claim(capfd: pytest.CaptureFixture[str]) -> None:
    """One bridge over all, which sums; and every claim below it."""
    found = document(capfd, "reconcile")
    steps = found["rows"]
    claims = found["sections"]["claimed"]

    assert ("9.07395", "0.031075") == (steps[0]["cost_usd"], steps[-1]["cost_usd"])
    assert Decimal(steps[-1]["cost_usd"]) == sum_of(steps[:-1], "cost_usd")
    by_cause = {cause: Decimal(0) for cause in {step["cause"] for step in steps}}
    for step in steps:
        by_cause[step["cause"]] += Decimal(step["cost_usd"])
    assert by_cause["lost output"] == Decimal("-0.014925")
    assert by_cause["unrecorded calls"] == Decimal("-0.0305")
    assert 8 == len(claims["rows"])


def test_more_here_does_not_make_up_for_less_there(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Of one session $1 is stated, $0.99745 more than is counted; of another $0.00105, $0.0015 less."""
    write(session_file(tmp_path), reply(), cost_state({MODEL: (10, 100, 0, 0, 1.0)}))
    other = {**reply("msg_2", "req_2", at=60), "sessionId": OTHER}
    state = cost_state({MODEL: (10, 100, 0, 0, 0.00105)}, session=OTHER)
    write(session_file(tmp_path, OTHER), other, state)
    steps = {row["step"]: row for row in document(capfd, "reconcile", root=tmp_path)["rows"]}

    assert "0.0015" == steps["unexplained, where theirs is less"]["cost_usd"]
    assert "-0.99745" == steps["unexplained"]["cost_usd"]
    assert "0.0051" == steps["ours"]["cost_usd"]


def test_the_overview_says_what_claude_code_says(capfd: pytest.CaptureFixture[str]) -> None:
    """Of the five sessions that a total is about as a whole: those of a fork and of a killed process are not.

    Theirs 8,100 + 33,050 + 15,050 + 9,000,000 + 2,550 millionths, ours 8,100 + 2,550 + 125 + 2,550 + 2,550.
    """
    found = document(capfd)
    top = found["sections"]["sessions"]

    assert "0.01015" == {row["session_id"]: row["stated_usd"] for row in top["rows"]}[FORK]
    text = " ".join(written(capfd).split())
    assert "says itself of 5 sessions: $9.06; ours of the same: $0.02" in text


def test_what_a_status_line_recorded_is_a_claim_too(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its cost alone; of sessions that are not here nothing is shown."""
    write(session_file(tmp_path), reply())
    folder = data_folder() / FOLDER
    folder.mkdir(parents=True)
    for name, session in (("a", SESSION), ("b", FORK)):
        evidence = {"format": FORMAT, "session_id": session, "recorded_at": 1, "model": None}
        evidence |= {"version": "2.1.300", "total_cost_usd": "0.5", "rate_limits": {}}
        (folder / f"{name}.json").write_text(json.dumps(evidence))
    (row,) = document(capfd, "sessions", "--claimed", root=tmp_path)["rows"]

    told = ("source", "claimed_usd", "counted_usd", "claimed_tokens")
    assert ("status-line evidence", "0.50", "0.00255", None) == tuple(row[name] for name in told)


def test_without_any_claim_it_says_why(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Older versions state nothing: the report is empty, and reconcile has nothing to do."""
    write(session_file(tmp_path), reply())
    assert "says of none of these sessions" in written(
        capfd, "sessions", "--claimed", root=tmp_path
    )

    assert 2 == main(["reconcile", "--root", str(tmp_path)])
    assert "nothing to reconcile with" in capfd.readouterr().err


def test_the_python_api_tells_the_same() -> None:
    """By session, in the whole, and in what is written as JSON."""
    ledger = load(ROOT)
    claims = ledger.claims()
    refund = ledger.session(REFUND).claimed

    assert refund == claims[REFUND]
    assert refund is not None
    assert (Decimal(9), Decimal("8.99745")) == (refund.stated_usd, refund.unexplained_usd)
    assert ledger.session(SILENT).claimed is None
    sessions = {each["session_id"]: each for each in ledger.to_report()["sessions"]}
    assert "8.99745" == sessions[REFUND]["claimed"]["unexplained_usd"]
    assert sessions[SILENT]["claimed"] is None
    assert ledger.totals().cost_usd == Decimal("0.036175")
