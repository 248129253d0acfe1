"""From options to the question of a report: its period, its time zone, its shape. The clock ends here."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from msgspec.structs import replace

from tokenaudit import __version__
from tokenaudit.cli.days import parse_day
from tokenaudit.cli.options import Filter, Options, Order
from tokenaudit.cli.settings import load_settings
from tokenaudit.config import Settings, system_zone
from tokenaudit.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tokenaudit.budgets import Budget
    from tokenaudit.reports.question import Question
    from tokenaudit.reports.selection import Selection

__all__ = ["asked"]


def asked(
    options: Options, *, name: str, command: str | None = None
) -> "tuple[Question, Settings]":
    """Return what *options* ask, and the settings they stand on; *name* decides the period."""
    settings = load_settings()
    moment = _Moment.of(options.chosen, settings)
    question = _question(name, options, moment, command or name)
    return replace(question, budgets=_budgets(options, settings)), settings


class _Moment(Struct, frozen=True):
    """Now, and the zone in which its day is cut."""

    now: datetime
    zone: ZoneInfo
    start_of_week: str

    @classmethod
    def of(cls, chosen: Filter, settings: Settings) -> "_Moment":
        name = chosen.timezone or settings.timezone
        where = "--timezone" if chosen.timezone else "timezone"
        start = str(chosen.start_of_week or settings.start_of_week).lower()
        return cls(datetime.now(UTC), _zone(name, where) if name else system_zone(), start)

    def selection(self, chosen: Filter, period: str) -> "Selection":
        from tokenaudit.reports.selection import WEEKDAYS, Selection, period_start

        if self.start_of_week not in WEEKDAYS:
            raise ConfigError(f"start_of_week: not a day of the week: {self.start_of_week}")
        today = self.now.astimezone(self.zone).date()
        first = WEEKDAYS.index(self.start_of_week)
        since, until = (
            text and parse_day(text, today, first, option=option)
            for text, option in ((chosen.since, "--since"), (chosen.until, "--until"))
        )
        selection = Selection(timezone=self.zone.key, start_of_week=self.start_of_week)
        if chosen.last is not None:
            if since is not None:
                raise UsageError("--since and --last exclude each other")
            since = period_start(period, today, selection, back=chosen.last - 1)
        if since and until and since > until:
            raise UsageError(f"--since {since} is after --until {until}")
        return Selection(
            timezone=self.zone.key,
            start_of_week=self.start_of_week,
            since=since or None,
            until=until or None,
            projects=tuple(chosen.project or ()),
            models=tuple(chosen.model or ()),
            sessions=tuple(chosen.session or ()),
            agents=tuple(chosen.agent or ()),
            branches=tuple(chosen.branch or ()),
        )


def _question(name: str, options: Options, moment: _Moment, command: str) -> "Question":
    from tokenaudit.reports.question import Question, Shape
    from tokenaudit.reports.selection import PERIODS

    cut = options.cut
    shape = Shape(
        sort=cut.sort,
        descending=None if cut.order is None else cut.order is Order.DESC,
        limit=cut.limit,
        with_cost=not cut.no_cost,
        full=cut.full,
        with_estimate=cut.estimate,
        breakdown=cut.breakdown,
    )
    selection = moment.selection(options.chosen, PERIODS.get(name, "day"))
    return Question(command, __version__, moment.now, selection, shape)


def _budgets(options: Options, settings: Settings) -> "tuple[Budget, ...]":
    """Return the budgets of the command line, else those of the settings."""
    from tokenaudit import budgets

    try:
        return tuple(budgets.parse(text) for text in options.gate.budget or settings.budget)
    except ValueError as error:
        raise UsageError(f"budget: {error}") from None


def _zone(name: str, where: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"{where}: no such time zone: {name}",
            hint="Write an IANA name such as Europe/Berlin or UTC.",
        ) from None
