"""What holds for any history: two ways of judging it agree, and every comparison adds up exactly."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

import polars as pl
from audited import Audited, question, rows
from hypothesis import given
from test_properties import World, examples, on_disk, worlds

from tokenaudit.ledger import TOKENS
from tokenaudit.lineage import gather
from tokenaudit.model import Kind
from tokenaudit.reports.cache import cache
from tokenaudit.reports.caching import studied
from tokenaudit.reports.diff import Period, diff
from tokenaudit.verdict import judge


@examples(60)
@given(worlds())
def test_every_response_is_judged_as_the_ledger_counts_it(world: World) -> None:
    """Plain Python over single lines, and whole columns over folded records, say the same (R3 to R5)."""
    with on_disk(world) as root:
        audited = Audited.of(root)
        frame = audited.ledger.frame
        lineage = gather(audited.facts, frame, frame)
    owners = {
        path: (session_id, agent_id)
        for path, session_id, agent_id in audited.facts.transcripts.select(
            "path", "session_id", "agent_id"
        ).iter_rows()
    }

    assert (lineage.gone, lineage.changed) == ((), ())
    for at, row in enumerate(frame.iter_rows(named=True)):
        said = lineage.said[at]
        verdict = judge(said)
        best, session_id = verdict.best, owners[verdict.owner.path][0]

        assert (best.path, best.line) == (row["source_path"], row["source_line"])
        assert (session_id, verdict.owner.agent_id) == (row["session_id"], row["agent_id"])
        if row["kind"] == Kind.MESSAGE:
            assert sum(len(each.lines) for each in said) == row["copies"] + 1
            for name in TOKENS:
                is_told = name != "output_tokens" or row["quality"] != "repaired"
                assert not is_told or getattr(best.counts, name) == row[name], name


@examples(30)
@given(worlds())
def test_explanations_of_all_and_of_one_add_up(world: World) -> None:
    """Terms sum to costs, to the last digit; a sum over lines counts every usage line."""
    with on_disk(world) as root:
        audited = Audited.of(root)
        report = audited.explain(None, all_rules=True)
        frame = audited.ledger.frame
        apart = frame.filter(pl.col("kind") != Kind.MESSAGE).height
        by_rule = {row["rule"]: row["counted"] for row in rows(report, "all_rules")}

        if frame.height > 1:
            assert total(row["cost_term_usd"] for row in rows(report, "arithmetic")) == cost(frame)
        assert by_rule["sum_of_lines"] == audited.ledger.intake.usage_lines + apart
        assert by_rule["first_line"] == by_rule["last_line"] == frame.height
        assert by_rule["no_merging"] >= frame.height
        for response_id in frame["response_id"].unique().sort().head(3):
            one = audited.explain(response_id)
            of_id = frame.filter(response_id=response_id)
            section = "terms" if of_id.height == 1 else "arithmetic"
            assert total(row["cost_term_usd"] for row in rows(one, section)) == cost(of_id)


@examples(30)
@given(worlds())
def test_differences_and_caches_add_up(world: World) -> None:
    """Effects sum to the difference between any two days; studying caches changes no figure."""
    with on_disk(world) as root:
        ledger = Audited.of(root).ledger
    frame = studied(ledger)
    days = ledger.frame["time"].dt.date().drop_nulls()

    assert frame.select(ledger.frame.columns).equals(ledger.frame)
    assert frame["rebuilt_tokens"].null_count() == 0
    assert (frame["cause"].is_not_null() == (frame["rebuilt_tokens"] > 0)).all()
    report = cache(ledger, question(limit=999))
    assert report.sections[0].totals is not None
    for name in ("causes", "rebuilds"):
        section = next(each for each in report.sections if each.name == name)
        assert total(section.rows["rebuild_usd"]) == total(
            [report.sections[0].totals["rebuild_usd"]]
        )
    if not days.is_empty():
        first, last = min(days), max(days)
        periods = [Period("one", first, first), Period("other", first + timedelta(1), last)]
        on = ledger.frame["time"].dt.date()
        one, other = (
            cost(ledger.frame.filter(on.is_between(each.since, each.until))) for each in periods
        )
        effects = rows(diff(ledger, question(), *periods), "effects")
        assert total(row["change_usd"] for row in effects) == other - one


def cost(frame: pl.DataFrame) -> Decimal:
    return total(frame["cost_usd"])


def total(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
