"""Which responses a report is about, and how their time is cut; pure: zone and day are arguments."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from tokenaudit.model import fields
from tokenaudit.model.errors import UsageError
from tokenaudit.reports.report import UNITS, Column, Unit

if TYPE_CHECKING:  # options are checked before anything is read, and that must not wait for Polars
    import polars as pl

    from tokenaudit.audit.verify.provenance import Filters

__all__ = [
    "DIMENSIONS",
    "Dimension",
    "Selection",
    "dimension",
    "is_dimension",
    "period_start",
    "select",
]

PERIODS: Final = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}
"""The period of each report over time."""

CUTS: Final = frozenset(PERIODS.values())
"""The columns that `select` adds."""

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Selection(Struct, frozen=True):
    """Filters of a report. Days are those of `timezone`; both ends are included."""

    timezone: str = "UTC"
    start_of_week: str = "monday"
    since: date | None = None
    until: date | None = None
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()

    @classmethod
    def of(cls, filters: "Filters", timezone: str, start_of_week: str = "monday") -> "Selection":
        """Return the selection of an export, from the filters that it says of itself."""
        return cls(
            timezone=timezone,
            start_of_week=start_of_week,
            since=filters.since,
            until=filters.until,
            projects=tuple(filters.project),
            models=tuple(filters.model),
            sessions=tuple(filters.session),
            agents=tuple(filters.agent),
            branches=tuple(filters.branch),
        )

    def filters(self) -> dict[str, Any]:
        """Return the filters that are set, for the report's meta."""
        named = {
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "project": list(self.projects),
            "model": list(self.models),
            "session": list(self.sessions),
            "agent": list(self.agents),
            "branch": list(self.branches),
        }
        return {name: value for name, value in named.items() if value}


class Dimension(Struct, frozen=True):
    """A column by which responses can be grouped."""

    name: str
    unit: Unit
    label: str

    @property
    def column(self) -> Column:
        """The report's column for it."""
        return Column(self.name, self.unit, self.label)


_DIMENSIONS: Final = (
    Dimension("hour", Unit.TIME, "Hour"),
    Dimension("day", Unit.DATE, "Day"),
    Dimension("week", Unit.DATE, "Week from"),
    Dimension("month", Unit.DATE, "Month"),
    *(Dimension(one.name, UNITS[one.dtype], one.label or one.name) for one in fields.DIMENSIONS),
)

DIMENSIONS: Final[Mapping[str, Dimension]] = {entry.name: entry for entry in _DIMENSIONS}


def dimension(name: str) -> Dimension:
    """Return the dimension called *name* (`session` and `agent` for their ids).

    Raises UsageError, with the names there are, for any other.
    """
    found = DIMENSIONS.get(name) or DIMENSIONS.get(f"{name}_id")
    if found is None:
        raise UsageError(f"no such dimension: {name}", hint=f"There are: {', '.join(DIMENSIONS)}.")
    return found


def is_dimension(name: str) -> bool:
    """Tell whether there is a dimension called *name*."""
    return name in DIMENSIONS or f"{name}_id" in DIMENSIONS


def select(frame: "pl.DataFrame", selection: Selection) -> "pl.LazyFrame":
    """Return the chosen rows of a ledger's *frame*, with `hour`, `day`, `week` and `month` added."""
    import polars as pl

    chosen = [
        _matching(frame, ("project",), selection.projects, _project_matches),
        _matching(frame, ("model",), selection.models, fnmatchcase),
        _matching(frame, ("session_id",), selection.sessions, _id_matches),
        _matching(frame, ("agent_id", "agent_type"), selection.agents, _id_matches),
        _matching(frame, ("branch",), selection.branches, fnmatchcase),
    ]
    rows = frame.lazy().filter(pl.lit(value=True), *(one for one in chosen if one is not None))
    rows = rows.with_columns(_periods(selection))
    if selection.since is not None:
        rows = rows.filter(pl.col("day") >= selection.since)
    if selection.until is not None:
        rows = rows.filter(pl.col("day") <= selection.until)
    return rows


def _periods(selection: Selection) -> "list[pl.Expr]":
    import polars as pl

    local = pl.col("time").dt.convert_time_zone(selection.timezone)
    day = local.dt.date()
    first = WEEKDAYS.index(selection.start_of_week) + 1
    into_week = (day.dt.weekday().cast(pl.Int64) - first) % 7
    return [
        local.dt.truncate("1h").alias("hour"),
        day.alias("day"),
        (day - pl.duration(days=into_week)).cast(pl.Date).alias("week"),
        local.dt.strftime("%Y-%m").alias("month"),
    ]


def period_start(period: str, today: date, selection: Selection, *, back: int = 0) -> date:
    """Return the first day of the *period* (`day`, `week` or `month`) that lies *back* before today's.

    Where the calendar does not reach as far, it is its first day.
    """
    try:
        if period == "week":
            into_week = (today.weekday() - WEEKDAYS.index(selection.start_of_week)) % 7
            return today - timedelta(days=into_week + 7 * back)
        if period == "month":
            months = today.year * 12 + today.month - 1 - back
            return date(months // 12, months % 12 + 1, 1)
        return today - timedelta(days=back)
    except (OverflowError, ValueError):
        return date.min


def _matching(
    frame: "pl.DataFrame", columns: Sequence[str], patterns: Iterable[str], matches: Any
) -> "pl.Expr | None":
    """Return the condition that one of *columns* matches one of *patterns*; None without patterns."""
    import polars as pl

    wanted = tuple(patterns)
    if not wanted:
        return None
    conditions = []
    for name in columns:
        values = frame[name].unique().drop_nulls().to_list()
        fitting = [value for value in values if any(matches(value, one) for one in wanted)]
        conditions.append(pl.col(name).is_in(fitting))
    return pl.any_horizontal(conditions)


def _project_matches(project: str, pattern: str) -> bool:
    """Tell whether *pattern* means *project*: by its whole path or by its last part."""
    last = project.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return fnmatchcase(project, pattern) or fnmatchcase(last, pattern)


def _id_matches(value: str, pattern: str) -> bool:
    """Tell whether *pattern* means the id *value*: as a glob or by how it begins."""
    return fnmatchcase(value, pattern) or value.startswith(pattern)
