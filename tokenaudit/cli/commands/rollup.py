"""`rollup`: one total over a lake of many hosts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tokenaudit.cli.options import (
    Display,
    Filter,
    Options,
    Output,
    Pricing,
    Thresholds,
    Workers,
    command,
)
from tokenaudit.model.errors import UsageError

if TYPE_CHECKING:
    from tokenaudit.config.settings import Settings
    from tokenaudit.export.lake.day_totals import RollupRequest
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request

__all__ = ["register"]

_EXAMPLES: Final = (
    "rollup usage-lake",
    "rollup usage-lake daily --last 7",
    "rollup usage-lake by team,model",
)


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    epilog = "Examples: " + "; ".join(f"tokenaudit {example}" for example in _EXAMPLES)
    app.command("rollup", epilog=epilog)(
        command(rollup, groups=(Filter, Display, Pricing, Thresholds, Output, Workers))
    )


def rollup(
    options: Options,
    lake: Annotated[
        str | None,
        typer.Argument(
            metavar="LAKE",
            help="Where hosts export to: a folder, s3://BUCKET/FOLDER.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REPORT]",
            help="hosts, daily, weekly, monthly, hourly, sessions, agents, projects, models, branches,"
            " or dimensions: host,model; with --groups also person, team, cost_centre.",
            show_default="hosts",
        ),
    ] = None,
    *,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Read the sample that comes with tokenaudit, instead of LAKE."),
    ] = False,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Hosts, projects and branches as persons, teams, cost centres."
        ),
    ] = None,
) -> None:
    """One total over a lake of many hosts: copies merged over all of them, at the rates in force."""
    from tokenaudit.cli.run import write
    from tokenaudit.cli.workers import shared, workers
    from tokenaudit.export.lake import reports
    from tokenaudit.export.lake.rollup import roll_up

    is_report = demo and lake is not None and reports.is_report(lake)
    work = workers(options.workers)
    name = " ".join([*([lake] if is_report and lake else []), *(report or [])]) or "hosts"

    def make(request: "Request", settings: "Settings") -> "Report":  # noqa: ARG001 - it has none
        keys = reports.dimensions(name)
        with _lake(lake, demo=demo) as place:
            parse_request = _asked(options, request, shared(place, options.workers), keys, groups)
            found = roll_up(parse_request, work)
        return reports.report(found, request, keys)

    written = write(options, make, name=name, command=f"rollup {name}")
    meta = written.meta
    if options.thresholds.strict and (meta.intake.rejects or meta.selected.unpriced_responses):
        raise typer.Exit(1)


def _asked(
    options: Options, request: "Request", lake: str, keys: tuple[str, ...], groups: Path | None
) -> "RollupRequest":
    from tokenaudit.cli.settings import rate_card
    from tokenaudit.export.lake.day_totals import RollupRequest
    from tokenaudit.export.lake.groups import read_groups

    card = rate_card(options.pricing)
    return RollupRequest(lake, card, request.selection, keys, read_groups(groups), {})


@contextmanager
def _lake(lake: str | None, *, demo: bool) -> Iterator[str]:
    """Yield the lake that is named; with *demo* one of the sample, as one host would export it."""
    if not demo:
        if lake is None:
            raise UsageError("no lake named", hint="Make one with: tokenaudit export --to DIR.")
        yield lake
        return
    from tempfile import TemporaryDirectory

    from tokenaudit.cli.commands.export import export_sample

    with TemporaryDirectory(prefix="tokenaudit-") as folder:
        export_sample(folder)
        yield os.fspath(folder)
