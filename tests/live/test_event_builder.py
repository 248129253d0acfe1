"""What is told, given lists of changes and a clock of our own."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from test_equality import NOW as NOW_NS
from test_equality import started
from transcripts_builder import (
    FORK,
    OTHER,
    SESSION,
    Line,
    encoded,
    reply,
    session_file,
    usage,
    write,
)

from tokenaudit.live import events as ev
from tokenaudit.live.event_builder import EventBuilder, tokens_by_minute
from tokenaudit.live.incremental_ledger import IncrementalLedger
from tokenaudit.live.sources import Sources
from tokenaudit.model.budgets import parse
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import Selection

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def builder(
    *budgets: str,
    near_limit: float = 80,
    selection: Selection = Selection(),  # noqa: B008 - frozen
) -> EventBuilder:
    request = Request("watch", "0", NOON, selection, budgets=tuple(map(parse, budgets)))
    return EventBuilder(request, near_limit=near_limit, watching="events")


def more(
    path: Path, sources: Sources, live: IncrementalLedger, told: EventBuilder, *lines: Line
) -> list[ev.Event]:
    """The events of *lines* appended to *path*."""
    with path.open("ab") as file:
        file.write(b"".join(encoded(line) + b"\n" for line in lines))
    step = sources.look([str(path)], now_ns=NOW_NS)
    assert step is not None
    return told.events(live, live.apply(step), step, NOON)


def haiku(number: int, prompt: int) -> Line:
    counts = usage(5, read=prompt - 10)
    name = f"msg_{number}"
    return reply(name, f"req_{number}", at=number, model="claude-haiku-4-5", counts=counts)


def test_a_full_context_is_told_once_until_it_was_less_full(tmp_path: Path) -> None:
    """170,000 of 200,000 tokens, 180,000, then 20,000, then 165,000: two crossings."""
    path = write(session_file(tmp_path), haiku(1, 1000))
    (sources, live), told = started(tmp_path), builder()
    crossings = []
    for number, prompt in enumerate((170_000, 180_000, 20_000, 165_000), 2):
        found = more(path, sources, live, told, haiku(number, prompt))
        crossings.append(sum(isinstance(event, ev.NearLimit) for event in found))

    assert [1, 0, 0, 1] == crossings


def test_a_budget_is_told_near_and_over_and_again_on_another_day(tmp_path: Path) -> None:
    """Each response costs 25 cents and 50 microdollars: of 30 cents one is near, two are over."""
    path = write(session_file(tmp_path), reply(output=10_000))
    (sources, live), told = started(tmp_path), builder("0.30/day")

    def states(now: datetime) -> list[str]:
        found = told.budget_events(live, now)
        return [event.budget.state for event in found if isinstance(event, ev.BudgetEvent)]

    assert ["near"] == states(NOON)
    assert [] == states(NOON)
    more(path, sources, live, told, reply("msg_2", "req_2", 10_000, at=2))
    assert ["over"] == states(NOON)
    assert [] == states(NOON + timedelta(days=1))
    assert ["over"] == states(NOON)


def test_a_clock_that_goes_backwards_changes_no_total(tmp_path: Path) -> None:
    """A day earlier nothing was used; the whole is the same."""
    write(session_file(tmp_path), reply())
    (sources, live), told = started(tmp_path), builder("1/day")
    now, before = (
        told.snapshot(live, moment, transcripts=sources.transcripts)
        for moment in (NOON, NOON - timedelta(days=1))
    )

    assert now.totals == before.totals
    assert (1, 0) == (now.today.responses, before.today.responses)
    assert now.block is not None
    assert before.block is None
    assert [Decimal("0.00255"), Decimal(0)] == [each.budgets[0].cost_usd for each in (now, before)]


def test_tokens_by_minute_end_with_this_minute(tmp_path: Path) -> None:
    """110 tokens at nine, 20 two minutes later; a minute after that nothing yet."""
    later = reply("msg_2", "req_2", 10, at=120)
    write(session_file(tmp_path), reply(), later)
    _, live = started(tmp_path)
    request = Request("watch", "0", NOON)
    now = NINE + timedelta(minutes=3, seconds=1)

    assert [0, 110, 0, 20, 0] == tokens_by_minute(live, request, now, minutes=5)
    assert [0, 0] == tokens_by_minute(live, request, NINE - timedelta(minutes=9), minutes=2)


BERLIN = Selection(timezone="Europe/Berlin", since=date(2026, 3, 3))
"""From 23:00 of the second of March on, as UTC has it."""
BEFORE, AFTER = "2026-03-02T22:59:00.000Z", "2026-03-02T23:01:00.000Z"


def dated(number: int, timestamp: str, session: str = SESSION) -> Line:
    return reply(f"msg_{number}", f"req_{number}", 100, timestamp=timestamp, sessionId=session)


def compacted(time: str, uuid: str) -> Line:
    told = {"trigger": "auto", "preTokens": 9000, "postTokens": 500}
    line = {"type": "system", "subtype": "compact_boundary", "compactMetadata": told}
    return {**line, "timestamp": time, "uuid": uuid, "sessionId": SESSION}


def test_a_snapshot_since_a_day_has_what_was_used_from_then_on(tmp_path: Path) -> None:
    """Of three responses of 110 tokens one; a budget of a month is of all three, $0.00255 each."""
    write(session_file(tmp_path), dated(1, BEFORE), dated(2, AFTER))
    write(session_file(tmp_path, FORK), dated(3, BEFORE, FORK))
    (sources, live), told = started(tmp_path), builder("1/month", selection=BERLIN)
    now = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    shot = told.snapshot(live, now, transcripts=sources.transcripts)

    assert {"since": "2026-03-03"} == shot.filters
    assert (date(2026, 3, 3), 2) == (shot.day, shot.transcripts)
    assert shot.block is not None
    for figures in (shot.totals, shot.today, shot.block.usage):
        assert (1, 110) == (figures.responses, figures.total_tokens)
    (agent,) = shot.agents
    assert (SESSION, 1, 110) == (
        agent.session_id,
        agent.usage.responses,
        agent.usage.total_tokens,
    )
    assert Decimal("0.00765") == shot.budgets[0].cost_usd


def test_what_was_before_the_day_asked_for_is_not_told(tmp_path: Path) -> None:
    """Copies of old sessions appear, and old lines in a running one: only what is new is an event."""
    path = write(session_file(tmp_path), dated(1, BEFORE))
    (sources, live), told = started(tmp_path), builder(selection=BERLIN)
    old = write(session_file(tmp_path, FORK), dated(2, BEFORE, FORK))
    found = more(old, sources, live, told, dated(5, BEFORE, FORK))
    new = write(session_file(tmp_path, OTHER), dated(3, BEFORE, OTHER), dated(4, AFTER, OTHER))
    found += more(new, sources, live, told, dated(6, AFTER, OTHER))
    found += more(path, sources, live, told, compacted(BEFORE, "u1"), compacted(AFTER, "u2"))
    found += more(path, sources, live, told, dated(7, AFTER), dated(8, BEFORE))

    used = [event for event in found if isinstance(event, ev.Used)]
    assert ["msg_4", "msg_6", "msg_7"] == [event.response_id for event in used]
    assert [220, 220, 110] == [event.agent.total_tokens for event in used]
    starts = [event.session_id for event in found if isinstance(event, ev.AgentStarted)]
    assert [OTHER] == starts
    times = [event.time for event in found if isinstance(event, ev.CompactionEvent)]
    assert [datetime(2026, 3, 2, 23, 1, tzinfo=UTC)] == times
