"""Rebuilds of the prompt cache: each cause, what it cost, and what caching saved, worked out by hand."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from audited import Audited, request, rows
from stories import FIXTURES, STORIES
from transcripts_builder import (
    FORK,
    OTHER,
    agent_file,
    reply,
    session_file,
    sidechain,
    usage,
    write,
)

from tokenaudit.analysis.cache_rebuilds import studied
from tokenaudit.reports.cache import cache
from tokenaudit.reports.report import Report


def cached(read: int, written: int, *, hour: bool = True) -> dict[str, Any]:
    name = f"ephemeral_{'1h' if hour else '5m'}_input_tokens"
    return usage(100, read=read, write=written, cache_creation={name: written})


def of(*roots: Path, **chosen: Any) -> Report:
    return cache(Audited.of(*roots).ledger, request(**chosen))


@pytest.fixture(scope="module")
def story() -> Report:
    return of(FIXTURES / "cache-rebuilds" / "claude", limit=50)


def micro(amount: float) -> Decimal:
    return Decimal(str(amount)) / 1_000_000


def test_each_cause_is_told_and_costs_what_the_story_works_out(story: Report) -> None:
    assert {
        row["cause"]: (row["rebuilds"], row["rebuilt_tokens"], row["rebuild_usd"])
        for row in rows(story, "causes")
    } == {
        "idle": (2, 29_000, micro(245_500)),
        "new_session": (1, 25_000, micro(237_500)),
        "model_switch": (1, 32_000, micro(182_400)),
        "tools_or_system": (1, 21_000, micro(119_700)),
        "compaction": (1, 9_000, micro(51_300)),
        "unknown": (1, 6_600, micro(37_620)),
    }


def test_each_rebuild_is_that_of_the_story(story: Report) -> None:
    assert sorted(
        (row["response_id"][14], row["cause"], row["cached_tokens"], row["rebuilt_tokens"])
        for row in rows(story, "rebuilds")
    ) == [
        ("C", "idle", 31_000, 21_000),
        ("D", "model_switch", 32_000, 32_000),
        ("F", "compaction", 33_500, 9_000),
        ("G", "tools_or_system", 21_000, 21_000),
        ("H", "unknown", 21_600, 6_600),
        ("J", "new_session", 25_000, 25_000),
        ("L", "idle", 13_000, 8_000),
    ]


def test_what_caching_saved_and_how_often_it_hit(story: Report) -> None:
    saved = {row["model"]: row["saved_usd"] for row in rows(story, "cache")}
    totals = story.sections[0].totals

    assert saved == {"claude-opus-4-8": micro(20_000), "claude-sonnet-4-6": micro(4_050)}
    assert totals is not None
    assert totals["saved_usd"] == micro(24_050)
    assert totals["rebuild_usd"] == micro(874_020)
    assert totals["hit_percent"] == 51.496


def test_five_minutes_against_one_hour(story: Report) -> None:
    short, long = rows(story, "ttl")

    assert (short["written_tokens"], short["write_usd"]) == (16_400, micro(102_500))
    assert (short["breaks"], short["over_breaks_tokens"]) == (1, 8_000)
    assert short["other_ttl_usd"] == micro(15_500)
    assert (long["written_tokens"], long["write_usd"]) == (140_400, micro(1_116_000))
    assert (long["breaks"], long["over_breaks_tokens"]) == (1, 25_000)
    assert long["other_ttl_usd"] == micro(-274_750)


def test_a_session_that_continues_another_builds_its_context_again(tmp_path: Path) -> None:
    """The fork's first own response is held against the last one of the session that it continues."""
    shared = [reply("msg_1", "req_1", counts=cached(0, 50_000), at=0)]
    write(session_file(tmp_path), *shared)
    own = reply("msg_2", "req_2", counts=cached(10_000, 41_000), at=60, sessionId=FORK)
    write(session_file(tmp_path, FORK), {**shared[0], "sessionId": FORK}, own)
    (found,) = rows(of(tmp_path), "rebuilds")

    assert (found["response_id"], found["cause"]) == ("msg_2", "new_session")
    assert (found["cached_tokens"], found["rebuilt_tokens"]) == (50_000, 40_000)


def test_another_project_shares_nothing(tmp_path: Path) -> None:
    write(session_file(tmp_path), reply(counts=cached(0, 50_000)))
    other = reply("msg_2", "req_2", counts=cached(0, 50_000), at=60, sessionId=OTHER, cwd="/x")
    write(session_file(tmp_path, OTHER, "-x"), other)

    assert rows(of(tmp_path), "rebuilds") == []


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"version": "2.1.201"}, "tools_or_system"),
        ({"counts": cached(21_000, 20_000) | {"speed": "fast"}}, "model_switch"),
        ({}, "unknown"),
    ],
)
def test_what_changed_between_two_responses(
    tmp_path: Path, more: dict[str, Any], cause: str
) -> None:
    first = reply(counts=cached(20_000, 20_000))
    second = {"counts": cached(21_000, 20_000), "at": 60, **more}
    write(session_file(tmp_path), first, reply("msg_2", "req_2", **second))

    assert [row["cause"] for row in rows(of(tmp_path), "rebuilds")] == [cause]


def test_rebuilds_from_the_smallest_cacheable_prompt_on(tmp_path: Path) -> None:
    """1,023 tokens are none, 1,024 are one."""
    write(
        session_file(tmp_path),
        reply(counts=cached(0, 5_000)),
        reply("msg_2", "req_2", counts=cached(5_000 - 1_023, 1_023), at=1),
        reply("msg_3", "req_3", counts=cached(5_000 - 1_024, 1_024), at=2),
    )

    assert [row["response_id"] for row in rows(of(tmp_path), "rebuilds")] == ["msg_3"]


def test_filters_do_not_change_what_a_rebuild_is(tmp_path: Path) -> None:
    """The response before is found even where a filter leaves it out."""
    first = reply(counts=cached(0, 50_000))
    second = reply("msg_2", "req_2", model="claude-opus-4-8", counts=cached(0, 50_000), at=60)
    write(session_file(tmp_path), first, second)
    report = of(tmp_path, models=("claude-opus-4-8",))

    assert [row["cause"] for row in rows(report, "rebuilds")] == ["model_switch"]
    assert report.sections[0].totals is not None
    assert report.sections[0].totals["responses"] == 1


def test_agents_have_chains_of_their_own(tmp_path: Path) -> None:
    """A subagent between two responses of its parent breaks nothing."""
    write(
        session_file(tmp_path),
        reply(counts=cached(0, 50_000)),
        reply("msg_3", "req_3", counts=cached(50_000, 100), at=60),
    )
    own = reply("msg_2", "req_2", counts=cached(0, 9_000, hour=False), at=30)
    write(agent_file(tmp_path), sidechain(own, "a1b2c3d"))

    assert rows(of(tmp_path), "rebuilds") == []


def test_what_is_unpriced_or_undated_is_null_not_zero(tmp_path: Path) -> None:
    write(
        session_file(tmp_path),
        reply(model="glm-9", counts=cached(0, 50_000)),
        reply("msg_2", "req_2", model="glm-9", counts=cached(0, 50_000), timestamp="never"),
    )
    report = of(tmp_path)

    assert [row["saved_usd"] for row in rows(report, "cache")] == [None]
    assert [row["rebuild_usd"] for row in rows(report, "rebuilds")] == [None]
    assert [row["write_usd"] for row in rows(report, "ttl")] == [None, None]


@pytest.mark.parametrize("story_root", [story.root for story in STORIES], ids=str)
def test_writes_and_savings_are_those_of_the_ledger(story_root: Path) -> None:
    """Split costs of writes add up to the ledger's; no column changes a figure of the ledger."""
    ledger = Audited.of(story_root).ledger
    frame = studied(ledger)

    assert frame.select(ledger.frame.columns).equals(ledger.frame)
    both = frame.select(pl.col("write_5m_usd") + pl.col("write_1h_usd")).to_series()
    assert both.equals(ledger.frame["cost_cache_write_usd"].alias(both.name))
    report = cache(ledger, request(limit=1000))
    for section in report.sections[:1] + report.sections[3:5]:
        assert section.totals is not None
        for name in ("saved_usd", "rebuild_usd", "rebuilt_tokens", "responses"):
            values = section.rows[name].drop_nulls()
            assert (values.sum() or 0) == (section.totals[name] or 0)
