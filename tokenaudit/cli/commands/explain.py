"""The commands of the auditor that question figures: explain, cache, diff, query."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from tokenaudit.cli.options import Display, Filter, Options, Output, Pricing, Source, command
from tokenaudit.model.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from tokenaudit.config.settings import Settings
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request

__all__ = ["register"]

_GROUPS = (Source, Filter, Pricing, Output)
_questioning = partial(command, groups=_GROUPS)

_PERIOD = (
    "The period to compare with: 2026-02, 2026-W09, 2026-03-02, 2026-03-01..2026-03-07, today,"
    " this-week, last-month, 7d."
)
_Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        min=1,
        metavar="N",
        help="List the first N rows of each part; totals stay whole.",
        rich_help_panel="What to show",
        show_default="10, of explain 20",
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands to *app*."""
    app.command(
        "explain",
        epilog="Examples: tokenaudit explain msg_01Z6n; tokenaudit explain 0cf1 --all-rules;"
        " tokenaudit explain --day 2026-10-08 --model claude-sonnet-5-5",
    )(explain)
    app.command(
        "cache",
        epilog="Examples: tokenaudit cache; tokenaudit cache --since this-month --project webshop;"
        " tokenaudit cache --session 0cf1 -n 50",
    )(cache)
    app.command(
        "diff",
        epilog="Examples: tokenaudit diff 2026-10 2026-11; tokenaudit diff last-week this-week;"
        " tokenaudit diff 2026-10-05 2026-10-08..2026-10-09 --project webshop",
    )(diff)
    app.command(
        "query",
        epilog="Examples: tokenaudit query 'SELECT project, SUM(cost_usd) AS cost_usd FROM usage GROUP BY project';"
        " tokenaudit query 'SELECT title, versions FROM sessions' --json;"
        " tokenaudit query 'SHOW TABLES'",
    )(query)


@_questioning
def explain(
    options: Options,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="Response, request, session, agent or SESSION/AGENT, or how its id begins; or a day,"
            " week or month. Without it, the cell that the filters leave.",
            show_default=False,
        ),
    ] = None,
    *,
    day: Annotated[
        str | None,
        typer.Option(
            "--day", metavar="DAY", help="This day alone.", rich_help_panel="What to count"
        ),
    ] = None,
    all_rules: Annotated[
        bool,
        typer.Option(
            "--all-rules",
            help="Add what other rules of counting would have given.",
            rich_help_panel="What to show",
        ),
    ] = False,
    limit: _Limit = None,
) -> None:
    """Show what stands behind a figure: its lines, which count by which rule, and the sum of its cost."""
    from tokenaudit.cli.reading import read_facts
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card

    options = replace(options, filters=_on(options.filters, day), display=Display(limit=limit))

    def make(request: "Request", settings: "Settings") -> "Report":
        card = rate_card(options.pricing)
        facts = read_facts(options, settings)
        from tokenaudit.ledger import frame as ledger
        from tokenaudit.ledger import lineage
        from tokenaudit.reports import explain as report
        from tokenaudit.reports.subject import find_subject

        built = ledger.build(facts, card)
        request, name = _narrowed(request, what)
        subject = find_subject(built, request, name)
        with_lines = subject.is_one or all_rules
        found = lineage.gather(facts, built.frame, subject.rows, with_lines=with_lines)
        return report.explain(built, request, subject, found, with_all_rules=all_rules)

    write(options, make, name="explain")


@_questioning
def cache(options: Options, *, limit: _Limit = None) -> None:
    """Show how well prompt caching worked: what it saved, and what was built again, and why."""
    from tokenaudit.cli.reading import load
    from tokenaudit.cli.run import write

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.reports.cache import cache as report

        return report(load(options, settings), request)

    write(replace(options, display=Display(limit=limit)), make, name="cache")


@_questioning
def diff(
    options: Options,
    first: Annotated[str, typer.Argument(metavar="PERIOD", help=_PERIOD)],
    second: Annotated[
        str, typer.Argument(metavar="PERIOD", help="The period to explain.", show_default=False)
    ],
    *,
    limit: _Limit = None,
) -> None:
    """Show why the second period cost more or less than the first: effects that sum to the difference."""
    from tokenaudit.cli.periods import parse_span
    from tokenaudit.cli.reading import load
    from tokenaudit.cli.run import write

    if options.filters.since or options.filters.until or options.filters.last:
        raise UsageError("diff: the periods say the days: --since, --until and --last do not")

    def make(request: "Request", settings: "Settings") -> "Report":
        today, start = _day(request)
        spans = [parse_span(text, today, start, option="diff") for text in (first, second)]
        from tokenaudit.reports.diff import Period
        from tokenaudit.reports.diff import diff as report

        periods = [Period(text, *span) for text, span in zip((first, second), spans, strict=True)]
        return report(load(options, settings), request, *periods)

    write(replace(options, display=Display(limit=limit)), make, name="diff")


@_questioning
def query(
    options: Options,
    sql: Annotated[
        str,
        typer.Argument(metavar="SQL", help="A query, such as SELECT ...; - reads it from stdin."),
    ],
    *,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            metavar="N",
            help="Show the first N rows.",
            rich_help_panel="What to show",
        ),
    ] = None,
) -> None:
    """Answer a query in SQL over the tables usage, sessions, agents and rejects. Read-only."""
    import sys

    from tokenaudit.cli.reading import load
    from tokenaudit.cli.run import write

    parse_request = sys.stdin.read() if sql == "-" else sql

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.reports.query import query as report

        return report(load(options, settings), request, parse_request)

    write(replace(options, display=Display(limit=limit)), make, name="query")


def _day(request: "Request") -> "tuple[date, int]":
    """Return the day of *request* in its zone, and the weekday on which its weeks start."""
    from zoneinfo import ZoneInfo

    from tokenaudit.reports.selection import WEEKDAYS

    selection = request.selection
    today = request.now.astimezone(ZoneInfo(selection.timezone)).date()
    return today, WEEKDAYS.index(selection.start_of_week)


def _on(filters: Filter, day: str | None) -> Filter:
    if day is None:
        return filters
    if filters.since or filters.until or filters.last:
        raise UsageError("--day excludes --since, --until and --last")
    return replace(filters, since=day, until=day)


def _narrowed(request: "Request", what: str | None) -> "tuple[Request, str | None]":
    """Take *what* as a period of days, where it is one: the question is then about these."""
    from tokenaudit.cli.periods import find_span

    selection = request.selection
    span = what and find_span(what, *_day(request))
    if not span:
        return request, what
    if selection.since or selection.until:
        raise UsageError(
            f"{what}: a period, and --day, --since, --until or --last, exclude each other"
        )
    return replace(request, selection=replace(selection, since=span.since, until=span.until)), None
