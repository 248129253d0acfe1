"""The commands that say why a figure is what it is: explain, cache, diff."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec.structs import replace

from tokenaudit.cli.app import WHY, command, report, show
from tokenaudit.cli.options import Filter, Options, Output, PartLimit, Pricing, SourceOptions
from tokenaudit.model.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from tokenaudit.cli.pipeline import Run
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request

__all__: list[str] = []

_GROUPS: Final = (SourceOptions, Filter, PartLimit, Pricing, Output)
_PERIOD: Final = (
    "The period to compare with: 2026-02, 2026-W09, 2026-03-02, 2026-03-01..2026-03-07, today,"
    " this-week, last-month, 7d."
)


@command(
    "explain",
    "explain msg_01Z6n",
    "explain 0cf1 --all-rules",
    "explain --day 2026-10-08 --model claude-sonnet-5-5",
    panel=WHY,
    groups=_GROUPS,
)
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
) -> None:
    """Show what stands behind a figure: its lines, which count by which rule, and the sum of its cost."""
    options = replace(options, filters=_on(options.filters, day))
    show(options, "explain", partial(_explained, what=what, all_rules=all_rules))


def _explained(run: "Run", *, what: str | None, all_rules: bool) -> "Report":
    ledger = run.ledger
    from tokenaudit.ledger import lineage
    from tokenaudit.reports.explain import explain
    from tokenaudit.reports.subject import find_subject

    request, name = _narrowed(run.request, what)
    subject = find_subject(ledger, request, name)
    with_lines = subject.is_one or all_rules
    found = lineage.gather(ledger, subject.rows, with_lines=with_lines)
    return explain(ledger, request, subject, found, with_all_rules=all_rules)


@report(
    "cache",
    "cache",
    "cache --since this-month --project webshop",
    "cache --session 0cf1 -n 50",
    panel=WHY,
    groups=_GROUPS,
)
def cache(run: "Run") -> "Report":
    """Show how well prompt caching worked: what it saved, and what was built again, and why."""
    ledger = run.ledger
    from tokenaudit.reports.cache import cache

    return cache(ledger, run.request)


@report(
    "diff",
    "diff 2026-10 2026-11",
    "diff last-week this-week",
    "diff 2026-10-05 2026-10-08..2026-10-09 --project webshop",
    panel=WHY,
    groups=_GROUPS,
)
def diff(
    run: "Run",
    first: Annotated[str, typer.Argument(metavar="PERIOD", help=_PERIOD)],
    second: Annotated[
        str, typer.Argument(metavar="PERIOD", help="The period to explain.", show_default=False)
    ],
) -> "Report":
    """Show why the second period cost more or less than the first: effects that sum to the difference."""
    from tokenaudit.cli.periods import parse_span

    filters = run.options.filters
    if filters.since or filters.until or filters.last:
        raise UsageError("diff: the periods say the days: --since, --until and --last do not")
    texts = (first, second)
    spans = [parse_span(text, *_day(run.request), option="diff") for text in texts]
    ledger = run.ledger
    from tokenaudit.reports.diff import ComparedPeriod, diff

    periods = [ComparedPeriod(text, *span) for text, span in zip(texts, spans, strict=True)]
    return diff(ledger, run.request, *periods)


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
