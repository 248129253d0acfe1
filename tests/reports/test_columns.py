"""Reports take no more of the ledger than they say: made from those columns alone, they are the same."""

from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tokenaudit.ledger.frame import Ledger, build
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.registry import REPORTS, answer, columns_of
from tokenaudit.reports.report import Report
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import DIMENSIONS, Selection
from tokenaudit.store import facts_without_store
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts import DEMO, discover, extents_of, read

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
NAMES = [*REPORTS, *(f"by {name}" for name in DIMENSIONS), "project,model"]
SELECTIONS = [
    Selection(),
    Selection(timezone="Asia/Tokyo", since=date(2026, 10, 1), models=("claude-*",)),
    Selection(projects=("*",), agents=("main",), branches=("*",), sessions=("*",)),
]


def ledger_facts(root: Path) -> Facts:
    discovery = discover([root])
    return facts_without_store(discovery, read(extents_of(discovery.transcripts)))


@pytest.fixture(scope="module")
def known() -> tuple[Facts, Ledger]:
    """The sample of the package, and its whole ledger."""
    facts = ledger_facts(DEMO)
    return facts, build(facts, shipped_card())


def told(report: Report) -> list[Any]:
    """Return all that *report* says; rows without an order of their own, sorted."""
    frames = [
        frame.sort(frame.columns)
        for section in report.sections
        for frame in (section.rows, section.breakdown)
        if frame is not None
    ]
    totals = [section.totals for section in report.sections]
    plain = [(frame.schema, frame.rows()) for frame in frames]
    return [plain, totals, report.notes, report.meta, report.cost_usd]


@pytest.mark.parametrize("name", NAMES)
def test_a_report_names_all_columns_that_it_takes(known: tuple[Facts, Ledger], name: str) -> None:
    """With every filter, and every part of its shape, that asks for more of them."""
    facts, whole = known
    now = datetime(2026, 11, 2, 12, tzinfo=UTC)
    shapes = (Layout(), Layout(full=True, breakdown=True, with_list_cost=True))
    for selection, shape in product(SELECTIONS, shapes):
        request = Request(name, "1.0", now, selection, shape)
        few = build(facts, shipped_card(), columns_of(request, name))

        assert told(answer(whole, request, name)) == told(answer(few, request, name))


@pytest.mark.parametrize("story", sorted(path.name for path in FIXTURES.iterdir() if path.is_dir()))
def test_few_columns_give_the_same_figures_and_the_same_intake(story: str) -> None:
    """Refused attempts, inferences, odd values and half-written lines included."""
    facts = ledger_facts(FIXTURES / story)
    request = Request(
        "agents", "1.0", datetime(2026, 11, 2, tzinfo=UTC), Selection(), Layout(full=True)
    )
    whole = build(facts, shipped_card())
    few = build(facts, shipped_card(), columns_of(request, "agents"))
    names = few.frame.columns

    assert whole.intake == few.intake
    assert whole.frame.select(names).sort(names).rows() == few.frame.sort(names).rows()
    assert (whole.refused.select(names).sort(names).rows()) == few.refused.sort(names).rows()
    assert whole.agents.equals(few.agents)
    assert whole.compactions.equals(few.compactions)
    assert whole.sessions.drop("branches", "versions").equals(few.sessions)


def test_an_unknown_column_is_no_part_of_few(known: tuple[Facts, Ledger]) -> None:
    """What was not asked for is not there: a report that forgot it fails, it does not mislead."""
    facts, _ = known
    few = build(facts, shipped_card(), ["model"])

    assert {"response_id", "project", "cost_input_usd"}.isdisjoint(few.frame.columns)
