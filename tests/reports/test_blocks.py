"""Usage by block: cut over the whole history, with gaps, pace and official limits."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace
from transcripts_builder import FORK, SESSION, facts_of, reply, session_file, write

from tokenaudit import transcripts
from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import Ledger
from tokenaudit.limits import Limit
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.blocks import active_pace, blocks, with_blocks
from tokenaudit.reports.report import Report
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import Selection

HOUR = 3600
# Times are seconds after 2026-03-02 09:00. Opus 4.6: $5 and $25 per million of input and output;
# each response: 10 in, 100 out = 0.00005 + 0.0025 = $0.00255, 110 tokens.


def loaded(root: Path) -> Ledger:
    found = transcripts.discover([root])
    return ledgers.build(facts_of(found), shipped_card())


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two sessions: 09:30, 13:59 | 14:00 | (gap) next day 08:10 and 08:40."""
    day = 24 * HOUR
    write(
        session_file(tmp_path),
        reply("msg_1", "req_1", at=HOUR / 2),
        reply("msg_2", "req_2", at=5 * HOUR - 60),
        reply("msg_4", "req_4", at=day - HOUR + 600),
    )
    write(
        session_file(tmp_path, FORK, "-work-other"),
        reply("msg_3", "req_3", at=5 * HOUR, sessionId=FORK, cwd="/work/other"),
        reply("msg_5", "req_5", at=day - HOUR + 2400, sessionId=FORK, cwd="/work/other"),
    )
    return loaded(tmp_path)


def request(now: datetime, **more: object) -> Request:
    return Request("blocks", "0", now, **more)  # type: ignore[arg-type]


NOW = datetime(2026, 3, 3, 9, 10, tzinfo=UTC)
"""An hour after the first response of the last block, which is open until 13:00."""


def rows(report: Report) -> list[tuple[object, ...]]:
    return report.sections[0].rows.select("block", "block_end", "state", "responses").rows()


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def test_blocks_are_counted_with_the_gaps_between(ledger: Ledger) -> None:
    """09:30 opens 09:00; 13:59 is in it, 14:00 is not; 18 silent hours are a gap from 19:00."""
    report = blocks(ledger, request(NOW))

    assert rows(report) == [
        (at(2, 9), at(2, 14), "closed", 2),
        (at(2, 14), at(2, 19), "closed", 1),
        (at(2, 19), at(3, 8), "gap", 0),
        (at(3, 8), at(3, 13), "active", 2),
    ]
    totals = report.sections[0].totals
    assert totals is not None
    assert (totals["responses"], totals["cost_usd"]) == (5, Decimal("0.01275"))
    assert report.sections[0].rows["cost_usd"].sum() == totals["cost_usd"]


def test_a_filter_moves_no_block(ledger: Ledger) -> None:
    """What is left of a block when a project is chosen still belongs to the account's block."""
    selection = Selection(projects=("other",))
    report = blocks(ledger, request(NOW, selection=selection))

    assert [row[0] for row in rows(report) if row[2] != "gap"] == [at(2, 14), at(3, 8)]


def test_the_pace_of_the_open_block(ledger: Ledger) -> None:
    """220 tokens and $0.0051 in the hour since 08:10; 3 h 50 min are left until 13:00."""
    pace = active_pace(with_blocks(ledger.frame), NOW)

    assert pace is not None
    assert (pace.elapsed_s, pace.remaining_s) == (HOUR, 3 * HOUR + 50 * 60)
    assert pace.tokens_per_minute == 3  # 220 / 60 = 3.67, whole tokens
    assert pace.projected_tokens == 1063  # 220 + 220 x 3.8333 = 1063.3
    assert pace.cost_usd_per_hour == Decimal("0.0051")
    assert pace.projected_cost_usd == Decimal("0.02465")  # 0.0051 + 0.0051 x 23 / 6


def test_a_block_is_over_at_its_end(ledger: Ledger) -> None:
    """At 13:00 the block of 08:00 is not open any more."""
    frame = with_blocks(ledger.frame)

    assert active_pace(frame, at(3, 13)) is None
    assert active_pace(frame, at(3, 13) - timedelta(seconds=1)) is not None
    assert "No block is open now." in blocks(ledger, request(at(3, 13))).notes


def test_what_lies_in_the_future_is_no_pace(ledger: Ledger) -> None:
    """A clock that went back does not make a block's pace of responses to come."""
    pace = active_pace(with_blocks(ledger.frame), at(3, 8) + timedelta(minutes=20))

    assert pace is not None
    assert pace.usage.responses == 1


def test_only_the_open_block_or_the_recent_ones(ledger: Ledger) -> None:
    """--active and --recent cut rows; the blocks stay what they are."""
    active = blocks(ledger, request(NOW), only_active=True)
    later = blocks(ledger, request(NOW + timedelta(days=2, hours=9)), only_recent=True)
    none = blocks(ledger, request(NOW + timedelta(days=9)), only_active=True)

    assert [row[2] for row in rows(active)] == ["active"]
    assert [row[0] for row in rows(later)] == [at(2, 14), at(2, 19), at(3, 8)]
    assert none.sections[0].rows.is_empty()


def test_orders_and_limits(ledger: Ledger) -> None:
    """The latest first with its gaps where they belong; sorted rows have no gaps between."""
    falling = blocks(ledger, request(NOW, shape=Layout(descending=True)))
    limited = blocks(ledger, request(NOW, shape=Layout(limit=1)))

    assert [row[2] for row in rows(falling)] == ["active", "gap", "closed", "closed"]
    assert [row[3] for row in rows(limited)] == [2]
    assert limited.sections[0].totals is not None
    assert limited.sections[0].totals["responses"] == 5


def test_official_limits_stand_apart(ledger: Ledger) -> None:
    """They are told with their reset times, and one that has passed says so; no total has them."""
    told = int(NOW.timestamp()) - 60
    limits = [
        Limit("five_hour", 23.5, told + 3600, told, SESSION),
        Limit("seven_day", 41.0, told - 3600, told - 7200, SESSION),
    ]
    report = blocks(ledger, request(NOW), limits)
    section = report.sections[-1]

    assert section.rows.select("limit", "used_percent", "state").rows() == [
        ("five_hour", 23.5, "in force"),
        ("seven_day", 41.0, "reset since"),
    ]
    assert section.totals is None
    assert "not known" in blocks(ledger, request(NOW)).notes[0]


def test_unpriced_and_undated_responses_are_kept(tmp_path: Path) -> None:
    """What has no time has a row without a block, and what has no price has no pace in dollars."""
    write(
        session_file(tmp_path),
        reply("msg_1", "req_1", at=0, model="glm-9"),
        reply("msg_2", "req_2", timestamp="never", model="glm-9"),
    )
    ledger = loaded(tmp_path)
    report = blocks(ledger, request(datetime(2026, 3, 2, 10, tzinfo=UTC)))

    assert rows(report) == [(at(2, 9), at(2, 14), "active", 1), (None, None, None, 1)]
    assert report.sections[1].rows["cost_usd_per_hour"].to_list() == [None]
    assert report.sections[1].rows["projected_tokens"].to_list() == [550]


def test_a_history_without_times_has_no_blocks(tmp_path: Path) -> None:
    """Nothing is dated, nothing fails."""
    write(session_file(tmp_path), reply(timestamp="never"))

    frame = with_blocks(loaded(tmp_path).frame)

    assert frame["block"].to_list() == [None]
    assert active_pace(frame, NOW) is None


def test_days_filter_after_blocks_are_cut(ledger: Ledger) -> None:
    """Usage of one day, in the blocks of the account."""
    selection = Selection(since=date(2026, 3, 3))
    report = blocks(ledger, replace(request(NOW), selection=selection))

    assert [row[2] for row in rows(report)] == ["active"]
    assert report.sections[0].rows["total_tokens"].to_list() == [220]


def test_the_demo_is_cut_alike_by_hours_alone() -> None:
    """Against the plainest way to say it: response after response, by its exact time."""
    found = transcripts.discover([transcripts.DEMO])
    ledger = ledgers.build(facts_of(found), shipped_card())
    expected, start = [], datetime(1, 1, 1, tzinfo=UTC)
    for time in ledger.frame["time"]:
        if time >= start + timedelta(hours=5):
            start = time.replace(minute=0, second=0, microsecond=0)
        expected.append(start)

    assert with_blocks(ledger.frame)["block"].to_list() == expected
    assert pl.Series(expected).n_unique() == 8
