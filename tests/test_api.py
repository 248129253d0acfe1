"""The public API: what it offers, that it adds up, that it never changes."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

import tokenaudit
from tokenaudit import Ledger, Shape, UsageError, load

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return load(demo=True)


def test_all_is_sorted_and_complete() -> None:
    """What `__all__` lists is there, and nothing else is public."""
    names = [name for name in tokenaudit.__all__ if name != "__version__"]

    assert names == sorted(names)
    assert all(getattr(tokenaudit, name) is not None for name in tokenaudit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tokenaudit.nonsense


def test_importing_the_package_imports_nothing_slow() -> None:
    """`import tokenaudit` and the entry of the command must not wait for frames or terminals."""
    code = (
        "import sys, tokenaudit, tokenaudit.__main__;"
        "print([name for name in ('polars', 'rich', 'typer', 'msgspec') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def test_totals_are_the_sum_of_the_frame(ledger: Ledger) -> None:
    """By class, prompt, cached, cost, responses, first and last time."""
    usage, frame = ledger.totals(), ledger.frame

    assert usage.responses == frame.height
    assert usage.total_tokens == frame["total_tokens"].sum()
    assert usage.prompt_tokens == usage.total_tokens - usage.output_tokens
    assert usage.cached_tokens == frame["cache_read_tokens"].sum()
    assert usage.cost_usd == frame["cost_usd"].sum()
    assert (usage.first_time, usage.last_time) == (frame["time"].min(), frame["time"].max())


def test_a_session_is_the_sum_of_its_agents(ledger: Ledger) -> None:
    """A session consumes nothing itself; the start of its id finds it."""
    session = ledger.session("0cf1")
    agents = [agent.usage for agent in session.agents]

    assert session.session_id.startswith("0cf1")
    assert session.usage.total_tokens == sum(usage.total_tokens for usage in agents)
    assert session.usage.cost_usd == sum((usage.cost_usd or Decimal(0)) for usage in agents)
    assert "main" in {agent.agent_id for agent in session.agents}


@pytest.mark.parametrize("start", ["zzz", "3", ""])
def test_an_id_that_means_none_or_several_is_an_error(ledger: Ledger, start: str) -> None:
    """With candidates in the hint."""
    with pytest.raises(UsageError) as caught:
        ledger.session(start)

    assert caught.value.hint
    assert any(session_id in caught.value.hint for session_id in ledger.sessions["session_id"])


def test_a_report_takes_filters_and_a_shape(ledger: Ledger) -> None:
    """The same options as on the command line."""
    report = ledger.report(
        "daily",
        since=date(2026, 10, 1),
        until=date(2026, 10, 31),
        projects=["webshop"],
        shape=Shape(limit=1, descending=True),
        now=NOW,
    )
    section = report.sections[0]

    assert [date(2026, 10, 8)] == section.rows["day"].to_list()
    assert section.cut_rows == 1
    assert report.meta.generated_at == NOW
    assert {"since": "2026-10-01", "until": "2026-10-31", "project": ["webshop"]} == dict(
        report.meta.filters
    )


def test_to_report_is_json_ready_and_adds_up(ledger: Ledger) -> None:
    """Nothing is lost on the way to JSON: responses sum to their session, sessions to the summary."""
    report = json.loads(json.dumps(ledger.to_report(NOW)))
    costs = [
        Decimal(response["cost_usd"])
        for session in report["sessions"]
        for response in session["responses"]
        if response["cost_usd"] is not None
    ]

    assert report["generated_at"] == "2026-11-20T12:00:00Z"
    assert Decimal(report["summary"]["cost_usd"]) == sum(costs)
    assert report["summary"]["total_tokens"] == sum(
        session["usage"]["total_tokens"] for session in report["sessions"]
    )
    assert set(ledger.frame["rate_id"].drop_nulls()) == {
        rate["rate_id"] for rate in report["rates"]
    }
    assert report["summary"]["unpriced_responses"] == ledger.frame["cost_usd"].null_count() > 0


def test_what_a_caller_does_with_a_frame_changes_nothing(ledger: Ledger) -> None:
    """Frames are values: the ledger's figures stay."""
    before = ledger.totals()
    frame = ledger.frame
    frame.with_columns(output_tokens=pl.lit(0)).filter(pl.col("model") == "nothing")
    frame.drop_in_place("output_tokens")

    assert before == ledger.totals()


def test_threads_see_the_same(ledger: Ledger) -> None:
    """A ledger may be asked from any thread at once."""
    names = ["daily", "sessions", "models", "overview", "project,model"] * 4

    def ask(name: str) -> dict[str, object]:
        return dict(ledger.report(name, now=NOW).sections[-1].totals or {})

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, names))

    assert all(totals["cost_usd"] == ledger.totals().cost_usd for totals in found)
