"""The cost of one response in whole picodollars, for those who cannot wait for decimals or frames.

Prices are those of the rate card, which 12 places hold exactly; the arithmetic is that of `cost_of`,
and tests hold both to one meaning. No import at all: the status line has 30 milliseconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["CLASSES", "cost"]

CLASSES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
"""The order of counts and prices here."""

_OUTPUT = 1


def cost(counts: Sequence[int], tariff: Mapping[str, Any], web_searches: int = 0) -> int:
    """Return the cost of a response with *counts* of tokens, in the order of CLASSES.

    *tariff* is `{prices, long_prompt, long_prices, discount: [part, whole], web_search}`, prices in
    picodollars per token. Each part of a discounted cost is rounded half to even.
    """
    prices = tariff["prices"]
    longest = tariff["long_prompt"]
    if longest is not None and sum(counts) - counts[_OUTPUT] > longest and tariff["long_prices"]:
        prices = tariff["long_prices"]
    fresh, output, read, write_5m, write_1h = (
        count * price for count, price in zip(counts, prices, strict=True)
    )
    part, whole = tariff["discount"]
    listed = (fresh, output, read, write_5m + write_1h)
    paid = sum(listed) if part == whole else sum(_half_even(each * part, whole) for each in listed)
    return int(paid + web_searches * tariff["web_search"])


def _half_even(amount: int, whole: int) -> int:
    quotient, rest = divmod(amount, whole)
    twice = 2 * rest
    return quotient + (twice > whole or (twice == whole and quotient % 2 == 1))
