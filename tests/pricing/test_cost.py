"""The arithmetic of costs: the vectorised form and its scalar twin, parts and sums."""

import dataclasses
from datetime import date
from decimal import Decimal, localcontext
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from usage_rows import Used, frame, noon, priced, priced_row, scalar_cost

from tokenaudit.pricing.card import RateCard, shipped_card
from tokenaudit.pricing.cost import COSTS, USD, cost_of, price
from tokenaudit.pricing.sources import rates_in_force

KEYS = sorted({rate.model for rate in shipped_card().rates})
COUNTS = st.one_of(
    st.integers(0, 2**53 - 1), st.integers(0, 300_000), st.sampled_from([0, 100_000, 200_000])
)
MODELS = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(KEYS).map("eu.anthropic.{}-v1:0".format),
    st.sampled_from([None, "", "claude-opus-6", "opus", "glm-4.7"]),
)
DAYS = st.one_of(
    st.dates(date(2024, 1, 1), date(2027, 1, 1)),
    st.sampled_from([rate.valid_from for rate in shipped_card().rates]),
)
USED = st.builds(
    Used,
    model=MODELS,
    time=st.none() | DAYS.map(lambda day: noon(day.isoformat())),
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
    web_searches=COUNTS,
    speed=st.sampled_from([None, "", "standard", "fast", "turbo"]),
    inference_geo=st.sampled_from([None, "", "us", "global"]),
    service_tier=st.sampled_from([None, "", "standard", "batch", "priority"]),
)


def _card_with(text: str, as_model: str | None = None) -> RateCard:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rates.toml"
        path.write_text(text, "utf-8")
        return rates_in_force(rates=path, as_model=as_model)


DISCOUNTS = """
[[discount]]
models = ["claude-opus-*"]
multiplier = 0.8512
valid_from = 2026-01-01
[[discount]]
models = ["claude-haiku-*"]
multiplier = 0.1234
[[price]]
model = "glm-4.7"
input = 0.6
output = 2.2
cache_read = 0.1101
cache_write_5m = 0.6
cache_write_1h = 0.6
valid_from = 2026-02-01
[aliases]
opus = "claude-opus-5"
"""
CARDS = [_card_with(DISCOUNTS), _card_with(DISCOUNTS, as_model="claude-haiku-5-5")]


def exact_sum(costs: list[Decimal | None]) -> Decimal:
    """Add with more digits than any sum here can need."""
    with localcontext(prec=60):
        return sum((cost for cost in costs if cost is not None), Decimal(0))


@examples(40)
@given(st.lists(USED, min_size=1, max_size=20))
def test_frame_and_single_response_agree(used: list[Used]) -> None:
    """Whatever responses say of themselves, both ways give the same cost, or none."""
    assert [scalar_cost(one) for one in used] == priced(used)["cost_usd"].to_list()


@examples(40)
@given(st.lists(USED, min_size=1, max_size=20), st.sampled_from(CARDS))
def test_they_agree_at_the_users_rates_too(used: list[Used], card: RateCard) -> None:
    """With discounts, whose products need not fit 12 places, with own prices, as another model."""
    rows = priced(used, card)

    assert [scalar_cost(one, card) for one in used] == rows["cost_usd"].to_list()
    assert [
        exact_sum([*parts]) for parts in rows.select(COSTS).rows() if None not in parts
    ] == rows["cost_usd"].drop_nulls().to_list()


def test_a_discount_leaves_the_list_cost_beside() -> None:
    """1,000,000 output of Opus 5 is $25, times 0.8512 is $21.28; a search keeps its price."""
    used = Used("claude-opus-5", noon("2026-09-01"), output_tokens=1_000_000, web_searches=2)
    row = priced([used], CARDS[0]).row(0, named=True)

    assert (Decimal("21.30"), Decimal("25.02")) == (row["cost_usd"], row["list_cost_usd"])
    assert row["price_modifiers"] == "discount0.8512"


def test_a_discounted_part_is_rounded_half_to_even() -> None:
    """Half a thousandth of what a batch of Haiku 5.5 costs would need 13 places."""
    card = _card_with('[[discount]]\nmodels = ["*"]\nmultiplier = 0.0005\n')
    batch = Used("claude-haiku-5-5", noon("2026-11-01"), service_tier="batch")
    costs = [
        priced([dataclasses.replace(batch, cache_write_5m_tokens=tokens)], card)
        for tokens in (2, 6)
    ]

    # 2 x 0.0000000625 x 0.0005 = 0.0000000000625, 6 x that: 0.0000000001875; ties go to the even
    assert [Decimal("0.000000000062"), Decimal("0.000000000188")] == [
        each["cost_usd"].item() for each in costs
    ]


@examples(40)
@given(st.lists(USED, min_size=1, max_size=20))
def test_the_parts_sum_to_the_cost(used: list[Used]) -> None:
    """Nothing is lost between the classes; what is unpriced has no parts either."""
    for row in priced(used).iter_rows(named=True):
        parts = [row[name] for name in COSTS]
        if row["cost_usd"] is None:
            assert [None] * len(COSTS) == parts
        else:
            assert exact_sum(parts) == row["cost_usd"]


@examples(40)
@given(st.lists(USED, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(used: list[Used], random: Random) -> None:
    """The total is exact, so it is the same in any order, and that of the single costs."""
    shuffled = random.sample(used, len(used))
    total = exact_sum([scalar_cost(one) for one in used])

    assert total == priced(used)["cost_usd"].sum()
    assert total == priced(shuffled)["cost_usd"].sum()


@examples(40)
@given(st.lists(USED, min_size=2, max_size=20), st.data())
def test_a_frame_priced_in_two_pieces_costs_the_same(used: list[Used], data: st.DataObject) -> None:
    """No row looks at another."""
    at = data.draw(st.integers(1, len(used) - 1))

    assert priced(used).equals(pl.concat([priced(used[:at]), priced(used[at:])]))


def test_totals_beyond_what_integers_hold_stay_exact() -> None:
    """Picodollars in 64 bits would end at 9.2 million dollars; this is 2 million times as much."""
    largest = 2**53 - 1
    used = Used("claude-opus-4-6", noon("2026-02-10"), output_tokens=largest, speed="fast")
    costs = priced([used] * 27)["cost_usd"]

    # 9,007,199,254,740,991 x $150 / 1,000,000 = $1,351,079,888,211.14865
    assert Decimal("1351079888211.14865") == costs[0]
    assert Decimal("36479156981701.01355") == costs.sum()


def test_small_change_is_not_lost_in_a_large_total() -> None:
    """A single token beside millions of dollars keeps its last digit."""
    day = noon("2026-10-20")
    large = Used("claude-opus-5", day, output_tokens=400_000_000_000)
    small = Used("claude-haiku-5-5", day, cache_read_tokens=1, service_tier="batch")

    # 400,000,000,000 x $25 / 1,000,000, and $0.01 / 1,000,000 / 2
    assert Decimal("10000000.000000005") == priced([large, small])["cost_usd"].sum()


def test_nothing_used_costs_nothing() -> None:
    """A true zero, which is not the null of an unknown model."""
    row = priced_row(Used("claude-opus-5", noon("2026-09-01")))

    assert row["cost_usd"] == 0
    assert row["price_modifiers"] is None


def test_cache_writes_are_one_part() -> None:
    """Those of 5 minutes and of an hour have prices of their own and one column together."""
    row = priced_row(
        Used(
            "claude-sonnet-4-6",
            noon("2026-04-01"),
            input_tokens=1000,
            output_tokens=100,
            cache_read_tokens=10_000,
            cache_write_5m_tokens=200,
            cache_write_1h_tokens=300,
        )
    )

    # millionths: 1,000 x 3; 100 x 15; 10,000 x 0.3; 200 x 3.75 + 300 x 6
    assert list(map(Decimal, ("0.003", "0.0015", "0.003", "0.00255", "0"))) == [
        row[name] for name in COSTS
    ]
    assert Decimal("0.01005") == row["cost_usd"]


def test_the_frame_keeps_its_rows_and_columns() -> None:
    """Only what the cost and its grounds need is added; other columns pass through."""
    models = ["claude-opus-5", "opus", "claude-haiku-5-5", "claude-opus-5"]
    usage = frame(Used(model, noon("2026-10-20"), input_tokens=1) for model in models)
    usage = usage.with_columns(note=pl.Series(["a", "b", "c", "d"]))
    found = price(usage, shipped_card())
    added = ["rate_id", "price_source", "price_confidence", "price_modifiers", *COSTS, "cost_usd"]
    added.append("list_cost_usd")

    assert usage.equals(found.select(usage.columns))
    assert set(added) == {*found.columns} - {*usage.columns}
    assert dict.fromkeys((*COSTS, "cost_usd"), USD) == dict(found.select(*COSTS, "cost_usd").schema)


def test_a_frame_without_rows_has_the_same_columns() -> None:
    """An empty history can be reported on like any other."""
    some = priced([Used("claude-opus-5", noon("2026-10-20"))])

    assert some.schema == priced([]).schema


def test_a_class_that_is_not_named_counts_nothing() -> None:
    """The twin for one response takes what there is."""
    card = shipped_card()
    tariff = card.tariff("claude-opus-5", None, date(2026, 10, 20), None, None)

    assert tariff is not None
    assert [Decimal(0), Decimal("0.000025"), Decimal("0.03")] == [
        cost_of({}, tariff, card=card),
        cost_of({"output": 1}, tariff, card=card),
        cost_of({}, tariff, web_searches=3, card=card),
    ]
