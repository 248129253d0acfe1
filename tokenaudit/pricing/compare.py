"""Compares the prices of two sources, cell by cell."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from tokenaudit.pricing.rates import CLASSES, MILLION, Prices, Rate

__all__ = ["Difference", "cells", "differences"]


class Difference(Struct, frozen=True):
    """A price that two sources do not agree on, in US dollars per million tokens."""

    rate_id: str
    cell: str
    """The class of tokens; `long_` before it for the price of long prompts."""
    one: Decimal | None
    other: Decimal | None
    """None where the other source has no such price."""


def cells(rate: Rate) -> Iterator[tuple[str, Decimal]]:
    """Yield the name and the price, per million tokens, of everything that *rate* says."""
    yield from _cells(rate.prices, "")
    if rate.long_prices is not None:
        yield from _cells(rate.long_prices, "long_")


def _cells(prices: Prices, prefix: str) -> Iterator[tuple[str, Decimal]]:
    for name in CLASSES:
        price = getattr(prices, name)
        # a cache price equal to that of input stands for a model without prompt caching
        if not name.startswith("cache_") or price != prices.input:
            yield f"{prefix}{name}", (price * MILLION).normalize()


def differences(ones: Iterable[Rate], others: Sequence[Rate]) -> list[Difference]:
    """Return where *others* do not say what *ones* say, on the first day of each of these."""
    found = []
    for rate in ones:
        match = _match(rate, others)
        said = dict(cells(match)) if match else {}
        found += [
            Difference(rate.id, name, price, said.get(name))
            for name, price in cells(rate)
            if said.get(name) != price
        ]
    return found


def _match(rate: Rate, others: Sequence[Rate]) -> Rate | None:
    alike = (each for each in others if (each.model, each.speed) == (rate.model, rate.speed))
    return next((each for each in alike if each.holds_on(rate.valid_from)), None)
