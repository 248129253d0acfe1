"""What tools put into contexts, and what carrying it cost: an example worked out by hand."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from calls import run
from msgspec.structs import replace
from transcripts_builder import SESSION, Line, facts_of, prompt, reply, session_file, write

from tokenaudit import transcripts
from tokenaudit.analysis.context_growth import pieces_of
from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import Ledger
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.report import Report
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import Selection
from tokenaudit.reports.tools import tools
from tokenaudit.transcripts import read_content

# Opus 4.6, per million tokens: input $5, cache read $0.50, 5-minute cache write $6.25.
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def loaded(root: Path) -> Ledger:
    found = transcripts.discover([root])
    return ledgers.build(facts_of(found), shipped_card())


def response(number: int, read: int, write_: int, *blocks: Line, **more: Any) -> Line:
    counts = {
        "input_tokens": 0,
        "output_tokens": 1,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write_,
    }
    line = reply(f"msg_{number}", f"req_{number}", at=number * 10, counts=counts, **more)
    return {**line, "message": {**line["message"], "content": list(blocks)}}


def call(name: str, tool_use_id: str) -> Line:
    return {"type": "tool_use", "id": tool_use_id, "name": name, "input": {}}


def result(tool_use_id: str, size: int, at: float, **more: Any) -> Line:
    block = {"type": "tool_result", "tool_use_id": tool_use_id, "content": "x" * size, **more}
    line = prompt(tool_use_id, at=at)
    return {**line, "message": {"role": "user", "content": [block]}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Prompts of 1,000, 2,000, 2,100 and 2,200; a compaction to 500; a call without a response."""
    boundary = prompt("", at=45, type="system", subtype="compact_boundary", compactMetadata={})
    write(
        session_file(tmp_path),
        response(1, 0, 1000, call("Bash", "t1"), attributionSkill="tidy"),
        result("t1", 98, 11),  # 98 of 100 characters of a step of 1,000: 980 tokens
        response(2, 1000, 1000, call("mcp__issues__list", "t2")),
        result("t2", 18, 21, is_error=True),  # 18 of 20 characters of 100: 90 tokens
        response(3, 2000, 100),
        response(4, 0, 2200),  # the cache was lost
        {key: value for key, value in boundary.items() if key != "message"},
        response(5, 0, 500, call("Bash", "t3")),
        result("t3", 10, 51),
    )
    return tmp_path


def report(root: Path, request: Request | None = None) -> Report:
    pieces = pieces_of([read_content(SESSION, "main", [str(session_file(root))])])
    return tools(loaded(root), request or Request("tools", "0", NOW), pieces)


def test_what_results_cost_when_they_came_and_afterwards(root: Path) -> None:
    """Coming in by the write of their response; later by its old tokens: read, or written again.

    t1: 980 x $6.25 = $0.006125 in; carried 980 x $0.50 + 980 x $6.25 = $0.006615 in two prompts.
    t2: 90 x $6.25 = $0.0005625 in; carried 90 x $6.25 = $0.0005625 in one. All per million.
    """
    rows = report(root).sections[0].rows.rows_by_key("tool", named=True, unique=True)

    assert rows["Bash"] == {
        "calls": 2,
        "errors": 0,
        "result_tokens": 980,
        "mean_tokens": 980,  # of the one whose step has come
        "carried_tokens": 1960,
        "cost_entered_usd": Decimal("0.006125"),
        "cost_carried_usd": Decimal("0.006615"),
    }
    assert rows["mcp__issues__list"] == {
        "calls": 1,
        "errors": 1,
        "result_tokens": 90,
        "mean_tokens": 90,
        "carried_tokens": 90,
        "cost_entered_usd": Decimal("0.0005625"),
        "cost_carried_usd": Decimal("0.0005625"),
    }


def test_servers_and_skills_have_tables_of_their_own(root: Path) -> None:
    """A server is named by the tool, a skill by the line that called it; totals sum up rows."""
    by_tool, by_server, by_skill = report(root).sections

    assert by_server.rows.select("mcp_server", "calls", "result_tokens").rows() == [
        ("issues", 1, 90)
    ]
    assert by_skill.rows.select("skill", "calls", "result_tokens").rows() == [("tidy", 1, 980)]
    assert by_tool.totals is not None
    assert by_tool.totals["calls"] == by_tool.rows["calls"].sum() == 3
    assert by_tool.totals["cost_carried_usd"] == by_tool.rows["cost_carried_usd"].sum()
    assert report(root).notes[0].startswith("Estimate: ")


def test_a_call_counts_with_the_response_that_made_it(root: Path) -> None:
    """Filters, orders and limits are those of every report."""
    request = Request("tools", "0", NOW)
    other = replace(request, selection=Selection(models=("no-such-model",)))
    first = replace(request, shape=Layout(limit=1, sort="tool"))
    plain = replace(request, shape=Layout(with_cost=False))

    assert report(root, other).sections[0].rows.is_empty()
    assert report(root, first).sections[0].rows["tool"].to_list() == ["Bash"]
    assert report(root, first).sections[0].cut_rows == 1
    assert "cost_carried_usd" not in report(root, plain).sections[0].rows.columns


def test_unpriced_prompts_cost_what_is_not_known(tmp_path: Path) -> None:
    """No price is not zero: the cost is empty, and the foot says of how many results."""
    write(
        session_file(tmp_path),
        response(1, 0, 1000, call("Read", "t1")),
        result("t1", 98, 11),
        {**(line := response(2, 0, 2000)), "message": {**line["message"], "model": "glm-9"}},
    )
    found = report(tmp_path)

    row = found.sections[0].rows.row(0, named=True)
    assert (row["result_tokens"], row["cost_entered_usd"], row["cost_carried_usd"]) == (
        980,
        None,
        None,
    )
    assert found.notes[1].startswith("Of 1 results")


def test_prompts_are_paid_for_once(root: Path) -> None:
    """What the new and the old tokens of a prompt cost is what the prompt cost, to a picodollar."""
    from tokenaudit.analysis.context_growth import prompts
    from tokenaudit.reports.tools import _epochs, _unit_costs

    ledger = loaded(root)
    responses = _epochs(prompts(ledger.frame, ledger.compactions))
    costs = _unit_costs(responses).join(responses, on="number")
    new = pl.min_horizontal(
        pl.coalesce("step_tokens", "prompt_tokens").clip(lower_bound=0),
        pl.col("prompt_tokens") - pl.col("cache_read_tokens"),
    )
    old_cost = pl.col("old_cost_so_far") - pl.col("old_cost_so_far").shift(1).over(
        "epoch"
    ).fill_null(0)
    paid = costs.select(
        (new * pl.col("fresh_cost") + (pl.col("prompt_tokens") - new) * old_cost).cast(pl.Int128)
    ).to_series()
    prompt_cost = costs.select(
        pl.sum_horizontal("cost_input_usd", "cost_cache_read_usd", "cost_cache_write_usd")
    ).to_series()

    for atto, usd in zip(paid, prompt_cost, strict=True):
        assert abs(Decimal(atto).scaleb(-18) - usd) <= Decimal("1E-12")


@pytest.mark.parametrize("form", ["table", "json", "ndjson", "csv", "parquet", "markdown", "xlsx"])
def test_half_a_character_in_the_name_of_a_tool_can_be_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str
) -> None:
    """In every format; a client that cuts texts wherever it likes leaves such names."""
    lines = [
        response(1, 0, 1000, call("Ba\ud83d", "t1")),
        result("t1", 100, at=15),
        response(2, 1000, 500, call("Bash", "t2")),
        result("t2", 60, at=25, odd="\ud83d"),
        response(3, 1500, 100),
    ]
    write(session_file(tmp_path / "claude"), *(json.dumps(line).encode() for line in lines))
    output = tmp_path / f"tools.{form}"
    argv = ["tools", "--root", str(tmp_path / "claude"), "--no-store", "--format", form]

    assert run(capfd, *argv, "--output", str(output))[0] == 0
    if form == "json":
        rows = json.loads(output.read_bytes())["rows"]
        assert {row["tool"]: row["calls"] for row in rows} == {"Ba?": 1, "Bash": 1}
