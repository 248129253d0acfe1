"""How tokens, money and durations are written for people: the only such place."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from tokenaudit.model.terms import Usage

__all__ = [
    "format_bytes",
    "format_cost",
    "format_count",
    "format_number",
    "format_percent",
    "format_price",
    "format_tokens",
    "format_usage_compact",
    "format_usage_detailed",
]

_THOUSAND: Final = 1000
_LEAST_PERCENT: Final = 0.1
_WHOLE_PERCENT: Final = 100
_STEPS: Final = ((10**3, "K"), (10**6, "M"), (10**9, "B"), (10**12, "T"))
_BYTES: Final = ((10**3, "kB"), (10**6, "MB"), (10**9, "GB"), (10**12, "TB"))


def format_tokens(tokens: int) -> str:
    """Write a count of tokens with at most five characters of digits: `500`, `1.5K`, `2.5M`.

    What would round to 1,000.0 of a unit is written in the next one: 999,960 is `1.0M`.
    """
    if abs(tokens) < _THOUSAND:
        return str(tokens)
    for size, suffix in _STEPS:
        scaled = (Decimal(tokens) / size).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        if abs(scaled) < _THOUSAND or suffix == _STEPS[-1][1]:
            return f"{scaled}{suffix}"
    raise AssertionError(tokens)  # the last step always returns


def format_bytes(count: int) -> str:
    """Write a count of bytes in units of 1000, as `df -H` does: `512 B`, `1.5 kB`, `2.5 MB`."""
    if count < _THOUSAND:
        return f"{count} B"
    for size, unit in _BYTES:
        scaled = (Decimal(count) / size).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        if scaled < _THOUSAND or unit == _BYTES[-1][1]:
            return f"{scaled} {unit}"
    raise AssertionError(count)  # the last step always returns


def format_count(number: int) -> str:
    """Write a whole number exactly, with thousands separated: `1,234,567`."""
    return f"{number:,}"


def format_percent(percent: float) -> str:
    """Write a share of a hundred with one decimal: `15.4%`; 0% and 100% only where they are true."""
    if 0 < percent < _LEAST_PERCENT:
        return f"<{_LEAST_PERCENT}%"
    said = f"{percent:,.1f}%"
    return ">99.9%" if said == "100.0%" and percent < _WHOLE_PERCENT else said


def format_cost(cost: Decimal | float | None, *, places: int = 2) -> str:
    """Write US dollars: `$1.23`; `$0.00` only for a true zero, else `<$0.01`; `n/a` for None.

    Takes a Decimal, or any number for convenience. Never shows more than *places* decimals.
    """
    if cost is None:
        return "n/a"
    exact = cost if isinstance(cost, Decimal) else Decimal(repr(cost))
    smallest = Decimal(1).scaleb(-places)
    if exact and abs(exact) < smallest:
        return f"<${smallest:f}" if exact > 0 else f">-${smallest:f}"
    rounded = exact.quantize(smallest, ROUND_HALF_EVEN)
    return f"-${-rounded:,f}" if rounded < 0 else f"${abs(rounded):,f}"


def format_price(price: Decimal) -> str:
    """Write US dollars to their last digit, and at least two decimals: `$0.0125`, `$3.00`."""
    whole, _, fraction = f"{abs(price):,f}".partition(".")
    return f"{'-' if price < 0 else ''}${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def format_number(number: float) -> str:
    """Write a number that need not be whole with up to three decimals: `1,234.5`; tiny ones as `1e-05`."""
    if number and abs(number) < 1 / _THOUSAND:
        return f"{number:.3g}"
    return f"{number:,.3f}".rstrip("0").rstrip(".")


def format_usage_compact(usage: Usage) -> str:
    """Write *usage* in a few words: `4.1K tok (400 cached) $0.04`."""
    return f"{format_tokens(usage.total_tokens)} tok{_cached(usage)} {_cost(usage)}"


def format_usage_detailed(usage: Usage) -> str:
    """Write *usage* in a line: `In: 2.7K tok, Out: 1.4K tok, Cost: $0.04 (400 cached)`."""
    return (
        f"In: {format_tokens(usage.prompt_tokens)} tok,"
        f" Out: {format_tokens(usage.output_tokens)} tok,"
        f" Cost: {_cost(usage)}{_cached(usage)}"
    )


def _cost(usage: Usage) -> str:
    """Write what *usage* cost; where responses are unpriced, as the least it can be (R10)."""
    cost = format_cost(usage.cost_usd)
    if not usage.unpriced_responses:
        return cost
    least = "" if usage.cost_usd is None else "≥ "
    return f"{least}{cost} ({format_count(usage.unpriced_responses)} unpriced)"


def _cached(usage: Usage) -> str:
    return f" ({format_tokens(usage.cached_tokens)} cached)" if usage.cached_tokens else ""
