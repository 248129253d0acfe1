"""From options to the question of a report: its period, its time zone, its shape. The clock ends here."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from tokenaudit import __version__
from tokenaudit.cli.days import parse_day
from tokenaudit.cli.options import Filter, Options, Order
from tokenaudit.cli.settings import load_settings
from tokenaudit.config.settings import Settings, find_zone, system_zone
from tokenaudit.model.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tokenaudit.model.budgets import Budget
    from tokenaudit.reports.request import Request
    from tokenaudit.reports.selection import Selection

__all__ = ["parse_request"]


def parse_request(
    options: Options, *, name: str, command: str | None = None
) -> "tuple[Request, Settings]":
    """Return what *options* ask, and the settings they stand on; *name* decides the period."""
    settings = load_settings()
    moment = _Moment.of(options.filters, settings)
    request = _question(name, options, moment, command or name)
    return replace(request, budgets=_budgets(options, settings)), settings


class _Moment(Struct, frozen=True):
    """Now, and the zone in which its day is cut."""

    now: datetime
    zone: ZoneInfo
    start_of_week: str

    @classmethod
    def of(cls, filters: Filter, settings: Settings) -> "_Moment":
        name = filters.timezone or settings.timezone
        where = "--timezone" if filters.timezone else "timezone"
        start = str(filters.start_of_week or settings.start_of_week).lower()
        return cls(datetime.now(UTC), _zone(name, where) if name else system_zone(), start)

    def selection(self, filters: Filter, period: str) -> "Selection":
        from tokenaudit.reports.selection import WEEKDAYS, Selection, period_start

        if self.start_of_week not in WEEKDAYS:
            raise ConfigError(f"start_of_week: not a day of the week: {self.start_of_week}")
        today = self.now.astimezone(self.zone).date()
        first = WEEKDAYS.index(self.start_of_week)
        since, until = (
            text and parse_day(text, today, first, option=option)
            for text, option in ((filters.since, "--since"), (filters.until, "--until"))
        )
        selection = Selection(timezone=self.zone.key, start_of_week=self.start_of_week)
        if filters.last is not None:
            if since is not None:
                raise UsageError("--since and --last exclude each other")
            since = period_start(period, today, selection, back=filters.last - 1)
        if since and until and since > until:
            raise UsageError(f"--since {since} is after --until {until}")
        return Selection(
            timezone=self.zone.key,
            start_of_week=self.start_of_week,
            since=since or None,
            until=until or None,
            projects=tuple(filters.project or ()),
            models=tuple(filters.model or ()),
            sessions=tuple(filters.session or ()),
            agents=tuple(filters.agent or ()),
            branches=tuple(filters.branch or ()),
        )


def _question(name: str, options: Options, moment: _Moment, command: str) -> "Request":
    from tokenaudit.reports.request import Layout, Request
    from tokenaudit.reports.selection import PERIODS

    display = options.display
    shape = Layout(
        sort=display.sort,
        descending=None if display.order is None else display.order is Order.DESC,
        limit=display.limit,
        with_cost=not display.no_cost,
        full=display.full,
        with_estimate=display.estimate,
        breakdown=display.breakdown,
    )
    selection = moment.selection(options.filters, PERIODS.get(name, "day"))
    return Request(command, __version__, moment.now, selection, shape)


def _budgets(options: Options, settings: Settings) -> "tuple[Budget, ...]":
    """Return the budgets of the command line, else those of the settings."""
    from tokenaudit.model import budgets

    try:
        return tuple(budgets.parse(text) for text in options.thresholds.budget or settings.budget)
    except ValueError as error:
        raise UsageError(f"budget: {error}") from None


def _zone(name: str, where: str) -> ZoneInfo:
    zone = find_zone(name)
    if zone is None:
        raise UsageError(
            f"{where}: no such time zone: {name}",
            hint="Write an IANA name such as Europe/Berlin or UTC.",
        )
    return zone
