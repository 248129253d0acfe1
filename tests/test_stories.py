"""Every story gives the figures that were worked out for it by hand in its README."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from stories import STORIES, Story

from tokenaudit import Ledger, load
from tokenaudit.ledger.frame import totals
from tokenaudit.model.terms import Usage

GROUPS = {
    "days": pl.col("time").dt.date().cast(pl.String).fill_null("null"),
    "sessions": pl.col("session_id"),
    "agents": pl.format("{}/{}", "session_id", "agent_id"),
    "models": pl.col("model"),
}


@pytest.fixture(params=STORIES, ids=lambda story: story.name)
def story(request: pytest.FixtureRequest) -> Story:
    assert isinstance(request.param, Story)
    return request.param


@pytest.fixture
def ledger(story: Story) -> Ledger:
    return ledger_of(story.root)


@cache
def ledger_of(root: Path) -> Ledger:
    return load(root)


def test_there_are_stories() -> None:
    """The folder is found: without stories the tests below would pass for nothing."""
    assert len(STORIES) >= 25


def test_intake_is_as_counted_by_hand(story: Story, ledger: Ledger) -> None:
    """Files, lines, copies, rejects and qualities (R12)."""
    expected = story.expected["intake"]

    assert expected == {name: getattr(ledger.intake, name) for name in expected}


def test_totals_are_as_summed_by_hand(story: Story, ledger: Ledger) -> None:
    """Tokens by class, and the cost to the last digit (R10)."""
    expected = story.expected["totals"]

    assert expected == plain(totals(ledger.frame), expected)


def test_groups_are_as_summed_by_hand(story: Story, ledger: Ledger) -> None:
    """Whom and when usage belongs to (R5, R8)."""
    for group, key in GROUPS.items():
        expected = story.expected[group]

        assert expected == by_key(ledger.frame.with_columns(key=key), named(expected)), group


def test_rejects_are_those_found_by_hand(story: Story, ledger: Ledger) -> None:
    """Each reject names its file, its line and what is wrong."""
    expected = [(entry["path"], entry["line"]) for entry in story.expected["rejects"]]
    reasons = [entry["reason_contains"] for entry in story.expected["rejects"]]
    prefix = f"{story.root}/"
    found = list(ledger.rejects.sort("path", "line").iter_rows())

    assert sorted(expected) == [(path.removeprefix(prefix), line) for path, line, _ in found]
    for (_, line, reason), (_, wanted) in zip(
        found, sorted(zip(expected, reasons, strict=True)), strict=True
    ):
        assert wanted in reason, f"line {line}: {reason}"


def named(expected: dict[str, Any]) -> list[str]:
    """The measures that the story states for a group."""
    return list(next(iter(expected.values()), {}))


def by_key(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {str(key): plain(totals(rows), names) for (key,), rows in frame.group_by("key")}


def plain(usage: Usage, names: Iterable[str]) -> dict[str, Any]:
    cost = usage.cost_usd
    return {
        name: (None if cost is None else f"{cost:.12f}")
        if name == "cost_usd"
        else getattr(usage, name)
        for name in names
    }
