"""What the status line needs only when something has changed: settings, today's bounds, rates.

All of it slower than the status line may be each time.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from tokenaudit.config import settings as config
from tokenaudit.config.directories import cache_folder, config_folder
from tokenaudit.model import budgets
from tokenaudit.model.budgets import Period
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.rates import CLASSES, Prices, Tariff
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.pricing.user_rates import FILE_NAME
from tokenaudit.reports.selection import WEEKDAYS, Selection, period_start

__all__ = ["tariffs", "worked_out"]

_EPOCH: Final = date(1970, 1, 1)
_NEVER: Final = 10**6
"""A day that is later than any, in days since 1970."""
_PICO: Final = Decimal(10**12)
_AROUND: Final = timedelta(days=10)
_STEP: Final = timedelta(minutes=15)
"""Clocks are set forward or back at a quarter of an hour."""


def worked_out(now: int) -> dict[str, Any]:
    """Return the roots, the bounds of the day of *now* (microseconds) and the files these stand on.

    `offsets` are those of the zone around that day, `[since, seconds ahead of UTC]`, both in seconds.
    """
    folder = config_folder()
    settings = config.load(folder, os.environ)
    zone = _zone(settings.timezone)
    today = datetime.fromtimestamp(now / 10**6, zone).date()
    bounds = [_midnight(today, zone), _midnight(today + timedelta(days=1), zone)]
    known = list(_budgets(settings, today, zone))
    return {
        "roots": _roots(settings),
        "day": bounds,
        "offsets": list(_offsets(today, zone)),
        "since": min([bounds[0], *(since for _, _, since in known if since is not None)]),
        "budgets": known,
        "files": [str(path) for path in _files(folder)],
    }


def _budgets(
    settings: config.Settings, today: date, zone: ZoneInfo
) -> Iterator[tuple[int, str, int | None]]:
    """Yield the budgets of all projects together: picodollars, period, since when if a day tells."""
    start = settings.start_of_week.lower()
    selection = Selection(start_of_week=start if start in WEEKDAYS else WEEKDAYS[0])
    for text in settings.budget:
        budget = budgets.parse(text)
        if budget.project is None:
            has_day = budget.period in {Period.DAY, Period.WEEK, Period.MONTH}
            since = _midnight(period_start(budget.period, today, selection), zone)
            yield int(budget.amount_usd * _PICO), budget.period.value, since if has_day else None


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files whose change changes figures."""
    yield config.file_in(folder, os.environ)
    yield _rates(folder)
    yield Path("/etc/localtime")
    yield from sorted(cache_folder().glob("genai*.json"))


def _rates(folder: Path) -> Path:
    return config.file_in(folder, os.environ).parent / FILE_NAME


def _zone(name: str | None) -> ZoneInfo:
    return (config.find_zone(name) or ZoneInfo("UTC")) if name else config.system_zone()


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Return when *day* begins in *zone*, in microseconds since 1970."""
    start = datetime.combine(day, time(), zone).astimezone(UTC)
    return int(start.timestamp()) * 10**6


def _offsets(today: date, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Yield how far the zone is ahead of UTC, whenever that changes within some days of *today*."""
    first = datetime.combine(today, time(), UTC) - _AROUND
    known = None
    for step in range(2 * _AROUND // _STEP):
        moment = first + step * _STEP
        offset = int((moment.astimezone(zone).utcoffset() or timedelta()).total_seconds())
        if offset != known:
            yield int(moment.timestamp()), offset
        known = offset


def _roots(settings: config.Settings) -> list[str]:
    from tokenaudit import transcripts

    named = [Path(root).expanduser() for root in settings.root]
    roots = named or transcripts.default_roots(os.environ, Path.home())
    return [str(root) for root in roots if root.exists()]


# rates


def tariffs(kinds: Iterable[tuple[Any, ...]]) -> Iterator[Mapping[str, Any]]:
    """Yield for each (model, speed, geography, tier, day) its rates and the days on which they hold.

    `{first, until, tariff}`: days since 1970, and what `picodollars.cost` takes; None if unpriced.
    A day of -1 stands for none.
    """
    card = rates_in_force(default_rates=_rates(config_folder()), cache=cache_folder())
    for model, speed, geo, tier, number in kinds:
        day = None if number < 0 else _EPOCH + timedelta(days=number)
        tariff = card.tariff(model, speed, day, geo, tier)
        first, until = (-1, 0) if day is None else _span(card, day)
        yield {"first": first, "until": until, "tariff": tariff and _plain(tariff, card)}


def _span(card: RateCard, day: date) -> tuple[int, int]:
    """Return the days between which no price changes, around *day*."""
    turns = card.turning_days
    first = max((turn for turn in turns if turn <= day), default=_EPOCH)
    until = min((turn for turn in turns if turn > day), default=None)
    return max((first - _EPOCH).days, 0), _NEVER if until is None else (until - _EPOCH).days


def _plain(tariff: Tariff, card: RateCard) -> dict[str, Any]:
    part, whole = tariff.discount.as_integer_ratio()
    return {
        "prices": _picodollars(tariff.prices),
        "long_prompt": tariff.rate.long_prompt,
        "long_prices": tariff.long_prices and _picodollars(tariff.long_prices),
        "discount": [part, whole],
        "web_search": int(card.web_search_usd * _PICO),
    }


def _picodollars(prices: Prices) -> list[int]:
    return [int(getattr(prices, name) * _PICO) for name in CLASSES]
