"""What a rate is: prices of a model from one day to another, and what became of them for a response.

Prices are exact decimals in US dollars per token.
"""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self

from msgspec import Struct

__all__ = [
    "ALWAYS",
    "CLASSES",
    "GEOGRAPHIES",
    "LONG",
    "MILLION",
    "ONE",
    "TIERS",
    "UNBILLED",
    "Modifier",
    "Prices",
    "Rate",
    "RateOrigin",
    "Tariff",
]

MILLION: Final = Decimal(1_000_000)
GEOGRAPHIES: Final = ("us",)
"""Where inference may run at a price of its own; every other place is at that of the rate."""
TIERS: Final = ("batch", "priority")
"""The service tiers that have a price of their own, or none that is public."""
ONE: Final = Decimal(1)
ALWAYS: Final = date.min
"""The first day of a rate that holds since ever."""

CLASSES: Final = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
"""The classes of tokens, as prices name them."""


class RateOrigin(StrEnum):
    """Which source a rate is from; in the order in which they are asked."""

    USER = "user rates"
    CARD = "rate card"
    LIBRARY = "genai-prices"


class Prices(Struct, frozen=True):
    """US dollars per token, by class."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal

    def times(self, factor: Decimal) -> "Prices":
        """Return all prices multiplied by *factor*."""
        return Prices(*(getattr(self, name) * factor for name in CLASSES))


class Rate(Struct, frozen=True):
    """One row of the card."""

    model: str
    speed: str
    valid_from: date
    valid_to: date | None
    """The first day on which it no longer holds."""
    prices: Prices
    long_prompt: int | None
    """A prompt of more tokens than this is priced by `long_prices`, as a whole (R10)."""
    long_prices: Prices | None
    us_multiplier: Decimal
    """For inference that ran in the United States only."""
    source: str
    confidence: str
    origin: RateOrigin = RateOrigin.CARD

    @property
    def id(self) -> str:
        """A name for this row: `claude-sonnet-5-5|standard|2026-10-07`."""
        start = "always" if self.valid_from == ALWAYS else str(self.valid_from)
        origin = () if self.origin is RateOrigin.CARD else (self.origin.value,)
        return "|".join((self.model, self.speed, start, *origin))

    def holds_on(self, day: date) -> bool:
        """Tell whether the rate is in force on *day*."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class Modifier(str):
    """Something that changed a plain price, or a doubt about it; as a text, how the ledger writes it."""

    __slots__ = ("name", "value")
    name: str
    """Which it is: `us`, `batch`, `carried_forward`."""
    value: str
    """By how much, or what; empty where that says nothing."""

    def __new__(cls, name: str, value: object = "") -> Self:
        """Make the modifier called *name*, with what it was, if that is told."""
        made = super().__new__(cls, f"{name}{value}")
        made.name, made.value = name, str(value)
        return made


LONG: Final = "long>"
"""The name of the modifier that a long prompt is; its value is the limit."""
UNBILLED: Final = "unbilled_refusal"
"""The name of the modifier that what was refused before any output has, which is not billed."""


class Tariff(Struct, frozen=True):
    """What one kind of response costs: a rate with its multipliers applied."""

    rate: Rate
    prices: Prices
    """At list price; those of a long prompt are `long_prices`."""
    long_prices: Prices | None
    modifiers: tuple[Modifier, ...]
    """What changed the plain price, and doubts about it: `us1.1`, `batch0.5`, `before_first_price`."""
    discount: Decimal = ONE
    """What the user pays of the list price, as a part of one."""
