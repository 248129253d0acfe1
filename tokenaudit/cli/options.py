"""The options that commands share, each spelled once; and how a command takes them.

A command names the option groups it needs as parameters of these types; `command` turns every field
of a group into an option and hands the group over as one value.
"""

import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer
from msgspec import Struct

from tokenaudit.render import OF_FINDINGS, Format

__all__ = [
    "OF_REPORTS",
    "Display",
    "Filter",
    "Group",
    "Options",
    "Order",
    "Output",
    "PartLimit",
    "Pricing",
    "RowLimit",
    "SourceOptions",
    "Thresholds",
    "Workers",
    "with_options",
]


class Order(StrEnum):
    """Which way rows are sorted."""

    ASC = "asc"
    DESC = "desc"


class Weekday(StrEnum):
    """The day on which a week starts."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_READ = "What to read"
_CHOOSE = "What to count"
_SHOW = "What to show"
_WRITE = "How to write it"
_PRICE = "How to price it"
_WORK = "Who does the work"


class SourceOptions(Struct, frozen=True):
    """Which transcripts are read."""

    root: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Folder or file of transcripts: a Claude configuration folder, a project, a session. Repeatable.",
            rich_help_panel=_READ,
            show_default="CLAUDE_CONFIG_DIR, else ~/.claude",
        ),
    ] = None
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="Read the sample that comes with tokenaudit.", rich_help_panel=_READ
        ),
    ] = False
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Processes to read with.",
            rich_help_panel=_READ,
            show_default="one per core",
        ),
    ] = None
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            help="Where what has been read is kept.",
            rich_help_panel=_READ,
            show_default="in the platform's data folder",
        ),
    ] = None
    no_store: Annotated[
        bool,
        typer.Option(
            "--no-store", help="Read everything anew, and keep nothing.", rich_help_panel=_READ
        ),
    ] = False
    only_present: Annotated[
        bool,
        typer.Option(
            "--only-present",
            help="Leave out what only the store still knows.",
            rich_help_panel=_READ,
        ),
    ] = False
    offline: Annotated[bool, typer.Option("--offline", hidden=True)] = False


class Filter(Struct, frozen=True):
    """Which responses are counted, and how their days are cut."""

    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            "-s",
            metavar="DAY",
            help="First day: 2026-03-01, 20260301, today, yesterday, 7d, this-week, this-month.",
            rich_help_panel=_CHOOSE,
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(
            "--until", "-u", metavar="DAY", help="Last day, included.", rich_help_panel=_CHOOSE
        ),
    ] = None
    last: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The last N days; of weekly and monthly the last N weeks and months.",
            rich_help_panel=_CHOOSE,
        ),
    ] = None
    project: Annotated[
        list[str] | None,
        typer.Option(
            "--project",
            "-p",
            metavar="GLOB",
            help="Project, by path or last part. Repeatable.",
            rich_help_panel=_CHOOSE,
        ),
    ] = None
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="GLOB", help="Model. Repeatable.", rich_help_panel=_CHOOSE
        ),
    ] = None
    session: Annotated[
        list[str] | None,
        typer.Option(
            "--session",
            metavar="GLOB",
            help="Session id, or how it begins. Repeatable.",
            rich_help_panel=_CHOOSE,
        ),
    ] = None
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent",
            metavar="GLOB",
            help="Agent id or type; main is a session's own. Repeatable.",
            rich_help_panel=_CHOOSE,
        ),
    ] = None
    branch: Annotated[
        list[str] | None,
        typer.Option(
            "--branch", metavar="GLOB", help="Git branch. Repeatable.", rich_help_panel=_CHOOSE
        ),
    ] = None
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone",
            "-z",
            metavar="ZONE",
            help="Zone in which days are cut, such as Europe/Berlin.",
            rich_help_panel=_CHOOSE,
            show_default="the system's",
        ),
    ] = None
    start_of_week: Annotated[
        Weekday | None,
        typer.Option(
            metavar="WEEKDAY",
            help="Day on which weeks start: monday, sunday...",
            rich_help_panel=_CHOOSE,
            show_default="monday",
        ),
    ] = None


class Display(Struct, frozen=True):
    """How rows are made of what was counted."""

    breakdown: Annotated[
        bool,
        typer.Option("--breakdown", "-b", help="Split each row by model.", rich_help_panel=_SHOW),
    ] = False
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column to sort by: cost, output, session...",
            rich_help_panel=_SHOW,
        ),
    ] = None
    order: Annotated[
        Order | None,
        typer.Option(
            help="Rising or falling.", rich_help_panel=_SHOW, show_default="as fits the column"
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            metavar="N",
            help="Show the first N rows; totals stay whole.",
            rich_help_panel=_SHOW,
        ),
    ] = None
    no_cost: Annotated[
        bool, typer.Option("--no-cost", help="Leave costs out.", rich_help_panel=_SHOW)
    ] = False
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="Add estimates of lost output, and of its cost.",
            rich_help_panel=_SHOW,
        ),
    ] = False
    full: Annotated[
        bool,
        typer.Option("--full", help="Add what each class of tokens cost.", rich_help_panel=_SHOW),
    ] = False


class RowLimit(Struct, frozen=True):
    """How many rows of a report are shown, where that is all there is to choose."""

    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            metavar="N",
            help="Show the first N rows.",
            rich_help_panel=_SHOW,
        ),
    ] = None


class PartLimit(Struct, frozen=True):
    """How many rows of each part of a report are shown."""

    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            metavar="N",
            help="List the first N rows of each part; totals stay whole.",
            rich_help_panel=_SHOW,
            show_default="10, of explain 20",
        ),
    ] = None


class Pricing(Struct, frozen=True):
    """At which rates responses are priced."""

    rates: Annotated[
        Path | None,
        typer.Option(
            "--rates",
            metavar="FILE",
            help="Your own rates, discounts and aliases.",
            rich_help_panel=_PRICE,
            show_default="rates.toml beside the settings",
        ),
    ] = None
    as_model: Annotated[
        str | None,
        typer.Option(
            "--as-model",
            metavar="MODEL",
            help="Price everything as if MODEL had answered.",
            rich_help_panel=_PRICE,
        ),
    ] = None


class Thresholds(Struct, frozen=True):
    """What, of a report that is written all the same, makes the command fail."""

    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit with 1 if anything is unpriced.", rich_help_panel=_PRICE
        ),
    ] = False
    fail_over: Annotated[
        str | None,
        typer.Option(
            "--fail-over",
            metavar="AMOUNT",
            help="Exit with 1 if what is counted costs more than AMOUNT US dollars.",
            rich_help_panel=_PRICE,
        ),
    ] = None
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="AMOUNT/PERIOD",
            help="Budget, shown in the overview: 25/day, webshop=100/month; day, week, month, block,"
            " session. Repeatable.",
            rich_help_panel=_PRICE,
        ),
    ] = None


class Output(Struct, frozen=True):
    """Where the report goes, and in which form."""

    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"{', '.join(form for form in Format if form not in OF_FINDINGS)};"
            f" of `check` also {' and '.join(sorted(OF_FINDINGS))}.",
            rich_help_panel=_WRITE,
            show_default="table, or as FILE ends",
        ),
    ] = None
    json: Annotated[
        bool, typer.Option("--json", "-j", help="Short for --format json.", rich_help_panel=_WRITE)
    ] = False
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE, whole or not at all; - is stdout.",
            rich_help_panel=_WRITE,
        ),
    ] = None
    compact: Annotated[
        bool,
        typer.Option(
            "--compact", help="Short numbers, as on a narrow screen.", rich_help_panel=_WRITE
        ),
    ] = False
    raw_csv: Annotated[
        bool,
        typer.Option(
            "--raw-csv",
            help="Leave texts in CSV as they are, formulas too.",
            rich_help_panel=_WRITE,
        ),
    ] = False


class Workers(Struct, frozen=True):
    """Who does the work of a command for a whole lake."""

    jobs: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Processes to work with.", rich_help_panel=_WORK),
    ] = 1
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Scheduler of a Dask cluster that sees the same files: tcp://127.0.0.1:8786, tls://...",
            rich_help_panel=_WORK,
        ),
    ] = None
    insecure_cluster: Annotated[
        bool,
        typer.Option(
            "--insecure-cluster",
            help="Talk to another machine without TLS all the same.",
            rich_help_panel=_WORK,
        ),
    ] = False


class Options(Struct, frozen=True):
    """All shared options of one command; those that it does not take are at their defaults."""

    source: SourceOptions = SourceOptions()
    filters: Filter = Filter()
    display: Display = Display()
    pricing: Pricing = Pricing()
    thresholds: Thresholds = Thresholds()
    output: Output = Output()
    workers: Workers = Workers()

    def given(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, by name."""
        groups = (
            self.source,
            self.filters,
            self.display,
            self.pricing,
            self.thresholds,
            self.output,
        )
        return {
            name: value
            for group in groups
            for name in group.__struct_fields__
            if (value := getattr(group, name)) != getattr(type(group)(), name)
        }


Group = (
    SourceOptions
    | Filter
    | Display
    | RowLimit
    | PartLimit
    | Pricing
    | Thresholds
    | Output
    | Workers
)
_FIELDS: Final[Mapping[type[Group], str]] = {
    SourceOptions: "source",
    Filter: "filters",
    Display: "display",
    RowLimit: "display",
    PartLimit: "display",
    Pricing: "pricing",
    Thresholds: "thresholds",
    Output: "output",
    Workers: "workers",
}
OF_REPORTS: Final = (SourceOptions, Filter, Display, Pricing, Thresholds, Output)
"""The groups that a command has unless it names its own."""


def with_options(
    function: Callable[..., None], groups: tuple[type[Group], ...] = OF_REPORTS
) -> Callable[..., None]:
    """Let *function*, whose first parameter takes `Options`, be a command of Typer's.

    In its signature, as Typer sees it, every field of every one of *groups* is an option.
    """
    _, *parameters = inspect.signature(function).parameters.values()
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]

    @wraps(function)
    def run(**values: Any) -> None:
        def taken(group: type[Group]) -> Any:
            given = group(**{name: values.pop(name) for name in group.__struct_fields__})
            return Display(limit=given.limit) if isinstance(given, RowLimit | PartLimit) else given

        function(Options(**{_FIELDS[group]: taken(group) for group in groups}), **values)

    parameters = [*own, *_shared(groups)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@cache
def _shared(groups: tuple[type[Group], ...]) -> tuple[inspect.Parameter, ...]:
    return tuple(parameter for group in groups for parameter in _parameters(group))


@cache
def _parameters(group: type[Group]) -> tuple[inspect.Parameter, ...]:
    found, defaults = get_type_hints(group, include_extras=True), group()
    return tuple(
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=getattr(defaults, name),
            annotation=found[name],
        )
        for name in group.__struct_fields__
    )
