"""What a token costs in a row: tiers, fast mode and batches included, and the price of a whole is its sum."""

from decimal import Decimal
from pathlib import Path

import pytest
from audited import Audited
from stories import STORIES

from tokenaudit.pricing.card import shipped_card
from tokenaudit.pricing.cost import unit_prices
from tokenaudit.pricing.rates import CLASSES


@pytest.mark.parametrize("root", [story.root for story in STORIES], ids=str)
def test_tokens_times_unit_prices_are_the_list_cost(root: Path) -> None:
    ledger = Audited.of(root).ledger
    several = set(ledger.inferences["response_id"])
    units = unit_prices(ledger.frame, shipped_card())
    for row, unit in zip(
        ledger.frame.iter_rows(named=True), units.iter_rows(named=True), strict=True
    ):
        if row["cost_usd"] is None:
            assert set(unit.values()) == {None}
        elif row["response_id"] not in several and not row["is_unbilled"]:
            tokens = sum(row[f"{name}_tokens"] * unit[f"usd_{name}"] for name in CLASSES)
            assert tokens + row["cost_web_search_usd"] == row["list_cost_usd"]
            assert unit["discount"] == Decimal(1)
