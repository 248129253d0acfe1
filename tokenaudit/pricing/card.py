"""The rate card: all rates in force for a run, and which of them a response is priced by.

The shipped card is data (`data/prices.csv`, whose columns are USD per million tokens); the user's own
rates stand before it, rows of a library behind it. Nothing here guesses a price that none of them has.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from tokenaudit.model.errors import ConfigError
from tokenaudit.pricing.models import ModelName, normalise
from tokenaudit.pricing.rates import (
    ALWAYS,
    GEOGRAPHIES,
    MILLION,
    ONE,
    TIERS,
    Modifier,
    Prices,
    Rate,
    RateOrigin,
    Tariff,
)
from tokenaudit.pricing.user_rates import Discount, UserRates

__all__ = ["Prices", "Rate", "RateCard", "Tariff", "shipped_card"]

_FAST_BECAME_STANDARD: Final = "claude-opus-4-6"
"""The model whose requests for fast mode, since its end, are served and billed as standard."""

_DAMAGES: Final = (
    OSError,
    csv.Error,
    msgspec.MsgspecError,
    ArithmeticError,
    LookupError,
    ValueError,
    TypeError,
)
"""What reading the shipped card may raise where its files are not those of the package."""

_Found = tuple[Rate | None, tuple[str, ...]]
"""A rate, and the doubts about it."""


class _CardHeader(msgspec.Struct, frozen=True):
    version: str
    verified_through: date
    checked_against: str
    web_search_usd: Decimal
    batch_multiplier: Decimal
    regional_multiplier: Decimal
    regional_from: date


class _Table:
    """Rates of one source, found by model, speed and day."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._rates: dict[tuple[str, str], list[Rate]] = {}
        for rate in sorted(rates, key=lambda rate: rate.valid_from):
            self._rates.setdefault((rate.model, rate.speed), []).append(rate)

    def __iter__(self) -> Iterator[Rate]:
        """Yield every row, by model, speed and day."""
        for key in sorted(self._rates):
            yield from self._rates[key]

    def of(self, model: str, speed: str) -> list[Rate]:
        """Return the rows of a model at a speed, by day."""
        return self._rates.get((model, speed), [])

    def on(self, model: str, speed: str, day: date) -> Rate | None:
        """Return the row in force on *day*."""
        return next((rate for rate in self.of(model, speed) if rate.holds_on(day)), None)


class RateCard:
    """All rates in force for a run, with their provenance. Immutable."""

    def __init__(
        self,
        rates: Iterable[Rate],
        header: _CardHeader,
        sha256: str,
        *,
        user: UserRates | None = None,
        library: Iterable[Rate] = (),
        library_basis: str | None = None,
        is_library_newer: bool = False,
        as_model: str | None = None,
    ) -> None:
        """Take the *rates* of a card, what its *header* says, and the digest of both files.

        Callers start from `shipped_card` and add to it with `with_user` and the like.
        """
        self._header = header
        self.sha256 = sha256
        self._card = _Table(rates)
        self._user_rates = user
        self._user = _Table(map(self._with_us, user.rates) if user else ())
        self._library = _Table(library)
        self._tables = (self._user, self._card, self._library)
        self._library_basis = library_basis
        self._is_library_newer = is_library_newer
        self._as_model = as_model

    # what it is made of

    def _with(self, **changes: Any) -> "RateCard":
        now = {
            "user": self._user_rates,
            "library": self._library,
            "library_basis": self._library_basis,
            "is_library_newer": self._is_library_newer,
            "as_model": self._as_model,
        }
        return RateCard(self._card, self._header, self.sha256, **(now | changes))

    def with_user(self, user: UserRates | None) -> "RateCard":
        """Return the card with the user's own rates before it.

        Raises ConfigError for two discounts on one model and day, and for an alias of what has no
        price: only here are all models known.
        """
        card = self._with(user=user)
        if user is not None:
            _check_discounts(card, user.discounts)
            _check_aliases(card, user)
        return card

    def with_library(self, rates: Iterable[Rate], basis: str, *, is_newer: bool) -> "RateCard":
        """Return the card with the *rates* of a library behind it, *basis* being its version.

        They hold for models that the card lacks; where the library *is_newer* than what the card was
        checked against, also for days after that check.
        """
        taken = [rate for rate in rates if is_newer or not self._card.of(rate.model, rate.speed)]
        if not taken:
            return self
        known = [self._with_us(rate) for rate in taken]
        return self._with(library=known, library_basis=basis, is_library_newer=is_newer)

    def priced_as(self, model: str | None) -> "RateCard":
        """Return the card that prices every response as if *model* had given it."""
        return self._with(as_model=model)

    def _with_us(self, rate: Rate) -> Rate:
        """Give the rate of another source the multiplier that the card knows for the model."""
        known = self._card.of(rate.model, "standard")
        return replace(rate, us_multiplier=known[-1].us_multiplier) if known else rate

    # what it says of itself

    @property
    def rates(self) -> list[Rate]:
        """Every row, in the order of the sources; of each by model, speed and day."""
        return [rate for table in self._tables for rate in table]

    @property
    def discounts(self) -> tuple[Discount, ...]:
        """The user's discounts."""
        return self._user_rates.discounts if self._user_rates else ()

    @property
    def web_search_usd(self) -> Decimal:
        """The price of one web search."""
        return self._header.web_search_usd

    @property
    def verified_through(self) -> date:
        """The last day of which the card is known to be true."""
        return self._header.verified_through

    @property
    def checked_against(self) -> str:
        """The version of genai-prices with which the card was compared."""
        return self._header.checked_against

    @property
    def basis(self) -> dict[str, str]:
        """What every cost stands on (R12): versions and digests of all sources in force."""
        user = self._user_rates
        named = {
            "card": self._header.version,
            "sha256": self.sha256,
            "verified_through": self.verified_through.isoformat(),
            "currency": "USD",
            "library": self._library_basis,
            "user_rates": user and user.path,
            "user_rates_sha256": user and user.sha256,
            "discounts": str(len(self.discounts)) if self.discounts else None,
            "as_model": self._as_model,
        }
        return {name: value for name, value in named.items() if value}

    @cached_property
    def turning_days(self) -> list[date]:
        """The days on which some price may change, in order: between two of them none does."""
        days = {self.verified_through + timedelta(days=1)}
        spans = [(one.valid_from, one.valid_to) for one in self.rates]
        spans += [(one.valid_from, one.valid_to) for one in self.discounts]
        return sorted(days.union(day for span in spans for day in span if day is not None))

    # which rate holds

    def knows(self, model: str) -> bool:
        """Tell whether *model* has a price on some day."""
        key = self._name(model).key
        return any(table.of(key, "standard") for table in self._tables)

    def key_of(self, model: str) -> str:
        """Return the name by which the card knows *model*, or would."""
        return self._name(model).key

    def tariff(
        self,
        model: str | None,
        speed: str | None,
        day: date | None,
        geo: str | None,
        tier: str | None,
    ) -> Tariff | None:
        """Return what a response costs that says these things of itself; None if it is unpriced.

        *day* is that of the response in UTC; without one, only a model whose price never changed has
        a price. The rules are those of the price list's own pages (fast mode, US inference, regional
        endpoints of Bedrock and Vertex, batches).
        """
        if not model:
            return None
        name = self._name(self._as_model or model)
        rate, doubts = self._find(name.key, "fast" if speed == "fast" else "standard", day)
        if rate is None:
            return None
        factor, reasons = self._factor(rate, name, geo, tier)
        discount = self._discount(rate.model, day)
        if speed not in {None, "", "standard", "fast"}:
            doubts = (*doubts, "speed_unknown")
        return Tariff(
            rate=rate,
            prices=rate.prices.times(factor),
            long_prices=rate.long_prices.times(factor) if rate.long_prices else None,
            modifiers=(*self._notable(rate, discount), *reasons, *map(Modifier, doubts)),
            discount=discount,
        )

    def _notable(self, rate: Rate, discount: Decimal) -> Iterator[Modifier]:
        if self._as_model:
            yield Modifier("as:", rate.model)
        if rate.speed == "fast":
            yield Modifier("fast")
        if not rate.prices.output:
            yield Modifier("free")
        if discount != ONE:
            yield Modifier("discount", f"{discount.normalize():f}")

    def _name(self, model: str) -> ModelName:
        aliases = self._user_rates.aliases if self._user_rates else {}
        if not aliases:
            return normalise(model)
        plain = normalise(model)
        alias = aliases.get(model.strip(" ").lower()) or aliases.get(plain.key)
        return normalise(alias) if alias else plain

    def _find(self, model: str, speed: str, day: date | None) -> _Found:
        found, doubts = self._dated(model, speed, day) if day else self._undated(model, speed)
        is_unsure = day is None and any(table.of(model, speed) for table in self._tables)
        if found is not None or speed != "fast" or is_unsure:
            return found, doubts
        # After its end fast mode runs, and bills, as standard where the API says so (Opus 4.6);
        # elsewhere the standard price is the best that is known, and is marked.
        rates = self._card.of(model, "fast")
        end = rates[-1].valid_to if rates and model == _FAST_BECAME_STANDARD else None
        found, doubts = self._find(model, "standard", day)
        return found, doubts if day and end and day >= end else (*doubts, "speed_unpriced")

    def _dated(self, model: str, speed: str, day: date) -> _Found:
        """Ask the sources in their order: the user's, the card up to its last check, the library."""
        if own := self._user.on(model, speed, day):
            return own, ()
        is_late = day > self.verified_through
        if is_late and self._is_library_newer and (new := self._library.on(model, speed, day)):
            return new, ()
        if rates := self._card.of(model, speed):
            if day < rates[0].valid_from:
                return (rates[0], ("before_first_price",)) if speed == "standard" else (None, ())
            held = self._card.on(model, speed, day)
            return held, ("carried_forward",) if held and is_late else ()
        return self._library.on(model, speed, day), ()

    def _undated(self, model: str, speed: str) -> _Found:
        """Return the one price that the first source to know the model has for it, if it is one."""
        for table in self._tables:
            if rates := table.of(model, speed):
                is_sure = len(rates) == 1 and (
                    rates[0].origin is RateOrigin.CARD or _is_ever(rates[0])
                )
                return (rates[0], ("undated",)) if is_sure else (None, ())
        return None, ()

    def _factor(
        self, rate: Rate, name: ModelName, geo: str | None, tier: str | None
    ) -> tuple[Decimal, tuple[Modifier, ...]]:
        factor = ONE
        reasons: list[Modifier] = []
        header = self._header
        vertex_region = self._user_rates.vertex_region if self._user_rates else None
        has_premium = self._has_premium(rate)
        if has_premium and name.is_region_unknown and vertex_region is None:
            reasons.append(Modifier("region_unknown"))
        is_regional = name.is_regional or (name.is_region_unknown and vertex_region == "regional")
        if has_premium and is_regional:
            factor *= header.regional_multiplier
            reasons.append(Modifier("regional", header.regional_multiplier))
        elif geo in GEOGRAPHIES and rate.us_multiplier != ONE:
            factor *= rate.us_multiplier
            reasons.append(Modifier("us", rate.us_multiplier))
        batch, priority = TIERS
        if tier == batch:
            factor *= header.batch_multiplier
            reasons.append(Modifier("batch", header.batch_multiplier))
        elif tier == priority:
            reasons.append(Modifier("service_tier_priority"))
        return factor, tuple(reasons)

    def _has_premium(self, rate: Rate) -> bool:
        """Tell whether regional endpoints cost more: by the day on which the model came out."""
        known = self._card.of(rate.model, "standard")
        if known:
            return known[0].valid_from >= self._header.regional_from
        return rate.us_multiplier != ONE

    def _discount(self, model: str, day: date | None) -> Decimal:
        for discount in self.discounts:
            if discount.holds_on(day) and _fits(discount, model):
                return discount.multiplier
        return ONE


def _check_discounts(card: RateCard, discounts: Sequence[Discount]) -> None:
    models = {rate.model for rate in card.rates}
    for at, later in enumerate(discounts):
        for earlier in discounts[:at]:
            both = sorted(model for model in models if _covers(earlier, later, model))
            if earlier.overlaps(later) and (both or set(earlier.models) & set(later.models)):
                name = both[0] if both else later.models[0]
                raise ConfigError(
                    f"{later.place}: models: {name} has another discount on the same days",
                    hint=f"The other one: {earlier.place}.",
                )


def _check_aliases(card: RateCard, user: UserRates) -> None:
    for name, model in user.aliases.items():
        if not card.knows(model):
            raise ConfigError(
                f"{user.alias_places[name]}: {name}: stands for {model}, which has no price",
                hint="Name a model of `tokenaudit prices`, or of a [[price]] in the file.",
            )


def _fits(discount: Discount, model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in discount.models)


def _covers(earlier: Discount, later: Discount, model: str) -> bool:
    return _fits(earlier, model) and _fits(later, model)


def _is_ever(rate: Rate) -> bool:
    return rate.valid_from == ALWAYS and rate.valid_to is None


@cache
def shipped_card() -> RateCard:
    """Return the card that comes with the package. Raises ConfigError where that is damaged.

    `models.csv` beside it is not in its digest: no price depends on it, and what does carries its own.
    """
    folder = files("tokenaudit.pricing") / "data"
    try:
        header = (folder / "card.json").read_bytes()
        table = (folder / "prices.csv").read_bytes()
        rows = csv.DictReader(table.decode("utf-8").splitlines())
        return RateCard(
            [_rate(row) for row in rows],
            msgspec.json.decode(header, type=_CardHeader),
            hashlib.sha256(header + table).hexdigest(),
        )
    except _DAMAGES as error:
        raise ConfigError(
            f"{folder}: the rate card is damaged: {error!r}", hint="Install tokenaudit anew."
        ) from None


def _rate(row: Mapping[str, str]) -> Rate:
    return Rate(
        model=row["model"],
        speed=row["speed"],
        valid_from=date.fromisoformat(row["valid_from"]),
        valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        prices=_prices(row, ""),
        long_prompt=int(row["long_threshold"]) if row["long_threshold"] else None,
        long_prices=_prices(row, "long_") if row["long_threshold"] else None,
        us_multiplier=Decimal(row["us_geo_mult"]),
        source=row["source"],
        confidence=row["confidence"],
    )


def _prices(row: Mapping[str, Any], prefix: str) -> Prices:
    def price(column: str, *instead: str) -> Decimal:
        texts: Sequence[str] = [row[f"{prefix}{name}"] for name in (column, *instead)]
        return Decimal(next((text for text in texts if text), "")) / MILLION

    # A model without prompt caching has no cache prices and no cached tokens either.
    return Prices(
        input=price("input"),
        output=price("output"),
        cache_read=price("cache_read", "input"),
        cache_write_5m=price("cache_write_5m", "input"),
        cache_write_1h=price("cache_write_1h", "input"),
    )
