"""Tokens and money as people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenaudit.model.terms import Usage
from tokenaudit.model.units import (
    format_bytes,
    format_cost,
    format_count,
    format_number,
    format_percent,
    format_tokens,
    format_usage_compact,
    format_usage_detailed,
)

SIZES = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
DOLLARS = st.decimals(-(10**12), 10**12, places=12)
USAGE = Usage(
    responses=2,
    input_tokens=1200,
    output_tokens=1400,
    cache_read_tokens=400,
    cache_write_5m_tokens=600,
    cache_write_1h_tokens=500,
    cost_usd=Decimal("0.0402"),
)
"""In: 1,200 + 400 + 600 + 500 = 2,700; with 1,400 out that makes 4,100."""


# numbers


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0.0, "0"),
        (12.0, "12"),
        (1234.56789, "1,234.568"),
        (-0.25, "-0.25"),
        (0.00001234, "1.23e-05"),
    ],
)
def test_numbers_have_three_decimals_at_most(number: float, words: str) -> None:
    assert words == format_number(number)


# shares


# tokens


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (0, "0"),
        (1, "1"),
        (500, "500"),
        (999, "999"),
        (1000, "1.0K"),
        (1500, "1.5K"),
        (1549, "1.5K"),
        (1551, "1.6K"),
        (150_000, "150.0K"),
        (999_949, "999.9K"),
        # what rounds to a thousand of a unit is one of the next
        (999_950, "1.0M"),
        (999_960, "1.0M"),
        (999_999, "1.0M"),
        (1_000_000, "1.0M"),
        (2_500_000, "2.5M"),
        (999_949_999, "999.9M"),
        (999_999_999, "1.0B"),
        (3_400_000_000, "3.4B"),
        (999_999_999_999, "1.0T"),
        (12_000_000_000_000, "12.0T"),
        (2**53 - 1, "9007.2T"),
        (-1, "-1"),
        (-1500, "-1.5K"),
        (-999_999, "-1.0M"),
    ],
)
def test_tokens_are_shortened(tokens: int, words: str) -> None:
    """One decimal of thousands, millions, billions or trillions."""
    assert words == format_tokens(tokens)


@given(st.integers(0, 10**15 - 10**11))
def test_short_tokens_are_near_and_narrow(tokens: int) -> None:
    """Never more than five characters and a unit, and never off by more than half a step."""
    words = format_tokens(tokens)
    digits = words.rstrip("KMBT")
    size = SIZES.get(words[-1], 1)

    assert len(digits) <= 5
    assert words == digits + words[len(digits) :]
    assert abs(Decimal(digits) * size - tokens) <= (Decimal(size) / 20 if size > 1 else 0)


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_shortening_keeps_the_order(one: int, other: int) -> None:
    """More tokens never read as fewer."""

    def read(tokens: int) -> Decimal:
        words = format_tokens(tokens)
        return Decimal(words.rstrip("KMBT")) * SIZES.get(words[-1], 1)

    assert (one <= other) <= (read(one) <= read(other))


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000")],
)
def test_counts_are_exact(number: int, words: str) -> None:
    """Every digit, in groups of three."""
    assert words == format_count(number)


# money


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (Decimal(0), "$0.00"),
        (Decimal("0E-12"), "$0.00"),
        (0, "$0.00"),
        (0.0, "$0.00"),
        (-0.0, "$0.00"),
        (Decimal("0.000000000001"), "<$0.01"),
        (Decimal("0.005"), "<$0.01"),
        (Decimal("0.009999"), "<$0.01"),
        (1e-7, "<$0.01"),
        (Decimal("0.01"), "$0.01"),
        (0.05, "$0.05"),
        (Decimal("0.05"), "$0.05"),
        (1.234, "$1.23"),
        (Decimal("1.235"), "$1.24"),
        (Decimal("1.245"), "$1.24"),
        (Decimal("0.999"), "$1.00"),
        (2.675, "$2.68"),
        (5, "$5.00"),
        (Decimal("1234567.891"), "$1,234,567.89"),
        (Decimal("36479156981701.01355"), "$36,479,156,981,701.01"),
        (Decimal("-1.5"), "-$1.50"),
        (Decimal("-0.001"), ">-$0.01"),
        (None, "n/a"),
    ],
)
def test_costs_are_written_in_cents(cost: Decimal | float | None, words: str) -> None:
    """Nothing is shown as free but what is, and what is unknown is not shown as nothing."""
    assert words == format_cost(cost)


@pytest.mark.parametrize(
    ("cost", "places", "words"),
    [
        (Decimal("1.23456789"), 4, "$1.2346"),
        (Decimal("0.00004"), 4, "<$0.0001"),
        (Decimal("-0.00004"), 4, ">-$0.0001"),
        (Decimal("1234.5"), 0, "$1,234"),
        (Decimal("0.4"), 0, "<$1"),
        (Decimal("0.000000012"), 8, "$0.00000001"),
        (Decimal("0.000000002"), 8, "<$0.00000001"),
        (Decimal(0), 12, "$0.000000000000"),
    ],
)
def test_costs_can_be_written_finer(cost: Decimal, places: int, words: str) -> None:
    """With as many decimals as asked for, never in powers of ten."""
    assert words == format_cost(cost, places=places)


@given(DOLLARS)
def test_a_written_cost_is_within_half_a_cent(cost: Decimal) -> None:
    """Or says that it is less than a cent."""
    words = format_cost(cost)
    if words.startswith(("<", ">")):
        assert 0 < abs(cost) < Decimal("0.01")
    else:
        written = Decimal(words.replace("$", "").replace(",", ""))
        assert abs(written - cost) <= Decimal("0.005")
        assert (written == 0) == (cost == 0)


# usage


def test_usage_in_a_few_words() -> None:
    """All tokens, those read from the cache, and the cost."""
    assert format_usage_compact(USAGE) == "4.1K tok (400 cached) $0.04"


def test_usage_in_a_line() -> None:
    """What was sent and what came back apart."""
    assert format_usage_detailed(USAGE) == "In: 2.7K tok, Out: 1.4K tok, Cost: $0.04 (400 cached)"


def test_usage_without_cache_reads() -> None:
    """They are left out; tokens written to the cache are not read from it."""
    usage = Usage(input_tokens=10, output_tokens=5, cache_write_1h_tokens=100)

    assert format_usage_compact(usage) == "115 tok $0.00"
    assert format_usage_detailed(usage) == "In: 110 tok, Out: 5 tok, Cost: $0.00"


def test_no_usage() -> None:
    """Nothing was used, and that cost nothing."""
    assert format_usage_compact(Usage()) == "0 tok $0.00"
    assert format_usage_detailed(Usage()) == "In: 0 tok, Out: 0 tok, Cost: $0.00"


def test_usage_that_is_priced_in_part_costs_at_least_so_much() -> None:
    """The cost is a lower bound, and says of how many responses it knows nothing (R10)."""
    usage = Usage(
        responses=1500,
        input_tokens=2500,
        cost_usd=Decimal("1.5"),
        unpriced_responses=1400,
    )

    assert format_usage_compact(usage) == "2.5K tok ≥ $1.50 (1,400 unpriced)"
    assert (
        format_usage_detailed(usage) == "In: 2.5K tok, Out: 0 tok, Cost: ≥ $1.50 (1,400 unpriced)"
    )


def test_usage_that_is_not_priced_at_all() -> None:
    """There is no bound to show, and above all no zero."""
    usage = Usage(responses=3, output_tokens=30, cost_usd=None, unpriced_responses=3)

    assert format_usage_compact(usage) == "30 tok n/a (3 unpriced)"
    assert format_usage_detailed(usage) == "In: 0 tok, Out: 30 tok, Cost: n/a (3 unpriced)"


@given(*[st.integers(0, 10**12)] * 5)
def test_a_usage_adds_up(one: int, two: int, three: int, four: int, five: int) -> None:
    """The total is what was sent and what came back."""
    usage = Usage(
        input_tokens=one,
        output_tokens=two,
        cache_read_tokens=three,
        cache_write_5m_tokens=four,
        cache_write_1h_tokens=five,
    )

    assert sum((one, two, three, four, five)) == usage.total_tokens
    assert usage.total_tokens == usage.prompt_tokens + two
    assert three == usage.cached_tokens


def test_a_share_of_a_hundred_has_one_decimal() -> None:
    """A little more than nothing is not called nothing, nor a little less than all all of it."""
    shares = (0.0, 0.04, 0.1, 15.44, 99.94, 99.96, 100.0, 100.04, 1234.5)

    assert [format_percent(share) for share in shares] == [
        "0.0%",
        "<0.1%",
        "0.1%",
        "15.4%",
        "99.9%",
        ">99.9%",
        "100.0%",
        "100.0%",
        "1,234.5%",
    ]


# bytes


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1550, "1.6 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_bytes_are_written_in_thousands(count: int, words: str) -> None:
    """What would round to a thousand of a unit is one of the next; beyond the last none is left."""
    assert words == format_bytes(count)
