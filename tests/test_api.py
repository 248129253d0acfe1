"""The public API: what it offers, that it adds up, that it never changes."""

import gc
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from transcripts_builder import prompt, reply, session_file, usage, write

import tokenaudit
from tokenaudit import Layout, Ledger, UsageError, load

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
        shape=Layout(limit=1, descending=True),
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


FRAMES = ("frame", "refused", "sessions", "agents", "compactions", "rejects")


@pytest.mark.parametrize("name", FRAMES)
def test_what_a_caller_does_with_a_frame_changes_nothing(ledger: Ledger, name: str) -> None:
    """Frames are values, even to those operations that work in place."""
    before = getattr(ledger, name).clone()
    frame: pl.DataFrame = getattr(ledger, name)
    column = frame.columns[0]
    frame.with_columns(pl.lit(0).alias(column)).filter(pl.lit(value=False))
    frame.extend(frame.clone())
    frame.drop_in_place(column)
    frame.columns = [f"column_{number}" for number in range(frame.width)]
    getattr(ledger, name).get_column(column).rename("other")

    assert before.equals(getattr(ledger, name))


def test_what_a_caller_does_with_a_column_changes_nothing(ledger: Ledger) -> None:
    """Neither does writing into a series of the frame, or of a report."""
    before = ledger.frame.to_dicts()
    column = ledger.frame["output_tokens"]
    column[0] = 7
    column.scatter([1, 2], [8, 9])
    ledger.report("ledger", now=NOW).sections[0].rows["output_tokens"].scatter([0], [7])

    assert before == ledger.frame.to_dicts()


def test_what_a_caller_does_with_the_intake_changes_nothing(ledger: Ledger) -> None:
    """Nor what is done with that of a report, or with the basis of prices."""
    intake, pricing = ledger.intake, dict(ledger.pricing)
    report = ledger.report("daily", now=NOW)
    for found in (ledger.intake, report.meta.intake):
        with pytest.raises(AttributeError):
            found.files = -1  # type: ignore[misc]
        found.quality["final"] = -1
    for basis in (ledger.pricing, report.meta.pricing):
        if isinstance(basis, dict):
            basis.clear()

    assert intake == ledger.intake == ledger.report("daily", now=NOW).meta.intake
    assert pricing == ledger.pricing


@pytest.mark.parametrize(
    ("timezone", "start_of_week"),
    [("Mars/Olympus", "monday"), ("/etc/localtime", "monday"), ("", "monday"), ("UTC", "today")],
)
def test_a_zone_or_weekday_that_does_not_exist_is_an_error(
    timezone: str, start_of_week: str
) -> None:
    """At once, with a hint, and not when the first report is asked for."""
    with pytest.raises(UsageError) as caught:
        load(demo=True, timezone=timezone, start_of_week=start_of_week)

    assert caught.value.hint


def test_money_is_not_rounded_on_its_way_to_json(tmp_path: Path) -> None:
    """Sums of any size are texts that hold every digit, and no zeros behind them."""
    for number in range(3):
        name = f"session-{number}"
        counts = usage(1, input_tokens=2**53 - 1 - number)
        line = reply(name, counts=counts, model="claude-opus-5", at=number, sessionId=name)
        write(session_file(tmp_path, name), line)
    report = load(tmp_path).to_report(NOW)
    costs = [session["usage"]["cost_usd"] for session in report["sessions"]]

    # (2**53 - 1) at $5 and 1 at $25 per million tokens, then 1 and 2 tokens less
    assert ["45035996273.70498", "45035996273.704975", "45035996273.70497"] == costs
    assert "135107988821.114925" == report["summary"]["cost_usd"]


def test_recorded_costs_are_texts_beside_the_computed_ones(tmp_path: Path) -> None:
    """Old transcripts name a cost: zero is one, none is null, and none of them is summed."""
    lines = [reply("msg_1", costUSD=0.1), reply("msg_2", costUSD=0, at=1), reply("msg_3", at=2)]
    write(session_file(tmp_path), *lines)
    ledger = load(tmp_path)

    assert ["0.1", "0.0", None] == ledger.frame["recorded_cost_usd"].to_list()
    # three times 10 at $5 and 100 at $25 per million tokens
    assert Decimal("0.00765") == ledger.totals().cost_usd


def test_an_unpriced_history_costs_null(tmp_path: Path) -> None:
    """Unknown is not zero; nothing at all is."""
    write(session_file(tmp_path / "unknown"), reply(model="gateway-large"))
    write(session_file(tmp_path / "nothing"), prompt())

    assert [None, "0"] == [
        load(tmp_path / name).to_report(NOW)["summary"]["cost_usd"]
        for name in ("unknown", "nothing")
    ]


def test_threads_see_the_same(ledger: Ledger) -> None:
    """A ledger may be asked from any thread at once."""
    names = ["daily", "sessions", "models", "overview", "project,model"] * 4

    def ask(name: str) -> dict[str, object]:
        return dict(ledger.report(name, now=NOW).sections[-1].totals or {})

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, names))

    assert all(totals["cost_usd"] == ledger.totals().cost_usd for totals in found)


def test_threads_may_load_at_once() -> None:
    """Reading keeps nothing that another reading could disturb."""
    expected = load(demo=True).frame

    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda _: load(demo=True).frame, range(8)))

    assert all(expected.equals(frame) for frame in frames)
    assert gc.isenabled()
