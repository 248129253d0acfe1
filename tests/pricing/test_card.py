"""The shipped rate card, and the choice of a rate from it."""

import csv
import hashlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usage_rows import Used, noon, priced, priced_row

from tokenaudit.pricing.card import Prices, Rate, RateCard, Tariff, shipped_card
from tokenaudit.pricing.cost import COSTS

DATA = files("tokenaudit.pricing") / "data"
CARD = shipped_card()


def tariff(
    model: str,
    day: str | None,
    speed: str | None = None,
    *,
    geo: str | None = None,
    tier: str | None = None,
) -> Tariff:
    found = CARD.tariff(model, speed, date.fromisoformat(day) if day else None, geo, tier)
    assert found is not None
    return found


def per_million(prices: Prices) -> str:
    """Input, output and cache read in dollars per million tokens, as price lists write them."""
    million = [10**6 * price for price in (prices.input, prices.output, prices.cache_read)]
    return " ".join(f"{price.normalize():f}" for price in million)


def every_prices() -> Iterator[tuple[Rate, Prices]]:
    assert CARD.rates
    for rate in CARD.rates:
        yield rate, rate.prices
        if rate.long_prices:
            yield rate, rate.long_prices


# the data


def test_every_row_of_the_table_is_on_the_card() -> None:
    """No row is lost, and none stands in for another."""
    rows = list(csv.DictReader((DATA / "prices.csv").read_text("utf-8").splitlines()))

    assert sorted(f"{row['model']}|{row['speed']}|{row['valid_from']}" for row in rows) == sorted(
        rate.id for rate in CARD.rates
    )
    assert len(rows) == len({rate.id for rate in CARD.rates})


def test_prices_are_positive_and_output_costs_more_than_input() -> None:
    """A price of nothing, or columns that changed places, would not be seen in a total."""
    for rate, prices in every_prices():
        assert 0 < prices.input < prices.output, rate.id
        assert prices.cache_read > 0, rate.id


def test_cached_tokens_are_cheaper_read_and_dearer_written() -> None:
    """Wherever the model caches at all, which Sonnet 3 alone does not."""
    for rate, prices in every_prices():
        read, sent = prices.cache_read, prices.input
        short, long = prices.cache_write_5m, prices.cache_write_1h
        if rate.model == "claude-3-sonnet":
            assert read == sent == short == long, rate.id
        else:
            assert read < sent < short < long, rate.id


def test_a_long_prompt_has_a_threshold_and_costs_more() -> None:
    """Both or neither, and no class becomes cheaper."""
    for rate in CARD.rates:
        assert (rate.long_prompt is None) == (rate.long_prices is None), rate.id
        if rate.long_prices is not None:
            assert rate.long_prompt in {100_000, 200_000}, rate.id
            for name in Prices.__struct_fields__:
                assert getattr(rate.prices, name) < getattr(rate.long_prices, name), rate.id


def test_a_rate_says_where_it_comes_from() -> None:
    """Each figure can be followed to a page, and says how sure it is."""
    for rate in CARD.rates:
        assert rate.source, rate.id
        assert rate.confidence in {"high", "medium", "low"}, rate.id
        assert rate.speed in {"standard", "fast"}, rate.id


def test_rates_follow_each_other() -> None:
    """Dates are in order, and two rates of a model and speed never hold on the same day."""
    for rate in CARD.rates:
        assert rate.valid_to is None or rate.valid_from < rate.valid_to
    for rate, following in pairwise(CARD.rates):
        if (rate.model, rate.speed) == (following.model, following.speed):
            assert rate.valid_to is not None
            assert rate.valid_to <= following.valid_from


def test_standard_prices_have_no_gap_and_no_end() -> None:
    """A response without fast mode is priced on every day from the model's first."""
    standard = [rate for rate in CARD.rates if rate.speed == "standard"]
    for rate, following in pairwise(standard):
        same = rate.model == following.model

        assert rate.valid_to == (following.valid_from if same else None)
    assert standard[-1].valid_to is None


def test_fast_mode_is_of_known_models_and_dearer() -> None:
    """It never starts before the model, and never costs less than its standard speed."""
    fast = [rate for rate in CARD.rates if rate.speed == "fast"]

    assert fast
    for rate in fast:
        standard = tariff(rate.model, rate.valid_from.isoformat())
        assert "before_first_price" not in standard.modifiers
        assert standard.prices.input < rate.prices.input
        assert standard.prices.output < rate.prices.output


def test_prices_fit_the_ledgers_decimals() -> None:
    """With all multipliers applied no price needs more than the twelve places of a dollar there."""
    smallest = Decimal("0.000000000001")
    for _, prices in every_prices():
        half = prices.times(Decimal("1.1")).times(Decimal("0.5"))
        for name in Prices.__struct_fields__:
            price = getattr(half, name)
            assert price == price.quantize(smallest)


def test_the_order_of_rows_in_the_file_changes_nothing() -> None:
    """A row may be added where it reads best."""
    turned = RateCard(reversed(CARD.rates), CARD._header, CARD.sha256)

    assert CARD.rates == turned.rates
    assert CARD.tariff("claude-opus-4-6", "fast", date(2026, 7, 1), None, None) == turned.tariff(
        "claude-opus-4-6", "fast", date(2026, 7, 1), None, None
    )


def test_the_basis_names_the_card() -> None:
    """What a report stands on: version, digest of the data, last day of checking (R12)."""
    data = (DATA / "card.json").read_bytes() + (DATA / "prices.csv").read_bytes()

    assert {
        "card": "2026.11.30",
        "sha256": hashlib.sha256(data).hexdigest(),
        "verified_through": "2026-11-30",
        "currency": "USD",
    } == CARD.basis


# the day of a price


@pytest.mark.parametrize(
    ("model", "speed", "day", "prices", "long_prices", "modifiers"),
    [
        # Sonnet 4: the long tier while prompts of a million tokens could be sent
        ("claude-sonnet-4", None, "2025-08-11", "3 15 0.3", "6 22.5 0.6", ""),
        ("claude-sonnet-4", None, "2026-04-29", "3 15 0.3", "6 22.5 0.6", ""),
        ("claude-sonnet-4", None, "2026-04-30", "3 15 0.3", "6 22.5 0.6", ""),
        # Sonnet 4.5: the same
        ("claude-sonnet-4-5", None, "2025-09-28", "3 15 0.3", "6 22.5 0.6", "before_first_price"),
        ("claude-sonnet-4-5", None, "2025-09-29", "3 15 0.3", "6 22.5 0.6", ""),
        ("claude-sonnet-4-5", None, "2026-04-29", "3 15 0.3", "6 22.5 0.6", ""),
        ("claude-sonnet-4-5", None, "2026-04-30", "3 15 0.3", "6 22.5 0.6", ""),
        # Opus 4.6: flat from 2026-03-13
        ("claude-opus-4-6", None, "2026-02-04", "5 25 0.5", "10 37.5 1", "before_first_price"),
        ("claude-opus-4-6", None, "2026-02-05", "5 25 0.5", "10 37.5 1", ""),
        ("claude-opus-4-6", None, "2026-03-12", "5 25 0.5", "10 37.5 1", ""),
        ("claude-opus-4-6", None, "2026-03-13", "5 25 0.5", None, ""),
        # Sonnet 4.6: flat from the same day
        ("claude-sonnet-4-6", None, "2026-02-16", "3 15 0.3", "6 22.5 0.6", "before_first_price"),
        ("claude-sonnet-4-6", None, "2026-02-17", "3 15 0.3", "6 22.5 0.6", ""),
        ("claude-sonnet-4-6", None, "2026-03-12", "3 15 0.3", "6 22.5 0.6", ""),
        ("claude-sonnet-4-6", None, "2026-03-13", "3 15 0.3", None, ""),
        # Opus 4.6 fast: a long tier for two weeks; after its end standard, without a doubt
        ("claude-opus-4-6", "fast", "2026-02-06", "5 25 0.5", "10 37.5 1", "speed_unpriced"),
        ("claude-opus-4-6", "fast", "2026-02-07", "30 150 3", "60 225 6", "fast"),
        ("claude-opus-4-6", "fast", "2026-02-19", "30 150 3", "60 225 6", "fast"),
        ("claude-opus-4-6", "fast", "2026-02-20", "30 150 3", None, "fast"),
        ("claude-opus-4-6", "fast", "2026-06-28", "30 150 3", None, "fast"),
        ("claude-opus-4-6", "fast", "2026-06-29", "5 25 0.5", None, ""),
        # Opus 4.7 fast
        ("claude-opus-4-7", "fast", "2026-05-11", "5 25 0.5", None, "speed_unpriced"),
        ("claude-opus-4-7", "fast", "2026-05-12", "30 150 3", None, "fast"),
        ("claude-opus-4-7", "fast", "2026-07-23", "30 150 3", None, "fast"),
        ("claude-opus-4-7", "fast", "2026-07-24", "5 25 0.5", None, "speed_unpriced"),
        # Opus 4.8 fast, which came out with the model
        (
            "claude-opus-4-8",
            "fast",
            "2026-05-27",
            "5 25 0.5",
            None,
            "before_first_price speed_unpriced",
        ),
        ("claude-opus-4-8", "fast", "2026-05-28", "10 50 1", None, "fast"),
        ("claude-opus-4-8", "fast", "2026-11-29", "10 50 1", None, "fast"),
        ("claude-opus-4-8", "fast", "2026-11-30", "5 25 0.5", None, "speed_unpriced"),
        (
            "claude-opus-4-8",
            "fast",
            "2026-12-01",
            "5 25 0.5",
            None,
            "carried_forward speed_unpriced",
        ),
        # fast modes that go on
        ("claude-opus-5", "fast", "2026-07-24", "10 50 1", None, "fast"),
        ("claude-opus-5-5", "fast", "2026-09-22", "8 40 0.4", None, "fast"),
        ("claude-fable-5-2", "fast", "2026-11-09", "16 80 0.4", None, "fast"),
        ("claude-mythos-5-2", "fast", "2026-11-09", "16 80 0.4", None, "fast"),
        # Sonnet 5: the rise announced for 2026-09-01 was cancelled on 2026-08-10
        ("claude-sonnet-5", None, "2026-06-29", "2 10 0.2", None, "before_first_price"),
        ("claude-sonnet-5", None, "2026-06-30", "2 10 0.2", None, ""),
        ("claude-sonnet-5", None, "2026-08-09", "2 10 0.2", None, ""),
        ("claude-sonnet-5", None, "2026-08-10", "2 10 0.2", None, ""),
        ("claude-sonnet-5", None, "2026-08-31", "2 10 0.2", None, ""),
        ("claude-sonnet-5", None, "2026-09-01", "2 10 0.2", None, ""),
        # Sonnet 5.5: cache reads at half the price
        ("claude-sonnet-5-5", None, "2026-10-06", "2 10 0.2", None, ""),
        ("claude-sonnet-5-5", None, "2026-10-07", "2 10 0.1", None, ""),
        # Haiku 3.5: its first price ended before Claude Code began
        ("claude-3-5-haiku", None, "2025-02-24", "0.8 4 0.08", None, ""),
    ],
)
def test_a_price_is_that_of_the_day(
    model: str, speed: str | None, day: str, *, prices: str, long_prices: str | None, modifiers: str
) -> None:
    """A change holds from its day on, and not a day earlier."""
    found = tariff(model, day, speed)

    assert prices == per_million(found.prices)
    assert long_prices == (found.long_prices and per_million(found.long_prices))
    assert modifiers == " ".join(found.modifiers)


def test_the_day_is_cut_in_utc() -> None:
    """A price changes at midnight there: the last microsecond before it has the old one."""
    midnight = datetime.fromisoformat("2026-10-07T00:00:00+00:00")
    times = [midnight - timedelta(microseconds=1), midnight]
    costs = priced(Used("claude-sonnet-5-5", time, cache_read_tokens=10**6) for time in times)

    assert [Decimal("0.20"), Decimal("0.10")] == costs["cost_usd"].to_list()


def test_long_ago_the_first_price_holds_with_a_doubt() -> None:
    """Some had access before the model came out: its first price is the best that is known."""
    row = priced_row(Used("claude-opus-5", noon("2020-01-01"), input_tokens=10**6))

    assert Decimal(5) == row["cost_usd"]
    assert row["rate_id"] == "claude-opus-5|standard|2026-07-24"
    assert row["price_modifiers"] == "before_first_price"


@pytest.mark.parametrize(
    ("model", "speed", "prices", "modifiers"),
    [
        ("claude-opus-4-5", None, "5 25 0.5", "undated"),
        ("claude-opus-5", "fast", "10 50 1", "fast undated"),
        ("claude-sonnet-5", "fast", "2 10 0.2", "undated speed_unpriced"),
        ("claude-sonnet-5", "slow", "2 10 0.2", "undated speed_unknown"),
    ],
)
def test_without_a_day_a_price_that_never_changed_holds(
    model: str, speed: str | None, prices: str, modifiers: str
) -> None:
    """It is marked, because the day would have told more."""
    found = tariff(model, None, speed)

    assert prices == per_million(found.prices)
    assert modifiers == " ".join(found.modifiers)


@pytest.mark.parametrize(
    ("model", "speed"),
    [
        ("claude-sonnet-5-5", None),
        ("claude-opus-4-6", None),
        ("claude-opus-4-6", "fast"),
        ("claude-sonnet-4-6", "fast"),
    ],
)
def test_without_a_day_a_price_that_changed_is_not_guessed(model: str, speed: str | None) -> None:
    """Which of several it was cannot be told."""
    assert CARD.tariff(model, speed, None, None, None) is None


# long prompts


@pytest.mark.parametrize(
    ("model", "day", "speed", "threshold", "cost_at", "cost_above"),
    [
        ("claude-sonnet-4", "2025-09-15", None, 200_000, "0.60", "1.200006"),
        ("claude-sonnet-4-5", "2026-02-01", None, 200_000, "0.60", "1.200006"),
        ("claude-opus-4-6", "2026-03-12", None, 200_000, "1.00", "2.000010"),
        ("claude-opus-4-6", "2026-02-10", "fast", 200_000, "6.00", "12.000060"),
        ("claude-sonnet-4-6", "2026-03-12", None, 200_000, "0.60", "1.200006"),
        ("claude-haiku-5-5", "2026-10-20", None, 100_000, "0.01", "0.0500005"),
    ],
)
def test_one_token_above_the_threshold_prices_the_whole_prompt(
    model: str, day: str, speed: str | None, *, threshold: int, cost_at: str, cost_above: str
) -> None:
    """A cliff, not a slope: up to the threshold the lower price, above it the higher one for all."""
    at = priced_row(Used(model, noon(day), input_tokens=threshold, speed=speed))
    above = priced_row(Used(model, noon(day), input_tokens=threshold + 1, speed=speed))

    assert [Decimal(cost_at), Decimal(cost_above)] == [at["cost_usd"], above["cost_usd"]]
    assert speed == at["price_modifiers"]
    assert " ".join(filter(None, (f"long>{threshold}", speed))) == above["price_modifiers"]


@pytest.mark.parametrize(
    ("model", "day", "speed", "cost"),
    [
        ("claude-opus-4-6", "2026-03-13", None, "1.000005"),
        ("claude-opus-4-6", "2026-02-20", "fast", "6.000030"),
        ("claude-sonnet-4-6", "2026-03-13", None, "0.600003"),
        ("claude-opus-4-5", "2026-03-13", None, "1.000005"),
        ("claude-opus-5-5", "2026-10-20", None, "0.800004"),
    ],
)
def test_a_flat_price_knows_no_long_prompt(
    model: str, day: str, speed: str | None, cost: str
) -> None:
    """Where the tier has ended, or never was, 200,001 tokens cost what they cost each."""
    row = priced_row(Used(model, noon(day), input_tokens=200_001, speed=speed))

    assert Decimal(cost) == row["cost_usd"]
    assert speed == row["price_modifiers"]


def test_all_of_the_prompt_counts_towards_the_threshold() -> None:
    """Input, cache reads and both cache writes; above it each class has its long price."""
    used = Used(
        "claude-haiku-5-5",
        noon("2026-10-20"),
        input_tokens=25_001,
        output_tokens=1000,
        cache_read_tokens=25_000,
        cache_write_5m_tokens=25_000,
        cache_write_1h_tokens=25_000,
    )
    row = priced_row(used)

    # millionths: 25,001 x 0.5, 1,000 x 2.5, 25,000 x 0.05, 25,000 x (0.625 + 1)
    assert Decimal("0.0125005") == row["cost_input_usd"]
    assert Decimal("0.0025") == row["cost_output_usd"]
    assert Decimal("0.00125") == row["cost_cache_read_usd"]
    assert Decimal("0.040625") == row["cost_cache_write_usd"]
    assert Decimal("0.0568755") == row["cost_usd"]


def test_output_never_counts_towards_the_threshold() -> None:
    """However much is answered, it is the prompt that is long or not."""
    used = Used("claude-haiku-5-5", noon("2026-10-20"), input_tokens=1, output_tokens=200_000)

    # millionths: 1 x 0.1, 200,000 x 0.5
    assert Decimal("0.1000001") == priced_row(used)["cost_usd"]


# speed


@pytest.mark.parametrize("speed", [None, "", "standard"])
def test_the_standard_speed_needs_no_word(speed: str | None) -> None:
    """Old transcripts do not name it."""
    assert tariff("claude-opus-5", "2026-09-01", speed).modifiers == ()


def test_an_unknown_speed_is_priced_standard_with_a_doubt() -> None:
    """It may cost something else."""
    found = tariff("claude-opus-5", "2026-09-01", "turbo")

    assert per_million(found.prices) == "5 25 0.5"
    assert found.modifiers == ("speed_unknown",)


def test_fast_mode_of_a_model_that_has_none_is_priced_standard_with_a_doubt() -> None:
    """No fast price is known, and none is made up."""
    found = tariff("claude-sonnet-5-5", "2026-10-20", "fast")

    assert per_million(found.prices) == "2 10 0.1"
    assert found.modifiers == ("speed_unpriced",)


# geography, platforms and tiers

BEFORE_4_6 = [
    "claude-3-opus",
    "claude-3-sonnet",
    "claude-3-haiku",
    "claude-3-5-sonnet",
    "claude-3-5-haiku",
    "claude-3-7-sonnet",
    "claude-sonnet-4",
    "claude-opus-4",
    "claude-opus-4-1",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "claude-opus-4-5",
]
SINCE_4_6 = [
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-mythos-preview",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-fable-5",
    "claude-mythos-5",
    "claude-sonnet-5",
    "claude-opus-5",
    "claude-fable-5-1",
    "claude-mythos-5-1",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-fable-5-2",
    "claude-mythos-5-2",
]
SINCE_4_5 = [*BEFORE_4_6[-3:], *SINCE_4_6]


def test_the_generations_cover_the_card() -> None:
    """Without this the tests below would pass over a new model."""
    assert {*BEFORE_4_6, *SINCE_4_6} == {rate.model for rate in CARD.rates}


@pytest.mark.parametrize("model", SINCE_4_6)
def test_inference_in_the_united_states_costs_a_tenth_more(model: str) -> None:
    """Every class of tokens, long prompts too, of 4.6 and later."""
    plain = tariff(model, "2026-11-20")
    there = tariff(model, "2026-11-20", geo="us")

    assert plain.prices.times(Decimal("1.1")) == there.prices
    assert (plain.long_prices and plain.long_prices.times(Decimal("1.1"))) == there.long_prices
    assert there.modifiers == ("us1.1",)


@pytest.mark.parametrize("model", BEFORE_4_6)
def test_earlier_models_cost_the_same_everywhere(model: str) -> None:
    """Up to 4.5 the place of inference cannot be asked for."""
    assert tariff(model, "2026-01-20") == tariff(model, "2026-01-20", geo="us")


@pytest.mark.parametrize("geo", [None, "", "global", "eu", "not_available"])
def test_other_places_cost_nothing_more(geo: str | None) -> None:
    """Only the United States have a price of their own."""
    assert tariff("claude-opus-5", "2026-11-20") == tariff("claude-opus-5", "2026-11-20", geo=geo)


def test_fast_mode_and_the_united_states_multiply() -> None:
    """$10, $50 and $1, a tenth more."""
    found = tariff("claude-opus-5", "2026-09-01", "fast", geo="us")

    assert per_million(found.prices) == "11 55 1.1"
    assert found.modifiers == ("fast", "us1.1")


@pytest.mark.parametrize("model", SINCE_4_5)
def test_a_regional_endpoint_of_bedrock_costs_a_tenth_more(model: str) -> None:
    """From the 4.5 generation on, and wherever the region is."""
    plain = tariff(model, "2026-11-20")
    regional = tariff(f"eu.anthropic.{model}-v1:0", "2026-11-20")

    assert plain.prices.times(Decimal("1.1")) == regional.prices
    assert regional.modifiers == ("regional1.1",)
    assert plain == tariff(f"global.anthropic.{model}-v1:0", "2026-11-20")


@pytest.mark.parametrize("model", BEFORE_4_6[:-3])
def test_regional_endpoints_of_earlier_models_cost_the_same(model: str) -> None:
    """The premium came with the 4.5 generation."""
    plain = tariff(model, "2026-01-20")

    assert plain == tariff(f"us.anthropic.{model}-v1:0", "2026-01-20")
    assert plain == tariff(f"{model}@20250514", "2026-01-20")


def test_the_regional_premium_stands_instead_of_that_of_the_united_states() -> None:
    """An American endpoint of Bedrock is a tenth dearer, not a fifth."""
    found = tariff("us.anthropic.claude-opus-5", "2026-11-20", geo="us")

    assert per_million(found.prices) == "5.5 27.5 0.55"
    assert found.modifiers == ("regional1.1",)


def test_vertex_does_not_say_whether_the_endpoint_is_regional() -> None:
    """Its global price is taken, with a doubt."""
    found = tariff("claude-haiku-4-5@20251001", "2026-11-20")

    assert per_million(found.prices) == "1 5 0.1"
    assert found.modifiers == ("region_unknown",)


def test_a_batch_costs_half() -> None:
    """Every class of tokens, and on top of other multipliers."""
    found = tariff("claude-opus-4-8", "2026-06-15", tier="batch")
    there = tariff("claude-opus-4-8", "2026-06-15", geo="us", tier="batch")

    assert per_million(found.prices) == "2.5 12.5 0.25"
    assert found.modifiers == ("batch0.5",)
    assert per_million(there.prices) == "2.75 13.75 0.275"
    assert there.modifiers == ("us1.1", "batch0.5")


def test_the_priority_tier_is_priced_at_list_with_a_doubt() -> None:
    """What it really costs is a contract's matter."""
    found = tariff("claude-opus-4-8", "2026-06-15", tier="priority")

    assert per_million(found.prices) == "5 25 0.5"
    assert found.modifiers == ("service_tier_priority",)


@pytest.mark.parametrize("tier", [None, "", "standard", "something-new"])
def test_other_tiers_change_nothing(tier: str | None) -> None:
    """The standard tier is the list price."""
    assert tariff("claude-opus-4-8", "2026-06-15", tier=tier).modifiers == ()


def test_web_searches_cost_a_cent_each() -> None:
    """They are no tokens: neither a batch nor the place of inference changes their price."""
    used = Used(
        "claude-opus-5",
        noon("2026-09-01"),
        web_searches=7,
        inference_geo="us",
        service_tier="batch",
    )
    row = priced_row(used)

    assert Decimal("0.07") == row["cost_web_search_usd"]
    assert Decimal("0.07") == row["cost_usd"]


# what has no price


@pytest.mark.parametrize("model", [None, "", "claude-opus-6", "opus", "glm-4.7"])
def test_an_unknown_model_stays_unpriced(model: str | None) -> None:
    """No part of its cost is known, searches included, and nothing is said of a rate."""
    used = Used(
        model, noon("2026-09-01"), input_tokens=1, output_tokens=1, web_searches=1, speed="fast"
    )
    row = priced_row(used)
    names = ("cost_usd", *COSTS, "rate_id", "price_source", "price_confidence", "price_modifiers")

    assert dict.fromkeys(names) == {name: row[name] for name in names}


def test_a_price_says_where_it_comes_from() -> None:
    """Its row of the card, the page behind it, and how sure that is."""
    row = priced_row(Used("claude-mythos-preview", noon("2026-05-01"), input_tokens=1))

    assert row["rate_id"] == "claude-mythos-preview|standard|2026-04-07"
    assert "Glasswing" in row["price_source"]
    assert row["price_confidence"] == "low"


@given(
    model=st.none() | st.text() | st.sampled_from(SINCE_4_6),
    speed=st.none() | st.text() | st.just("fast"),
    day=st.none() | st.dates(),
    geo=st.none() | st.text() | st.just("us"),
    tier=st.none() | st.text() | st.just("batch"),
)
def test_whatever_a_response_says_of_itself_it_has_a_tariff_or_none(
    model: str | None, speed: str | None, day: date | None, geo: str | None, tier: str | None
) -> None:
    """Nothing in a transcript can make the card fail, or give a price that is not above zero."""
    found = CARD.tariff(model, speed, day, geo, tier)

    if found is not None:
        assert min(getattr(found.prices, name) for name in Prices.__struct_fields__) > 0
