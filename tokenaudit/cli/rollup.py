"""`rollup`: one total over a lake of many hosts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tokenaudit.cli.options import Cut, Filter, Gate, Options, Output, Pricing, Workers, command
from tokenaudit.errors import UsageError

if TYPE_CHECKING:
    from tokenaudit.config import Settings
    from tokenaudit.lake.sums import Asked
    from tokenaudit.reports.question import Question
    from tokenaudit.reports.report import Report

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
        command(rollup, groups=(Filter, Cut, Pricing, Gate, Output, Workers))
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
    from tokenaudit.lake import reports
    from tokenaudit.lake.rollup import roll_up

    is_report = demo and lake is not None and reports.is_report(lake)
    work = workers(options.workers)
    name = " ".join([*([lake] if is_report and lake else []), *(report or [])]) or "hosts"

    def make(question: "Question", settings: "Settings") -> "Report":  # noqa: ARG001 - it has none
        keys = reports.dimensions(name)
        with _lake(lake, demo=demo) as place:
            asked = _asked(options, question, shared(place, options.workers), keys, groups)
            found = roll_up(asked, work)
        return reports.report(found, question, keys)

    written = write(options, make, name=name, command=f"rollup {name}")
    meta = written.meta
    if options.gate.strict and (meta.intake.rejects or meta.selected.unpriced_responses):
        raise typer.Exit(1)


def _asked(
    options: Options, question: "Question", lake: str, keys: tuple[str, ...], groups: Path | None
) -> "Asked":
    from tokenaudit.cli.settings import rate_card
    from tokenaudit.lake.groups import read_groups
    from tokenaudit.lake.sums import Asked

    card = rate_card(options.pricing)
    return Asked(lake, card, question.selection, keys, read_groups(groups), {})


@contextmanager
def _lake(lake: str | None, *, demo: bool) -> Iterator[str]:
    """Yield the lake that is named; with *demo* one of the sample, as one host would export it."""
    if not demo:
        if lake is None:
            raise UsageError("no lake named", hint="Make one with: tokenaudit export --to DIR.")
        yield lake
        return
    from tempfile import TemporaryDirectory

    from tokenaudit.cli.exports import export_sample

    with TemporaryDirectory(prefix="tokenaudit-") as folder:
        export_sample(folder)
        yield os.fspath(folder)
