"""What holds for any history: two ways of judging it agree, and every comparison adds up exactly."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
from audited import NOW, Audited, request, rows
from hypothesis import assume, given
from hypothesis import strategies as st
from properties import examples
from test_properties import World, on_disk, worlds

from tokenaudit.analysis.cache_rebuilds import studied
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import StepBasis
from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, ClaimKind, ClaimLine
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.audit.reconcile.counting_methods import ways
from tokenaudit.audit.reconcile.recount import usage_lines
from tokenaudit.model.terms import Kind
from tokenaudit.reports.cache import cache
from tokenaudit.reports.diff import ComparedPeriod, diff
from tokenaudit.reports.reconcile import chooser
from tokenaudit.reports.selection import Selection, select


@examples(20)
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


@examples(20)
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
    report = cache(ledger, request(limit=999))
    assert report.sections[0].totals is not None
    for name in ("causes", "rebuilds"):
        section = next(each for each in report.sections if each.name == name)
        assert total(section.rows["rebuild_usd"]) == total(
            [report.sections[0].totals["rebuild_usd"]]
        )
    if not days.is_empty():
        first, last = min(days), max(days)
        periods = [
            ComparedPeriod("one", first, first),
            ComparedPeriod("other", first + timedelta(1), last),
        ]
        on = ledger.frame["time"].dt.date()
        one, other = (
            cost(ledger.frame.filter(on.is_between(each.since, each.until))) for each in periods
        )
        effects = rows(diff(ledger, request(), *periods), "effects")
        assert total(row["change_usd"] for row in effects) == other - one


counts = st.builds(ClaimCounts, *([st.integers(0, 10**6)] * 4))
money = st.integers(0, 10**9).map(lambda micro: Decimal(micro).scaleb(-6))
claimed = st.builds(
    Claim,
    st.sampled_from(
        [
            ClaimKind.RESULT,
            ClaimKind.CCUSAGE,
            ClaimKind.STATS_CACHE,
            ClaimKind.ADMIN_USAGE,
            ClaimKind.EXPORT,
        ]
    ),
    st.just("claim"),
    st.lists(
        st.builds(
            ClaimLine,
            st.sampled_from(["claude-opus-4-6", "claude-haiku-4-5", "gpt-6", None]),
            counts | st.none(),
            money | st.none(),
            st.integers(0, 3),
        ),
        max_size=3,
    ).map(tuple),
    cost_usd=money | st.none(),
    sessions=st.sampled_from([frozenset(), frozenset({"0" * 8 + "-1111-4111-8111-111111111111"})]),
    is_utc=st.booleans(),
    is_of_claude_code=st.booleans(),
)


@examples(25)
@given(worlds(), claimed)
def test_every_bridge_to_any_history_sums_exactly(world: World, claim: Claim) -> None:
    """Whatever is claimed of whatever history: their figure and the steps are ours, to the last digit."""
    with on_disk(world) as root:
        held = evidence_of(root)
        found = reconciled(claim, held, chooser(held.ledger))

    figure = found.theirs
    for step in found.steps:
        figure = figure + step.change
    assert figure == found.ours
    assert found.steps[-1].basis is StepBasis.UNEXPLAINED
    if not claim.sessions and claim.cost_usd is not None:
        assert found.ours.cost_usd == cost(held.rows)


@examples(25)
@given(worlds(), st.data())
def test_a_known_way_of_counting_leaves_nothing_unexplained(
    world: World, data: st.DataObject
) -> None:
    """What any of the ways adds up is bridged by measured steps alone."""
    with on_disk(world) as root:
        held = evidence_of(root)
        assume(held.rows.height)
        way = data.draw(st.sampled_from(ways(held.rows, usage_lines(held), held.ledger.card)))
        line = ClaimLine(None, way.figure.counts, way.figure.cost_usd)
        claim = Claim(ClaimKind.CCUSAGE, "claim", (line,), cost_usd=way.figure.cost_usd)
        found = reconciled(claim, held, chooser(held.ledger))

    assert found.unexplained.is_nothing
    assert {step.basis for step in found.steps[:-1]} <= {StepBasis.MEASURED, StepBasis.STATED}


def evidence_of(root: Path) -> Evidence:
    audited = Audited.of(root)
    chosen = select(audited.ledger.frame, Selection(timezone="Asia/Tokyo")).collect()
    return Evidence(audited.facts, audited.ledger, chosen, NOW, "Asia/Tokyo")


def cost(frame: pl.DataFrame) -> Decimal:
    return total(frame["cost_usd"])


def total(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
