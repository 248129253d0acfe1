"""How budgets are written, and what is none."""

from decimal import Decimal

import pytest

from tokenaudit.model.budgets import Budget, Period, amount, parse, texts


def test_a_budget_is_an_amount_for_a_period() -> None:
    """With a project or without; a dollar sign may stand there."""
    assert parse("25/day") == Budget(Decimal(25), Period.DAY)
    assert parse("$0.50/session") == Budget(Decimal("0.50"), Period.SESSION)
    assert parse("/work/a=b*=10/month") == Budget(Decimal(10), Period.MONTH, "/work/a=b*")
    assert str(parse("shop=10.5/week")) == "shop=10.5/week"


@pytest.mark.parametrize(
    "text", ["", "25", "25/", "/day", "25/year", "-1/day", "1e3/day", "0/day", "NaN/day", "a/day"]
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"budget|amount|period"):
        parse(text)


def test_a_table_of_the_settings() -> None:
    """Periods by name, projects in a table of their own."""
    table = {"day": 25, "month": "300", "project": {"shop": "10/day"}}

    assert texts(table) == ["25/day", "300/month", "shop=10/day"]
    for wrong in ({"day": True}, {"day": [1]}, {"shop": {"x": 1}}):
        with pytest.raises(ValueError, match="not an amount"):
            texts(wrong)


def test_an_amount() -> None:
    assert amount(" $12.50 ") == Decimal("12.50")
    with pytest.raises(ValueError, match="not an amount of US dollars: 12,50"):
        amount("12,50")
