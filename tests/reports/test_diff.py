"""Two periods of real ledgers against each other: exact sums, filters, sessions behind."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from audited import Audited, request, rows
from stories import FIXTURES, STORIES
from test_real_data import FOLDERS, REAL
from transcripts_builder import OTHER, reply, session_file, usage, write

from tokenaudit.reports.diff import ComparedPeriod, diff
from tokenaudit.reports.report import Report

FEBRUARY = ComparedPeriod("2026-02", date(2026, 2, 1), date(2026, 2, 28))
MARCH = ComparedPeriod("2026-03", date(2026, 3, 1), date(2026, 3, 31))


def cost(frame: pl.DataFrame) -> Decimal:
    total = frame["cost_usd"].sum()
    return total if isinstance(total, Decimal) else Decimal(0)


def assert_exact(report: Report, difference: Decimal) -> None:
    """Effects, models and sessions sum to the difference, each by rows and by columns."""
    assert sum((row["change_usd"] for row in rows(report, "effects")), Decimal(0)) == difference
    effects = {f"{row['effect']}_usd": row["change_usd"] for row in rows(report, "effects")}
    for name in ("models", "sessions"):
        section = next(each for each in report.sections if each.name == name)
        assert section.totals is not None
        assert section.totals["change_usd"] == difference
        for effect, total in effects.items():
            assert section.totals[effect] == total == section.rows[effect].sum()
        assert section.rows["change_usd"].sum() == difference


@pytest.mark.parametrize("root", [story.root for story in STORIES], ids=str)
def test_every_story_against_each_of_its_days(root: Path) -> None:
    """The first day against all the others, and back."""
    ledger = Audited.of(root).ledger
    days = ledger.frame["time"].dt.date().drop_nulls().unique().sort().to_list()
    if not days:
        return
    one = ComparedPeriod("first", days[0], days[0])
    others = ComparedPeriod("rest", days[0], days[-1])
    costs = [
        cost(ledger.frame.filter(pl.col("time").dt.date().is_between(each.since, each.until)))
        for each in (one, others)
    ]
    assert_exact(diff(ledger, request(limit=99), one, others), costs[1] - costs[0])
    assert_exact(diff(ledger, request(limit=99), others, one), costs[0] - costs[1])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real histories are not here")
def test_months_of_real_histories() -> None:
    ledger = Audited.of(*(REAL / folder for folder in FOLDERS)).ledger
    month = pl.col("time").dt.strftime("%Y-%m")
    january = ComparedPeriod("2026-01", date(2026, 1, 1), date(2026, 1, 31))
    first, second = (cost(ledger.frame.filter(month == each.name)) for each in (january, FEBRUARY))

    assert_exact(diff(ledger, request(limit=999), january, FEBRUARY), second - first)


def test_the_session_that_moved_most_is_named(tmp_path: Path) -> None:
    """Prompts of 10 tokens in February; in March one session has prompts of 100,010."""
    long = usage(100, input_tokens=100_010)
    write(
        session_file(tmp_path),
        reply(timestamp="2026-02-03T09:00:00.000Z"),
        reply("msg_2", "req_2", timestamp="2026-03-20T09:00:00.000Z"),
    )
    late = reply("msg_3", "req_3", counts=long, timestamp="2026-03-20T10:00:00.000Z")
    write(session_file(tmp_path, OTHER), {**late, "sessionId": OTHER})
    report = diff(Audited.of(tmp_path).ledger, request(), FEBRUARY, MARCH)
    context = next(row for row in rows(report, "effects") if row["effect"] == "context_size")

    assert report.title == "Why 2026-03 cost $0.50 more than 2026-02"
    assert (context["session_id"], context["change_usd"]) == (OTHER, Decimal("0.5"))
    assert [row["prompt_per_response"] for row in rows(report, "periods")] == [10, 50_010]


def test_filters_hold_for_both_periods_and_unpriced_has_no_part(tmp_path: Path) -> None:
    write(
        session_file(tmp_path),
        reply(model="glm-9", timestamp="2026-02-03T09:00:00.000Z"),
        reply("msg_2", "req_2", timestamp="2026-03-03T09:00:00.000Z"),
        reply("msg_3", "req_3", model="claude-haiku-4-5", timestamp="2026-03-03T09:00:00.000Z"),
    )
    report = diff(
        Audited.of(tmp_path).ledger, request(models=("claude-opus-*", "glm*")), FEBRUARY, MARCH
    )

    assert report.sections[0].totals == {"change_usd": Decimal("0.00255")}
    assert [row["unpriced_responses"] for row in rows(report, "periods")] == [1, 0]
    assert any("glm-9" in note for note in report.notes)


def test_the_end_of_a_tier_is_price_alone() -> None:
    """`price-dates`: the same tokens cost $0.7075 on 12 March and $0.385 on the 13th (its README)."""
    days = [date(2026, 3, 12), date(2026, 3, 13)]
    one, other = (ComparedPeriod(str(day), day, day) for day in days)
    ledger = Audited.of(FIXTURES / "price-dates" / "claude").ledger
    effects = {
        row["effect"]: row["change_usd"]
        for row in rows(diff(ledger, request(), one, other), "effects")
    }

    assert effects.pop("price") == Decimal("-0.3225")
    assert set(effects.values()) == {Decimal(0)}


def test_equal_periods_are_said_to_be_equal(tmp_path: Path) -> None:
    write(session_file(tmp_path), reply())
    report = diff(Audited.of(tmp_path).ledger, request(), MARCH, MARCH)

    assert report.title == "2026-03 cost the same as 2026-03"
    assert report.meta.selected.responses == 1
