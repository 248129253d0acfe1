"""What of budgets is used, and what a period comes to: dollars worked out by hand."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from transcripts_builder import FORK, OTHER, facts_of, reply, session_file, write

from tokenaudit import transcripts
from tokenaudit.__main__ import main
from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.budgets import parse
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.budgets import forecast, standing
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import Selection

HOUR, DAY = 3600, 86400
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
"""A Monday. Times are seconds after 09:00 of that day; each response below costs $1 per 200,000 input."""


def spent(number: int, dollars: float, at: float, **more: object) -> dict[str, object]:
    """Return a response of Opus 4.5 that cost that many dollars: $5 per million of input."""
    counts = {"input_tokens": round(dollars * 200_000), "output_tokens": 0}
    named = {"model": "claude-opus-4-5", "counts": counts, **more}
    return reply(f"msg_{number}", f"req_{number}", at=at, **named)  # type: ignore[arg-type]


def loaded(root: Path) -> Ledger:
    found = transcripts.discover([root])
    return ledgers.build(facts_of(found), shipped_card())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """$1 today at 09:00, $2 at 14:30; $4 the day before, $8 two days before: in February."""
    write(session_file(tmp_path), spent(1, 1, 0), spent(2, 4, -DAY))
    write(
        session_file(tmp_path, FORK, "-work-other"),
        spent(3, 2, 5.5 * HOUR, sessionId=FORK, cwd="/work/other"),
        spent(4, 8, -2 * DAY, sessionId=FORK, cwd="/work/other"),
        spent(5, 64, 9 * HOUR, sessionId=FORK, cwd="/work/other"),  # later than now
    )
    return tmp_path


@pytest.mark.parametrize(
    ("budget", "used", "percent", "state"),
    [
        ("6/day", "3", 50.0, "within"),
        ("3/day", "3", 100.0, "near"),
        ("2.5/day", "3", 120.0, "over"),
        ("30/week", "3", 10.0, "within"),
        ("8/month", "7", 87.5, "near"),  # the day before is the first of March
        ("4/block", "2", 50.0, "within"),  # 09:00 to 14:00, then from 14:00 on
        ("10/session", "10", 100.0, "near"),  # the session of 14:30
        ("other=4/day", "2", 50.0, "within"),
        ("app=10/month", "5", 50.0, "within"),
    ],
)
def test_what_is_used_of_a_budget(
    root: Path, budget: str, used: str, percent: float, state: str
) -> None:
    """Of the period in which now lies; what lies later is not used yet."""
    request = Request("overview", "0", NOW, budgets=(parse(budget),))
    section = standing(loaded(root), request)
    assert section is not None
    row = section.rows.row(0, named=True)

    assert (row["cost_usd"], row["used_percent"], row["state"]) == (Decimal(used), percent, state)
    assert row["left_usd"] == row["amount_usd"] - row["cost_usd"]


def test_filters_do_not_move_budgets(root: Path) -> None:
    """A budget is of all that was used, whatever the report is about; without one there is none."""
    request = Request("overview", "0", NOW, Selection(projects=("nothing",)))
    ledger = loaded(root)

    assert standing(ledger, request) is None
    narrow = Request("o", "0", NOW, Selection(models=("none",)), budgets=(parse("6/day"),))
    section = standing(ledger, narrow)
    assert section is not None
    assert section.rows["cost_usd"].to_list() == [Decimal(3)]


def test_a_short_history_has_no_range(root: Path) -> None:
    """$3 in 15 of 24 hours are $4.80 a day; $7 in 39 of 744 hours are $133.538461... a month."""
    rows = forecast(loaded(root), Request("forecast", "0", NOW)).sections[0].rows

    assert rows["cost_usd"].to_list() == [Decimal(3), Decimal(7)]
    assert rows["projected_cost_usd"].to_list() == [Decimal("4.8"), Decimal("133.538461538461")]
    assert rows["low_cost_usd"].to_list() == [None, None]


def test_the_range_is_that_of_past_days(tmp_path: Path) -> None:
    """Eight days before: $1 in the morning of each, and in the evening $n on the n-th, n to 8.

    Rests of days in order: 1 to 8; quartiles at places 1 and 5: $2 and $6. Whole days: $3 and $7.
    Today $3 so far: between $5 and $9, and $4.80 at this pace: $4.80 to $9. The month: $3 and the
    day before ($2 = 1 + 1): $5; 29 whole days are left: 5 + 2 + 29 x 3 = $94, 5 + 6 + 29 x 7 = $214.
    """
    lines = [spent(0, 3, 0)]
    for back in range(1, 9):
        lines += [spent(10 + back, 1, -back * DAY), spent(20 + back, back, 9 * HOUR - back * DAY)]
    write(session_file(tmp_path, OTHER), *lines)
    rows = forecast(loaded(tmp_path), Request("forecast", "0", NOW)).sections[0].rows

    assert rows["low_cost_usd"].to_list() == [Decimal("4.8"), Decimal(94)]
    assert rows["high_cost_usd"].to_list() == [Decimal(9), Decimal(214)]


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["daily", "--fail-over", "79"], 0, ""),
        (["daily", "--fail-over", "$78.99"], 1, "tokenaudit: 79 USD is over 78.99 USD"),
        (["blocks", "--fail-over", "1"], 1, "is over 1 USD"),
        (["context", "--fail-over", "1"], 1, "is over 1 USD"),
        (["daily", "--model", "none", "--fail-over", "0"], 0, ""),
        (["daily", "--fail-over", "much"], 2, "--fail-over: not an amount of US dollars: much"),
        (["--budget", "1/year"], 2, "not a period of a budget: year"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_gates(
    root: Path, capfd: pytest.CaptureFixture[str], argv: list[str], code: int, said: str
) -> None:
    """The report is written, and the exit code says that it went over."""
    assert main([*argv, "--root", str(root)]) == code
    assert said in capfd.readouterr().err


def test_settings_hold_budgets(
    root: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the file or the variable; a wrong one names its place."""
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("TOKENAUDIT_CONFIG", str(path))
    path.write_text("[budget]\nday = 25\n[budget.project]\napp = '10/month'\n")
    assert main(["--root", str(root)]) == 0
    out = capfd.readouterr().out
    assert "Budgets" in out
    assert "10/month" in out
    path.write_text("[budget]\nyear = 25\n")
    assert main(["--root", str(root)]) == 2
    assert f"{path}: budget: not a period of a budget: year" in capfd.readouterr().err
    path.write_text("")
    monkeypatch.setenv("TOKENAUDIT_BUDGET", "5/day,app=7/week")
    assert main(["--root", str(root)]) == 0
    assert "7/week" in capfd.readouterr().out
