"""The fields of the line: what they say, how they are written, and what they stand in."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from statuslines import gauge, shown, told
from transcripts_builder import OTHER, reply, session_file, write

from tokenaudit.model.units import format_cost
from tokenaudit.statusline import fields as figures
from tokenaudit.statusline import format as amounts
from tokenaudit.statusline import settings_cache as basis

NOON = int(datetime(2030, 3, 18, 12, tzinfo=UTC).timestamp())
"""Of a Monday."""


HOUR = 3600


def official(five: Any = None, seven: Any = None, *, used: float = 42) -> dict[str, Any]:
    found = {"five_hour": five, "seven_day": seven}
    return {
        name: {"used_percentage": used, "resets_at": at}
        for name, at in found.items()
        if at is not None
    }


@pytest.mark.parametrize(
    ("told", "offsets", "shown"),
    [
        (official(NOON + 2 * HOUR), [[0, 0]], "5h 42 % → 14:00"),
        (official(NOON + 2 * HOUR), [[0, 5 * HOUR + 1800]], "5h 42 % → 19:30"),
        (official(NOON + 2 * HOUR - 1), [[0, 0]], "5h 42 % → 14:00"),
        (official(NOON + 4 * HOUR), [[0, 9 * HOUR]], "5h 42 % → Tue 01:00"),
        (official(NOON + 12 * HOUR - 20), [[0, 0]], "5h 42 % → Tue 00:00"),
        (official(None, NOON + 7 * 24 * HOUR), [[0, 0]], "7d 42 % → Mon 12:00"),
        (
            official(None, NOON + 24 * HOUR),
            [[0, HOUR], [NOON + 10 * HOUR, 2 * HOUR]],
            "7d 42 % → Tue 14:00",
        ),
        (official(NOON - HOUR), [[0, 0]], "5h reset since 11:00"),
        (official(NOON), [[0, 0]], "5h reset since 12:00"),
        (official(None, NOON - 24 * HOUR), [[0, 0]], "7d reset since Sun 12:00"),
        (official(NOON + HOUR), [], "5h 42 %"),
        (official(NOON - HOUR), [], "5h reset since"),
        (official(NOON * 1000), [[0, 0]], "5h 42 %"),
        (official(12), [[HOUR, 0]], "5h reset since"),
        (official("14:00"), [[0, 0]], "5h 42 %"),
        (official(float("nan")), [[0, 0]], "5h 42 %"),
        ({"five_hour": [], "seven_day": {"resets_at": NOON}}, [[0, 0]], ""),
        ([1], [[0, 0]], ""),
    ],
)
def test_official_limits_say_when_they_are_reset(
    told: Any, offsets: list[list[int]], shown: str
) -> None:
    """In the user's zone, across a change of its clock too; what is over has no percentage."""
    text, percent = figures.official(told, NOON * 10**6, offsets)

    assert shown == text
    assert percent == (42 if "%" in shown else None)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_times_are_those_of_the_zone_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Each hour of the week before and after a day on which clocks change in Europe and Australia."""
    monkeypatch.setenv("TOKENAUDIT_TIMEZONE", zone)
    now = datetime(2026, 4, 1, 12, 7, tzinfo=UTC)
    offsets = basis.worked_out(int(now.timestamp()) * 10**6)["offsets"]
    today = f"{now.astimezone(ZoneInfo(zone)):%a} "
    for hours in range(-167, 168):
        moment = now + timedelta(hours=hours)
        clock = amounts.clock(int(moment.timestamp()), int(now.timestamp()), offsets)
        expected = f"{moment.astimezone(ZoneInfo(zone)):%a %H:%M}"
        assert clock == (expected if abs(hours) > 24 else expected.removeprefix(today))

    assert len(offsets) == {"Europe/Berlin": 2, "Australia/Lord_Howe": 2}.get(zone, 1)


@pytest.mark.parametrize("picodollars", [0, 1, 10**10 - 1, 10**10, 5 * 10**9, 15 * 10**9, 10**18])
def test_money_is_written_as_in_reports(picodollars: int) -> None:
    """The twin of `format_cost`, which the status line has no time to import."""
    assert amounts.money(picodollars) == format_cost(Decimal(picodollars).scaleb(-12))


def test_budgets_are_shown(home: Path) -> None:
    """$1.0051 of $2 a day is half; a project's own budget is a matter of reports."""
    path = home / ".config" / "tokenaudit" / "tokenaudit.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "[budget]\nday = 2\nmonth = 1\nblock = 4.0\nsession = '$10'\n"
        "[budget.project]\napp = '1/day'\n"
    )
    line = shown(home, told(session_file(home / ".claude")), "--format", "{budget}")

    assert line == (
        "50 % of $2.00/day, 101 % of $1.00/month, 25 % of $4.00/block, 10 % of $10.00/session"
    )


def test_a_budget_of_what_is_unpriced_says_the_least_that_is_used(home: Path) -> None:
    """One more response today, of a model without a price, in another session."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    unknown = reply("msg_9", "req_9", model="nobody-knows", timestamp=now, sessionId=OTHER)
    write(session_file(home / ".claude", OTHER), unknown)
    budget = {"TOKENAUDIT_BUDGET": "2/day,10/session"}
    line = shown(home, told(session_file(home / ".claude")), "--format", "{budget}", **budget)

    assert line == "≥ 50 % of $2.00/day, 10 % of $10.00/session"


def test_templates_and_colours(home: Path) -> None:
    """Fields stand where they are named; near a limit they turn yellow, then red."""
    data = told(session_file(home / ".claude"), **gauge(170_000))

    assert shown(home, data, "--format", "{today}|{claude}|{nonsense}") == "$1.01|$1.50|{nonsense}"
    assert shown(home, data, "--format={context}") == "⚠ 170,000 / 200k (85.0 %)"
    assert shown(home, data, "--format", "{context}", NO_COLOR="") == (
        "\x1b[31m⚠ 170,000 / 200k (85.0 %)\x1b[0m"
    )
    yellow = told(**gauge(700_000, 10**6))
    assert shown(home, yellow, "--format", "{context}", NO_COLOR="") == (
        "\x1b[33m700,000 / 1M (70.0 %)\x1b[0m"
    )
    assert shown(home, yellow, "--format", "{context}", "--no-color", NO_COLOR="")[0] == "7"


def test_a_name_cannot_command_the_terminal(home: Path) -> None:
    """Escapes in what Claude Code repeats can be seen, and do nothing."""
    data = told(model={"display_name": "Evil\x1b]0;title\x07\nmodel"})

    assert shown(home, data, "--format", "{model}") == r"Evil\x1b]0;title\x07\nmodel"
