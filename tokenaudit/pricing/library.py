"""The one place that knows the library genai-prices: its rows for Claude, flattened into rates.

The library takes a tenth of a second and more to import, so no report does. Only the commands about
prices do; they leave the flattened rows in a cache, by the installed version, where reports find them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.files import atomic as files
from tokenaudit.files import inputs
from tokenaudit.model.errors import OutputError, UsageError
from tokenaudit.pricing.models import normalise
from tokenaudit.pricing.rates import ALWAYS, CLASSES, MILLION, ONE, Prices, Rate, RateOrigin

__all__ = ["Library", "bundled", "cached", "fetched", "from_file", "keep", "validate"]

ADAPTER: Final = 1
"""Number of the way in which rows are flattened; a cache of another number is not read."""

_NAME: Final = "genai-prices"
_CELLS: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
}
_US_MULTIPLIER: Final = Decimal("1.1")
_FIRST_WITH_US: Final = 5
"""Generations from this one on, which the card may not know yet, cost more in the United States."""
_LARGEST_CHANGE: Final = 10


class Library(Struct, frozen=True):
    """Rates of genai-prices."""

    version: str
    fetched_at: datetime | None
    """When newer rows than those of the installed version were fetched."""
    rates: tuple[Rate, ...]

    @property
    def basis(self) -> str:
        """What names these rows in a pricing basis."""
        digest = hashlib.sha256(_encoded(self.rates)).hexdigest()[:8]
        when = f" of {self.fetched_at:%Y-%m-%d}" if self.fetched_at else ""
        return f"{_NAME} {self.version}{when} (sha256 {digest})"

    def is_newer(self, version: str, day: date) -> bool:
        """Tell whether these rows are newer than a check against *version* on *day*."""
        if self.fetched_at is not None and self.fetched_at.date() > day:
            return True
        return _numbers(self.version) > _numbers(version)


# where rows come from


def bundled() -> Library:
    """Return the rows that the installed library brings. Raises UsageError if there is none."""
    version = _installed()
    from genai_prices.data_snapshot import get_snapshot

    return _library(version, None, get_snapshot().providers)


def fetched(now: datetime) -> Library:
    """Return the newest rows from the library's own feed: the one use of the network there is.

    Raises UsageError if they cannot be had.
    """
    version = _installed()
    from genai_prices import UpdatePrices

    try:
        snapshot = UpdatePrices().fetch()
    except Exception as error:  # noqa: BLE001 - the library promises no set of errors
        raise UsageError(f"prices cannot be fetched: {error}", hint=_OFFLINE) from None
    if snapshot is None:
        raise UsageError("prices cannot be fetched: the feed is empty", hint=_OFFLINE)
    return _library(version, now, snapshot.providers)


_OFFLINE: Final = "Download the library's data.json elsewhere and name it with --from-file."


def from_file(path: Path, now: datetime) -> Library:
    """Return the rows of a copy of the library's feed at *path*. Raises UsageError if it is none."""
    version = _installed()
    from genai_prices import types

    try:
        raw = msgspec.json.decode(inputs.read(path, 64 * inputs.MEBIBYTE))
        providers = types._providers_from_raw(raw)  # noqa: SLF001 - as its own fetch does
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - pydantic's, and whatever odd JSON leads to
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path}: not the data of {_NAME}: {reason}") from None
    return _library(version, now, providers)


def _installed() -> str:
    version = _version()
    if version is None:
        raise UsageError(f"{_NAME} is not installed", hint="pip install 'tokenaudit-cli[prices]'")
    return version


def _version() -> str | None:
    """Return the installed version; importing what knows it takes longer than reading a cache."""
    from importlib import metadata

    try:
        return metadata.version(_NAME)
    except metadata.PackageNotFoundError:
        return None


# the cache


class _Row(msgspec.Struct, frozen=True):
    model: str
    speed: str
    valid_from: date
    valid_to: date | None
    prices: tuple[Decimal, Decimal, Decimal, Decimal, Decimal]
    long_prompt: int | None
    long_prices: tuple[Decimal, Decimal, Decimal, Decimal, Decimal] | None
    us_multiplier: Decimal


class _Cache(msgspec.Struct, frozen=True):
    adapter: int
    version: str
    fetched_at: datetime | None
    rows: list[_Row]


def cached(folder: Path) -> Library | None:
    """Return what `keep` left in *folder* for the installed version; None if there is nothing.

    What cannot be read is as good as nothing: a cache is no place to insist on.
    """
    if not any(folder.glob(f"{_NAME}-*.json")):
        return None
    version = _version()
    if version is None:
        return None
    try:
        cache = msgspec.json.decode(
            inputs.read(_path(folder, version), 64 * inputs.MEBIBYTE), type=_Cache
        )
    except (OSError, msgspec.MsgspecError):
        return None
    if (cache.adapter, cache.version) != (ADAPTER, version):
        return None
    rates = tuple(_unpacked(row, version) for row in cache.rows)
    return Library(version, cache.fetched_at, rates)


def keep(library: Library, folder: Path) -> Path:
    """Write *library* into *folder*, the one before it beside as `….previous.json`; return its path.

    Raises OutputError if that cannot be done.
    """
    path = _path(folder, library.version)
    rows = [_packed(rate) for rate in library.rates]
    data = msgspec.json.encode(_Cache(ADAPTER, library.version, library.fetched_at, rows))
    try:
        files.make_folder(folder)
        if path.exists() and path.read_bytes() != data:
            path.replace(path.with_suffix(".previous.json"))
        files.replace(path, data)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def _path(folder: Path, version: str) -> Path:
    return folder / f"{_NAME}-{version}-{ADAPTER}.json"


def _encoded(rates: Iterable[Rate]) -> bytes:
    return msgspec.json.encode([_packed(rate) for rate in rates])


def _packed(rate: Rate) -> _Row:
    return _Row(
        rate.model,
        rate.speed,
        rate.valid_from,
        rate.valid_to,
        _five(rate.prices),
        rate.long_prompt,
        _five(rate.long_prices) if rate.long_prices else None,
        rate.us_multiplier,
    )


def _five(prices: Prices) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
    return (
        prices.input,
        prices.output,
        prices.cache_read,
        prices.cache_write_5m,
        prices.cache_write_1h,
    )


def _unpacked(row: _Row, version: str) -> Rate:
    return Rate(
        model=row.model,
        speed=row.speed,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        prices=Prices(*row.prices),
        long_prompt=row.long_prompt,
        long_prices=Prices(*row.long_prices) if row.long_prices else None,
        us_multiplier=row.us_multiplier,
        source=f"{_NAME} {version}",
        confidence="medium",
        origin=RateOrigin.LIBRARY,
    )


# flattening


def _library(version: str, when: datetime | None, providers: Iterable[Any]) -> Library:
    models: Iterable[Any] = next((one.models for one in providers if one.id == "anthropic"), ())
    found = (rate for model in models for rate in _rates(model, version))
    # `claude-v1` is `claude` once its revision is cut off, and that is the name of no model
    rates = [rate for rate in found if rate.model.startswith("claude-")]
    if not rates:
        raise UsageError(f"{_NAME} {version} has no prices of Claude in a form that is known")
    return Library(version, when, tuple(sorted(rates, key=lambda rate: rate.id)))


def _rates(model: Any, version: str) -> Iterator[Rate]:
    """Yield the rates of one model: at standard speed, and fast where it has that."""
    listed = model.prices if isinstance(model.prices, list) else [_Plain(model.prices)]
    yield from _successive(model, "standard", listed, version)
    variants = getattr(model, "price_variants", None) or []
    fast = [one for one in variants if one.when == {"speed": "fast"}]
    yield from _successive(model, "fast", fast, version)


class _Plain(Struct, frozen=True):
    """Prices without a condition, in the shape of those with one."""

    prices: Any
    constraint: None = None


def _successive(model: Any, speed: str, listed: Sequence[Any], version: str) -> Iterator[Rate]:
    """Yield a rate for each of the *listed* prices, each valid until the next one starts."""
    starts = [_start(one.constraint) for one in listed]
    in_order = sorted(
        (start, at) for at, start in enumerate(starts) if start is not None and listed[at].prices
    )
    for place, (start, at) in enumerate(in_order):
        end = in_order[place + 1][0] if place + 1 < len(in_order) else None
        prices, threshold, long_prices = _cells(listed[at].prices)
        if prices is None:
            continue
        row = _Row(
            normalise(model.id).key, speed, start, end, (ONE,) * 5, threshold, None, _us(model.id)
        )
        yield replace(_unpacked(row, version), prices=prices, long_prices=long_prices)


def _start(constraint: Any) -> date | None:
    """Return the first day of a price; None for a condition that is no day, such as an hour."""
    if constraint is None:
        return ALWAYS
    found = getattr(constraint, "start_date", None)
    return found if isinstance(found, date) else None


def _cells(prices: Any) -> tuple[Prices | None, int | None, Prices | None]:
    """Return the prices per token, the length of prompt above which others hold, and those.

    Without cache prices a model has no prompt caching, hence no cached tokens; as on the card, their
    price is then that of the input, and matters for nothing.
    """
    cells: dict[str, Any] = {name: getattr(prices, cell, None) for name, cell in _CELLS.items()}
    if cells["input"] is None or cells["output"] is None:
        return None, None, None
    cells = {name: cells["input"] if cell is None else cell for name, cell in cells.items()}
    base = Prices(*(Decimal(getattr(cell, "base", cell)) / MILLION for cell in cells.values()))
    tiers = [getattr(cell, "tiers", []) for cell in cells.values()]
    starts = {tier.start for each in tiers for tier in each}
    if not starts:
        return base, None, None
    if len(starts) != 1 or not all(len(each) == 1 for each in tiers):
        return None, None, None  # a shape that the card does not know
    return base, starts.pop(), Prices(*(Decimal(each[0].price) / MILLION for each in tiers))


def _us(model: str) -> Decimal:
    parts = normalise(model).key.split("-")
    generation = next((int(part) for part in parts[2:] if part.isdecimal()), 0)
    return _US_MULTIPLIER if generation >= _FIRST_WITH_US else ONE


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))


# what may be taken


def validate(new: Library, old: Library | None, *, may_leap: bool) -> None:
    """Refuse rows that cannot be prices of Claude. Raises UsageError naming the first.

    Prices are above zero, a read from the cache costs less than input and a write more, output more
    than input; and none is ten times what it was, or a tenth, unless it *may_leap*.
    """
    known = {rate.id: rate for rate in old.rates} if old else {}
    for rate in new.rates:
        for prices in filter(None, (rate.prices, rate.long_prices)):
            if problem := _problem(prices):
                raise UsageError(f"{rate.id}: {problem}", hint="Nothing was changed.")
        if not may_leap and rate.id in known and _leaps(known[rate.id].prices, rate.prices):
            raise UsageError(
                f"{rate.id}: a price is ten times what it was, or a tenth",
                hint="Nothing was changed. If that is right, add --yes.",
            )


def _problem(prices: Prices) -> str | None:
    if min(_five(prices)) <= 0:
        return "a price is not above zero"
    if prices.output <= prices.input:
        return "output does not cost more than input"
    caches = (prices.cache_read, prices.cache_write_5m, prices.cache_write_1h)
    if set(caches) == {prices.input}:
        return None  # a model without prompt caching
    if not prices.cache_read < prices.input < prices.cache_write_1h:
        return "a read from the cache must cost less than input, and a write more"
    return None


def _leaps(before: Prices, after: Prices) -> bool:
    pairs = ((getattr(before, name), getattr(after, name)) for name in CLASSES)
    return any(max(pair) > _LARGEST_CHANGE * min(pair) for pair in pairs)
