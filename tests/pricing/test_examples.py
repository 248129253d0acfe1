"""Twenty responses whose cost was worked out by hand from the published prices."""

from decimal import Decimal
from typing import Final

import pytest
from usage_rows import Used, noon, priced, priced_row, scalar_cost

EXAMPLES: Final = {
    "Sonnet 4.5, cache read and 5-minute write": (
        Used(
            "claude-sonnet-4-5-20250929",
            noon("2025-10-15"),
            input_tokens=1200,
            cache_read_tokens=85_000,
            cache_write_5m_tokens=6400,
            output_tokens=2150,
        ),
        "0.085350",
    ),
    "Opus 4.5, cache writes of both kinds": (
        Used(
            "claude-opus-4-5-20251101",
            noon("2026-01-10"),
            input_tokens=12,
            cache_read_tokens=142_318,
            cache_write_5m_tokens=1024,
            cache_write_1h_tokens=20_480,
            output_tokens=3777,
        ),
        "0.376844",
    ),
    "Sonnet 4.5, 215,000 tokens of prompt": (
        Used(
            "claude-sonnet-4-5-20250929",
            noon("2026-02-01"),
            input_tokens=5000,
            cache_read_tokens=180_000,
            cache_write_5m_tokens=30_000,
            output_tokens=4000,
        ),
        "0.453000",
    ),
    "Sonnet 4.5, exactly 200,000 tokens of prompt": (
        Used(
            "claude-sonnet-4-5-20250929",
            noon("2026-02-01"),
            input_tokens=10_000,
            cache_read_tokens=190_000,
            output_tokens=1000,
        ),
        "0.102000",
    ),
    "Sonnet 4 [1m], 250,000 tokens of prompt": (
        Used(
            "claude-sonnet-4-20250514[1m]",
            noon("2025-09-15"),
            input_tokens=250_000,
            output_tokens=10_000,
        ),
        "1.725000",
    ),
    "Opus 4.6, 312,000 tokens of prompt, tiered": (
        Used(
            "claude-opus-4-6",
            noon("2026-02-20"),
            input_tokens=2000,
            cache_read_tokens=300_000,
            cache_write_1h_tokens=10_000,
            output_tokens=5000,
        ),
        "0.707500",
    ),
    "Opus 4.6, 312,000 tokens of prompt, flat": (
        Used(
            "claude-opus-4-6",
            noon("2026-03-20"),
            input_tokens=2000,
            cache_read_tokens=300_000,
            cache_write_1h_tokens=10_000,
            output_tokens=5000,
        ),
        "0.385000",
    ),
    "Opus 4.6, fast": (
        Used(
            "claude-opus-4-6",
            noon("2026-03-25"),
            input_tokens=1000,
            cache_read_tokens=50_000,
            cache_write_5m_tokens=2000,
            output_tokens=4000,
            speed="fast",
        ),
        "0.855000",
    ),
    "Opus 5, fast, in the United States": (
        Used(
            "claude-opus-5",
            noon("2026-09-01"),
            input_tokens=500,
            cache_read_tokens=80_000,
            cache_write_1h_tokens=3000,
            output_tokens=2000,
            speed="fast",
            inference_geo="us",
        ),
        "0.269500",
    ),
    "Fable 5.1 [1m], three web searches": (
        Used(
            "claude-fable-5-1[1m]",
            noon("2026-09-20"),
            input_tokens=3000,
            cache_read_tokens=400_000,
            cache_write_1h_tokens=25_000,
            output_tokens=6000,
            web_searches=3,
        ),
        "0.960000",
    ),
    "Haiku 5.5, 104,500 tokens of prompt": (
        Used(
            "claude-haiku-5-5",
            noon("2026-10-20"),
            input_tokens=1500,
            cache_read_tokens=95_000,
            cache_write_5m_tokens=8000,
            output_tokens=2500,
        ),
        "0.016750",
    ),
    "Haiku 5.5, exactly 100,000 tokens of prompt": (
        Used(
            "claude-haiku-5-5",
            noon("2026-10-20"),
            input_tokens=1500,
            cache_read_tokens=90_500,
            cache_write_5m_tokens=8000,
            output_tokens=2500,
        ),
        "0.003305",
    ),
    "Sonnet 5.5, cache reads at $0.20": (
        Used(
            "claude-sonnet-5-5",
            noon("2026-10-01"),
            input_tokens=2000,
            cache_read_tokens=500_000,
            cache_write_1h_tokens=10_000,
            output_tokens=8000,
        ),
        "0.224000",
    ),
    "Sonnet 5.5, cache reads at $0.10": (
        Used(
            "claude-sonnet-5-5",
            noon("2026-10-10"),
            input_tokens=2000,
            cache_read_tokens=500_000,
            cache_write_1h_tokens=10_000,
            output_tokens=8000,
        ),
        "0.174000",
    ),
    "Sonnet 5, whose announced rise was cancelled": (
        Used(
            "claude-sonnet-5",
            noon("2026-10-05"),
            input_tokens=10_000,
            cache_write_5m_tokens=5000,
            output_tokens=1000,
        ),
        "0.042500",
    ),
    "Fable 5.2, fast": (
        Used(
            "claude-fable-5-2",
            noon("2026-11-12"),
            input_tokens=1000,
            cache_read_tokens=60_000,
            cache_write_1h_tokens=5000,
            output_tokens=2000,
            speed="fast",
        ),
        "0.360000",
    ),
    "Sonnet 4.5 from a regional endpoint of Bedrock": (
        Used(
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            noon("2026-06-01"),
            input_tokens=100_000,
            output_tokens=10_000,
        ),
        "0.495000",
    ),
    "Haiku 3, whose cache prices are rounded": (
        Used(
            "claude-3-haiku-20240307",
            noon("2025-11-01"),
            input_tokens=10_000,
            cache_read_tokens=100_000,
            cache_write_5m_tokens=20_000,
            output_tokens=5000,
        ),
        "0.017750",
    ),
    "Opus 4.8, in a batch": (
        Used(
            "claude-opus-4-8",
            noon("2026-06-15"),
            input_tokens=100_000,
            cache_read_tokens=50_000,
            output_tokens=20_000,
            service_tier="batch",
        ),
        "0.512500",
    ),
    "Mythos 5": (
        Used(
            "claude-mythos-5",
            noon("2026-07-01"),
            input_tokens=10_000,
            cache_read_tokens=20_000,
            cache_write_5m_tokens=1000,
            output_tokens=2000,
        ),
        "0.232500",
    ),
}

each_example = pytest.mark.parametrize(("used", "cost"), EXAMPLES.values(), ids=EXAMPLES)


@each_example
def test_a_frame_is_priced_to_the_last_digit(used: Used, cost: str) -> None:
    """Whole columns of tokens give the published price, with nothing rounded."""
    assert Decimal(cost) == priced_row(used)["cost_usd"]


@each_example
def test_one_response_is_priced_to_the_last_digit(used: Used, cost: str) -> None:
    """So does the twin that takes them one by one."""
    assert Decimal(cost) == scalar_cost(used)


def test_all_examples_in_one_frame() -> None:
    """Neighbours in a frame do not touch each other's price, and rows keep their order."""
    costs = [Decimal(cost) for _, cost in EXAMPLES.values()]

    assert costs == priced(used for used, _ in EXAMPLES.values())["cost_usd"].to_list()
