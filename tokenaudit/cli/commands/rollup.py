"""`rollup`: one total over a lake of many hosts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit.cli.app import OTHER_PROGRAMS, command, show
from tokenaudit.cli.options import (
    Display,
    Filter,
    Options,
    Output,
    Pricing,
    Thresholds,
    Workers,
)
from tokenaudit.model.errors import UsageError

if TYPE_CHECKING:
    from tokenaudit.cli.pipeline import Run
    from tokenaudit.export.lake.executors import Work
    from tokenaudit.reports.report import Report

__all__: list[str] = []


@command(
    "rollup",
    "rollup usage-lake",
    "rollup usage-lake daily --last 7",
    "rollup usage-lake by team,model",
    panel=OTHER_PROGRAMS,
    groups=(Filter, Display, Pricing, Thresholds, Output, Workers),
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
    from tokenaudit.cli.workers import workers
    from tokenaudit.export.lake import reports

    is_report = demo and lake is not None and reports.is_report(lake)
    work = workers(options.workers)
    name = " ".join([*([lake] if is_report and lake else []), *(report or [])]) or "hosts"
    make = partial(_rolled_up, name=name, lake=lake, demo=demo, groups=groups, work=work)
    fails_from = "warning" if options.thresholds.strict else "error"
    show(options, name, make, command=f"rollup {name}", fails_from=fails_from)


def _rolled_up(
    run: "Run", *, name: str, lake: str | None, demo: bool, groups: Path | None, work: "Work"
) -> "Report":
    from tokenaudit.cli.workers import shared
    from tokenaudit.export.lake import reports
    from tokenaudit.export.lake.day_totals import RollupRequest
    from tokenaudit.export.lake.groups import read_groups
    from tokenaudit.export.lake.rollup import roll_up

    keys = reports.dimensions(name)
    with _lake(lake, demo=demo) as place:
        where = shared(place, run.options.workers)
        selection = run.request.selection
        asked = RollupRequest(where, run.card, selection, keys, read_groups(groups), {})
        found = roll_up(asked, work)
    return reports.report(found, run.request, keys)


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
