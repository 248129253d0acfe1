"""The user's own rates: prices of custom models, negotiated multipliers, aliases and the platform.

A file of rates is taken whole or not at all: whatever is wrong with it is a ConfigError that names
file, line, table and key, and nothing is priced with half of it. A price that is not written there is
never derived from another.
"""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from tokenaudit.files import inputs
from tokenaudit.model.errors import ConfigError
from tokenaudit.pricing.models import normalise
from tokenaudit.pricing.rates import ALWAYS, CLASSES, MILLION, ONE, Prices, Rate, RateOrigin

__all__ = ["FILE_NAME", "Discount", "UserRates", "read_user_rates"]

FILE_NAME: Final = "rates.toml"

_PRICE_KEYS: Final = (
    *("model", "speed", "valid_from", "valid_to", "source", "free", *CLASSES),
    *("long_prompt", *(f"long_{name}" for name in CLASSES)),
)
_DISCOUNT_KEYS: Final = ("models", "multiplier", "valid_from", "valid_to")
_SPEEDS: Final = ("standard", "fast")
_REGIONS: Final = ("global", "regional")
_PLACES: Final = 4
"""Decimals of a price per million tokens: batch and region multiply it, and 12 places must hold that."""
_DEAREST: Final = MILLION
_GLOB: Final = re.compile(r"[A-Za-z0-9*?./:@_-]{1,200}", re.ASCII)


class Discount(Struct, frozen=True):
    """A negotiated part of the list price."""

    models: tuple[str, ...]
    """Globs over names of models as the card writes them: `claude-opus-*`."""
    multiplier: Decimal
    valid_from: date
    valid_to: date | None
    place: str
    """Where it is written: `rates.toml:7: [[discount]] #1`."""

    def holds_on(self, day: date | None) -> bool:
        """Tell whether it is in force on *day*; without a day, only one that has no dates is."""
        if day is None:
            return self.valid_from == ALWAYS and self.valid_to is None
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    def overlaps(self, other: "Discount") -> bool:
        """Tell whether there is a day on which both are in force."""
        ends = (one.valid_to or date.max for one in (self, other))
        return max(self.valid_from, other.valid_from) < min(ends)


class UserRates(Struct, frozen=True):
    """What a file of rates says."""

    path: str
    sha256: str
    rates: tuple[Rate, ...] = ()
    discounts: tuple[Discount, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names of models, in lower case, and what they stand for."""
    alias_places: Mapping[str, str] = field(default_factory=dict)
    vertex_region: str | None = None


def read_user_rates(path: Path, *, must_exist: bool) -> UserRates | None:
    """Return the rates in the file at *path*; None if there is none and none *must_exist*.

    Raises ConfigError, naming file, line, table and key, for anything that cannot be used.
    """
    try:
        data = inputs.read(path, inputs.MEBIBYTE)
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not must_exist:
            return None
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    try:
        text = data.decode("utf-8")
        found = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    return _File(str(path), text).rates(found, hashlib.sha256(data).hexdigest())


class _File:
    """The text of a file of rates, in which places can be found again."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def rates(self, found: Mapping[str, Any], sha256: str) -> UserRates:
        root = _Entry(self, "", None, found)
        root.check_keys(("price", "discount", "aliases", "platform"))
        prices = self._entries(found, "price")
        rates = [_rate(entry) for entry in prices]
        _check_intervals(list(zip(rates, prices, strict=True)))
        aliases = self._table(found, "aliases")
        names = {name.strip(" ").lower(): aliases.text(name) for name in aliases.values}
        _check_aliases(aliases, names, rates)
        return UserRates(
            path=self._path,
            sha256=sha256,
            rates=tuple(rates),
            discounts=tuple(_discount(entry) for entry in self._entries(found, "discount")),
            aliases=names,
            alias_places={name.strip(" ").lower(): aliases.place(name) for name in aliases.values},
            vertex_region=_vertex_region(self._table(found, "platform")),
        )

    def _entries(self, found: Mapping[str, Any], name: str) -> list["_Entry"]:
        tables = found.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise _Entry(self, name, None, found).error(None, f"must be written [[{name}]]")
        return [_Entry(self, name, at, table) for at, table in enumerate(tables, 1)]

    def _table(self, found: Mapping[str, Any], name: str) -> "_Entry":
        table = found.get(name, {})
        if not isinstance(table, dict):
            raise _Entry(self, name, None, found).error(None, f"must be a table [{name}]")
        return _Entry(self, name, None, table)

    def place(self, table: str, number: int | None, key: str | None) -> str:
        """Return `FILE:LINE` of a key, of its table where the key is not written, else of the file."""
        start = line = self._header(table, number) if table else 0
        if key is not None:
            inside = range(start, self._next_header(start))
            line = self._line_of(key, inside) or start or self._header(key, None)
        return f"{self._path}:{line}" if line else self._path

    def _header(self, table: str, number: int | None) -> int:
        """Return the number of the line where *table* begins, or is assigned; 0 if that is not seen.

        A look at the lines is enough to point a reader at one: TOML itself tells no places.
        """
        header = re.compile(rf"\s*\[\[?\s*{re.escape(table)}\s*\]")
        found = [at for at, line in enumerate(self._lines, 1) if header.match(line)]
        wanted = (number or 1) - 1
        return found[wanted] if wanted < len(found) else self._line_of(table, range(self._end)) or 0

    @property
    def _end(self) -> int:
        return len(self._lines)

    def _next_header(self, start: int) -> int:
        after = (at for at in range(start, self._end) if self._lines[at].lstrip().startswith("["))
        return next(after, self._end)

    def _line_of(self, key: str, lines: Iterable[int]) -> int | None:
        written = re.compile(rf"\s*([\"']?){re.escape(key)}\1\s*=")
        return next((at + 1 for at in lines if written.match(self._lines[at])), None)


class _Entry:
    """One table of the file: its values, and errors that say where they stand."""

    def __init__(self, file: _File, table: str, number: int | None, values: Mapping[str, Any]):
        self._file, self._table, self._number, self.values = file, table, number, values

    def place(self, key: str | None = None) -> str:
        place = self._file.place(self._table, self._number, key)
        if not self._table:
            return place
        name = f"[[{self._table}]] #{self._number}" if self._number else f"[{self._table}]"
        return f"{place}: {name}"

    def error(self, key: str | None, problem: str, hint: str | None = None) -> ConfigError:
        parts = [self.place(key), *([key] if key is not None else []), problem]
        return ConfigError(": ".join(parts), hint=hint)

    def check_keys(self, known: Sequence[str]) -> None:
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
                hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
                raise self.error(key, "unknown key", hint)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._value(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "must be a text that is not empty")
        return value

    def one_of(self, key: str, known: Sequence[str], default: str) -> str:
        value = self.text(key, default)
        if value not in known:
            raise self.error(key, f"must be {' or '.join(known)}, not {value!r}")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def day(self, key: str) -> date | None:
        value = self.values.get(key)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self.error(key, "must be a day such as 2026-10-01, without quotes")
        return value

    def days(self) -> tuple[date, date | None]:
        start, end = self.day("valid_from") or ALWAYS, self.day("valid_to")
        if end is not None and end <= start:
            raise self.error("valid_to", f"{end} is not after valid_from {start}")
        return start, end

    def number(self, key: str, places: int, largest: Decimal, missing: str = "missing") -> Decimal:
        """Return a number above zero with at most that many *places*."""
        value = self._value(key, None, missing)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.error(key, "must be a number")
        number = Decimal(value)
        if not number.is_finite() or number <= 0:
            hint = "Only free = true makes a price of zero." if number == 0 else None
            raise self.error(key, "must be above zero", hint)
        if number > largest:
            raise self.error(key, f"must not be above {largest:,f}")
        if number != round(number, places):
            raise self.error(
                key, f"{value} has more than {places} decimals, which 12 places do not hold"
            )
        return number

    def _value(self, key: str, default: Any, missing: str = "missing") -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise self.error(key, missing)
        return value


def _rate(entry: _Entry) -> Rate:
    entry.check_keys(_PRICE_KEYS)
    start, end = entry.days()
    is_free = entry.flag("free")
    threshold = None if is_free else _long_prompt(entry)
    said = entry.text("source", "no source given")
    return Rate(
        model=normalise(entry.text("model")).key,
        speed=entry.one_of("speed", _SPEEDS, "standard"),
        valid_from=start,
        valid_to=end,
        prices=_free(entry) if is_free else _prices(entry, ""),
        long_prompt=threshold,
        long_prices=None if threshold is None else _prices(entry, "long_"),
        us_multiplier=ONE,
        source=f"{RateOrigin.USER}: {said}",
        confidence="user",
        origin=RateOrigin.USER,
    )


def _prices(entry: _Entry, prefix: str) -> Prices:
    never = "missing (never derived)"
    return Prices(
        *(entry.number(f"{prefix}{name}", _PLACES, _DEAREST, never) / MILLION for name in CLASSES)
    )


def _free(entry: _Entry) -> Prices:
    for key in entry.values:
        if key.removeprefix("long_") in {*CLASSES, "prompt"}:
            raise entry.error(key, "stands beside free = true, which makes every price zero")
    return Prices(*(Decimal(0) for _ in CLASSES))


def _long_prompt(entry: _Entry) -> int | None:
    if "long_prompt" in entry.values:
        return int(entry.number("long_prompt", 0, Decimal(10**12)))
    for key in entry.values:
        if key.startswith("long_"):
            raise entry.error(key, "needs long_prompt, the tokens above which it holds")
    return None


def _discount(entry: _Entry) -> Discount:
    entry.check_keys(_DISCOUNT_KEYS)
    models = entry.values.get("models")
    if not isinstance(models, list) or not models:
        raise entry.error("models", "missing" if models is None else "must be a list of texts")
    for model in models:
        if not isinstance(model, str) or not _GLOB.fullmatch(model):
            raise entry.error("models", f"not a name or a pattern with *: {model!r}")
    multiplier = entry.number("multiplier", _PLACES, Decimal(10))
    start, end = entry.days()
    return Discount(tuple(model.lower() for model in models), multiplier, start, end, entry.place())


def _vertex_region(entry: _Entry) -> str | None:
    entry.check_keys(("vertex_region",))
    if "vertex_region" not in entry.values:
        return None
    return entry.one_of("vertex_region", _REGIONS, "")


def _check_intervals(found: Sequence[tuple[Rate, _Entry]]) -> None:
    """Refuse two prices of one model and speed that hold on the same day."""
    in_order = sorted(found, key=lambda one: (one[0].model, one[0].speed, one[0].valid_from))
    for (first, _), (second, entry) in pairwise(in_order):
        if (first.model, first.speed) != (second.model, second.speed):
            continue
        if first.valid_to is None or second.valid_from < first.valid_to:
            raise entry.error(
                "valid_from" if "valid_from" in entry.values else "model",
                f"overlaps with another price of {second.model}, {second.speed}",
                "Give the earlier one a valid_to: the first day on which it no longer holds.",
            )


def _check_aliases(entry: _Entry, aliases: Mapping[str, str], rates: Iterable[Rate]) -> None:
    priced = {rate.model for rate in rates}
    for name in entry.values:
        key = name.strip(" ").lower()
        if normalise(key).key in priced:
            raise entry.error(name, "is an alias and has a [[price]] of its own")
        if aliases[key].strip(" ").lower() in aliases:
            raise entry.error(name, f"stands for {aliases[key]}, which is an alias itself")
