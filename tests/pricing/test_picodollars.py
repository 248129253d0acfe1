"""Whole picodollars: the same cost as `cost_of`, for every rate of the card and any discount."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tokenaudit.pricing.card import shipped_card
from tokenaudit.pricing.cost import cost_of
from tokenaudit.pricing.picodollars import CLASSES, cost
from tokenaudit.pricing.rates import Tariff
from tokenaudit.statusline.settings_cache import _plain

CARD = shipped_card()
TARIFFS = [
    tariff
    for rate in CARD.rates
    for geo, tier in ((None, None), ("us", None), (None, "batch"))
    if (
        tariff := CARD.tariff(
            rate.model, rate.speed, max(rate.valid_from, date(2026, 1, 1)), geo, tier
        )
    )
]


@given(
    st.sampled_from(TARIFFS),
    st.tuples(*[st.integers(0, 2**40)] * 5),
    st.integers(0, 50),
    st.sampled_from([Decimal(1), Decimal("0.85"), Decimal("0.333333"), Decimal("0.5")]),
)
def test_it_is_what_decimals_say(
    tariff: Tariff, counts: tuple[int, ...], searches: int, discount: Decimal
) -> None:
    """Long prompts, multipliers, searches and rounding too."""
    tariff = replace(tariff, discount=discount)
    expected = cost_of(
        dict(zip(CLASSES, counts, strict=True)), tariff, web_searches=searches, card=CARD
    )

    assert cost(counts, _plain(tariff, CARD), searches) == int(expected.scaleb(12))
