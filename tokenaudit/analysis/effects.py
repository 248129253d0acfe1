"""Takes the difference between two costs apart, exactly: volume, mix, context, replies, cache, price.

The responses of each period are grouped by model and speed. What a response of a group costs is

    u = P x Sum(s_c x p_c) + o x p_o + w

with P prompt tokens and o output tokens per response, s_c the share of class c (input, cache reads,
cache writes for five minutes and for an hour) in the prompts, p the average price paid for a token of
a class, and w the web searches. From the first period, 1, to the second, 2, one thing after the other
is changed, in this order; each effect is what the cost moves by:

    volume        (n2 - n1) x U1               as many responses as in 2, at the average cost U1 of 1
    model mix     Sum over groups n2 x (u1 - U1)    the models of 2
    context size  n2 x (P2 - P1) x Sum(s1 x p1)     prompts as long as in 2
    reply length  n2 x (o2 - o1) x p1_o             replies as long as in 2
    web searches  n2 x (w2 - w1)                    as many searches as in 2
    cache         n2 x P2 x Sum((s2 - s1) x p1)     read, written or sent anew as in 2
    price         the rest: the same tokens at the prices of 2

A group that is new in 2 enters with its own cost, all of it as model mix. A class that 1 has no token
of has the price of 2. Where 1 has no response at all, everything is volume. Every effect is a sum over
the responses of 2 (and, for volume, less those of 1), so that each session has its part of each.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final

from msgspec import Struct, field

__all__ = ["PROMPT", "Effect", "Effects", "Spent", "effects_of"]

PROMPT: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h")
"""The classes of which a prompt consists."""

_OUTPUT: Final = "output"
_PICODOLLARS: Final = 10**12
_DIGITS: Final = 60
_ZERO: Final = Fraction(0)


class Effect(StrEnum):
    """One of the reasons for a difference; in the order in which they are taken."""

    VOLUME = "volume"
    MODEL_MIX = "model_mix"
    CONTEXT_SIZE = "context_size"
    REPLY_LENGTH = "reply_length"
    WEB_SEARCHES = "web_searches"
    CACHE = "cache"
    PRICE = "price"


class Spent(Struct, frozen=True):
    """What the responses of one session and group used in a period, and what that cost in US dollars."""

    session_id: str | None
    group: tuple[str | None, ...]
    """Model and speed."""
    responses: int
    tokens: Mapping[str, int]
    """By the names of PROMPT, and `output`."""
    costs: Mapping[str, Decimal]
    """By the same names; their sum and `searches` are the cost."""
    searches: Decimal = Decimal(0)

    @property
    def cost(self) -> Fraction:
        """All that it cost."""
        return sum(map(Fraction, self.costs.values()), Fraction(self.searches))

    @property
    def prompt(self) -> int:
        """Tokens of all prompts."""
        return sum(self.tokens[name] for name in PROMPT)


class _Sum(Struct):
    """What a group, or all of a period, used."""

    responses: int = 0
    prompt: int = 0
    cost: Fraction = _ZERO
    searches: Fraction = _ZERO
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*PROMPT, _OUTPUT), 0))
    costs: dict[str, Fraction] = field(
        default_factory=lambda: dict.fromkeys((*PROMPT, _OUTPUT), _ZERO)
    )

    def add(self, spent: Spent) -> None:
        self.responses += spent.responses
        self.prompt += spent.prompt
        self.cost += spent.cost
        self.searches += Fraction(spent.searches)
        for name in self.tokens:
            self.tokens[name] += spent.tokens[name]
            self.costs[name] += Fraction(spent.costs[name])

    def price(self, name: str, other: "_Sum") -> Fraction:
        """Return the average price of a token of the class; that of *other* where there is none."""
        source = self if self.tokens[name] else other
        tokens = source.tokens[name]
        return source.costs[name] / tokens if tokens else _ZERO

    def prompt_price(self, other: "_Sum") -> Fraction:
        """Return the average price of a token of a prompt; that of *other* where there is none."""
        source = self if self.prompt else other
        cost = sum((source.costs[name] for name in PROMPT), _ZERO)
        return cost / source.prompt if source.prompt else _ZERO


class Effects(Struct, frozen=True):
    """A difference, taken apart: effects sum exactly to it, and so do the parts of each of them."""

    difference: Decimal
    totals: Mapping[Effect, Decimal]
    parts: tuple[tuple[Spent, Mapping[Effect, Decimal]], ...]
    """For each that was given, of the first period and then of the second, its part of every effect."""


def effects_of(before: Sequence[Spent], after: Sequence[Spent]) -> Effects:
    """Take the difference between the costs of *after* and *before* apart; see the module's formulas."""
    firsts, seconds = _by_group(before), _by_group(after)
    whole = _Sum()
    for spent in before:
        whole.add(spent)
    average = whole.cost / whole.responses if whole.responses else None
    exact = [_leaving(spent, average) for spent in before]
    exact += [
        _coming(spent, average, firsts.get(spent.group), seconds[spent.group]) for spent in after
    ]
    sums = [sum((part.get(effect, _ZERO) for part in exact), _ZERO) for effect in Effect]
    totals = _rounded(sums)
    columns = [
        _shared_out(total, [part.get(effect, _ZERO) for part in exact])
        for effect, total in zip(Effect, totals, strict=True)
    ]
    parts = tuple(
        (spent, dict(zip(Effect, row, strict=True)))
        for spent, row in zip([*before, *after], zip(*columns, strict=True), strict=True)
    )
    with localcontext(prec=_DIGITS):
        difference = sum(totals, Decimal(0))
    return Effects(difference, dict(zip(Effect, totals, strict=True)), parts)


def _by_group(spents: Iterable[Spent]) -> dict[tuple[str | None, ...], _Sum]:
    sums: dict[tuple[str | None, ...], _Sum] = {}
    for spent in spents:
        sums.setdefault(spent.group, _Sum()).add(spent)
    return sums


def _leaving(spent: Spent, average: Fraction | None) -> dict[Effect, Fraction]:
    """Return what is saved because the responses of the first period are no more."""
    return {Effect.VOLUME: -spent.responses * (average or _ZERO)}


def _coming(
    spent: Spent, average: Fraction | None, first: _Sum | None, second: _Sum
) -> dict[Effect, Fraction]:
    """Return the effects of responses of the second period."""
    if average is None:
        return {Effect.VOLUME: spent.cost}
    volume = spent.responses * average
    if first is None:
        return {Effect.VOLUME: volume, Effect.MODEL_MIX: spent.cost - volume}
    count = Fraction(spent.responses, first.responses)
    prompt_price, reply_price = first.prompt_price(second), first.price(_OUTPUT, second)
    prompt = sum((spent.tokens[name] * first.price(name, second) for name in PROMPT), _ZERO)
    reply = spent.tokens[_OUTPUT] * reply_price
    searches = Fraction(spent.searches)
    moved = {
        Effect.VOLUME: volume,
        Effect.MODEL_MIX: count * first.cost - volume,
        Effect.CONTEXT_SIZE: (spent.prompt - count * first.prompt) * prompt_price,
        Effect.REPLY_LENGTH: reply - count * first.tokens[_OUTPUT] * reply_price,
        Effect.WEB_SEARCHES: searches - count * first.searches,
        Effect.CACHE: prompt - spent.prompt * prompt_price,
    }
    return {**moved, Effect.PRICE: spent.cost - sum(moved.values(), _ZERO)}


def _rounded(parts: Sequence[Fraction]) -> list[Decimal]:
    """Round *parts* to picodollars so that they sum to what their sum is rounded to."""
    whole = [0, *(round(total * _PICODOLLARS) for total in accumulate(parts))]
    return [_dollars(later - earlier) for earlier, later in pairwise(whole)]


def _shared_out(total: Decimal, parts: Sequence[Fraction]) -> list[Decimal]:
    """Round *parts* so that they sum exactly to *total*, from which they differ by picodollars."""
    rounded = _rounded(parts)
    with localcontext(prec=_DIGITS):
        rest = total - sum(rounded, Decimal(0))
        last = max((at for at, part in enumerate(parts) if part), default=None)
        if last is not None:
            rounded[last] += rest
    return rounded


def _dollars(picodollars: int) -> Decimal:
    with localcontext(prec=_DIGITS):
        return Decimal(picodollars).scaleb(-12)
