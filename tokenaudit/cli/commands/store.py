"""The commands about the store: what it holds, whether it is right, where it is, and forgetting."""

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tokenaudit.cli.app import KEPT_DATA, app, command, pass_on, report, show
from tokenaudit.cli.options import Options, Output, SourceOptions, with_options
from tokenaudit.model.errors import UsageError
from tokenaudit.render import Format

if TYPE_CHECKING:
    from datetime import datetime

    from tokenaudit.cli.pipeline import Run
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request
    from tokenaudit.store import Store, Version

__all__ = ["store"]

store = typer.Typer(name="store", rich_help_panel=KEPT_DATA)

_Folder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Where what has been read is kept.",
        show_default="in the platform's data folder",
    ),
]
_MOST_ON_SCREEN: Final = 20
"""How many versions of transcripts, or differences, a screen lists; files and programs get all."""


@store.callback(
    invoke_without_command=True,
    epilog="Examples: tokenaudit store; tokenaudit store --all; tokenaudit store --json",
)
@partial(with_options, groups=(Output,))
def status(
    options: Options,
    context: typer.Context,
    *,
    store: _Folder = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List all that only the store still knows.")
    ] = False,
) -> None:
    """Show what the store holds, and what became of transcripts since they were read."""
    if not pass_on(context, {**options.given(), **({} if store is None else {"store": store})}):
        show(options, "store", partial(_status, folder=store, everything=everything))


def _status(run: "Run", *, folder: Path | None, everything: bool) -> "Report":
    kept = _look(run, folder)
    from tokenaudit.reports.store import status

    most = None if everything else _most(run.options.output)
    return status(kept.holdings(), run.request, kept.notes, most=most)


def _look(run: "Run", folder: Path | None) -> "Store":
    from tokenaudit.cli.settings import store_folder
    from tokenaudit.store import Store

    return Store.look(store_folder(SourceOptions(store=folder), run.settings))


@command("path", "store path", "store path --store kept", groups=(), on=store)
def path(options: Options, *, store: _Folder = None) -> None:  # noqa: ARG001 - as all commands are
    """Print the folder of the store, whether or not there is one yet."""
    from tokenaudit.cli.settings import load_settings, store_folder

    typer.echo(store_folder(SourceOptions(store=store), load_settings()))


@report(
    "store verify",
    "store verify",
    "store verify --root ~/.claude",
    "store verify --json",
    groups=(SourceOptions, Output),
    on=store,
)
def verify(run: "Run") -> "Report":
    """Read all transcripts anew, and compare what the store keeps: exits with 1 if they differ."""
    from tokenaudit.cli.reading import read_both_ways
    from tokenaudit.cli.settings import store_folder
    from tokenaudit.store import Store

    source = run.options.source
    if source.no_store:
        raise UsageError("--no-store leaves nothing to verify")
    if source.demo and source.store is None:
        raise UsageError("--demo is kept nowhere", hint="Name a folder for it with --store DIR.")
    card = run.card
    opened = Store.open(store_folder(source, run.settings))
    kept, fresh, growing = read_both_ways(run.options, run.settings, opened)
    from tokenaudit.ledger.frame import build
    from tokenaudit.reports.store_check import verified

    for note in opened.notes:
        _say(note)
    versions = Store.look(opened.folder).holdings().versions  # as they are kept now
    gone = sum(version.fate == "gone" for version in versions)
    return verified(
        build(kept, card),
        build(fresh, card),
        run.request,
        gone=gone,
        former=sum(version.found_ns is not None for version in versions) - gone,
        growing=growing,
        most=_most(run.options.output),
    )


@report(
    "store forget",
    "store forget --before 2026-01-01",
    "store forget --before 3m --yes",
    "store forget --root ~/old/.claude",
    groups=(Output,),
    on=store,
)
def forget(
    run: "Run",
    *,
    before: Annotated[
        str | None,
        typer.Option(
            "--before",
            metavar="DAY",
            help="What only the store still knows, if its last line is older than DAY.",
        ),
    ] = None,
    below: Annotated[  # no --root said before the command may mean what is to be forgotten
        Path | None,
        typer.Option("--root", metavar="PATH", help="All that was read below PATH."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: _Folder = None,
) -> "Report":
    """Forget what only the store still knows, or all that was read below a folder. Asks first."""
    if (before is None) == (below is None):
        raise UsageError("say what to forget: either --before DAY or --root PATH")
    kept = _look(run, store)
    from tokenaudit.reports import store as reports

    chosen = _chosen(kept.holdings().versions, run.request, before, below)
    if chosen and not yes:
        _confirm(f"Forget {reports.told(chosen)}?")
    done = kept.forget(chosen) if chosen else []
    return reports.forgotten(done, run.request, kept.notes, most=_most(run.options.output))


def _chosen(
    versions: "Iterable[Version]", request: "Request", before: str | None, below: Path | None
) -> "list[Version]":
    from tokenaudit.store import PRESENT, is_within

    if below is not None:
        where = [str(below.expanduser())]
        return [version for version in versions if is_within(version.path, where)]
    start = _start_of(before or "", request)
    return [version for version in versions if version.fate != PRESENT and version.end < start]


def _start_of(day: str, request: "Request") -> "datetime":
    """Return when *day* begins in the user's zone."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from tokenaudit.cli.days import parse_day
    from tokenaudit.reports.selection import WEEKDAYS

    zone = ZoneInfo(request.selection.timezone)
    first = WEEKDAYS.index(request.selection.start_of_week)
    found = parse_day(day, request.now.astimezone(zone).date(), first, option="--before")
    return datetime(found.year, found.month, found.day, tzinfo=zone)


def _confirm(question: str) -> None:
    """Ask the user; ends the command unless the answer is yes. Raises UsageError without a terminal."""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", hint=f"{question} Say --yes to do it.")
    if not typer.confirm(question, err=True):
        _say("nothing was forgotten")
        raise typer.Exit(0)


def _most(output: Output) -> int | None:
    """Return how many rows a list has: all of them in a file, or for a program."""
    is_screen = output.output in {None, "-"} and output.format in {None, Format.TABLE}
    return _MOST_ON_SCREEN if is_screen and not output.json else None


def _say(note: str) -> None:
    from tokenaudit.render.clean import visible

    sys.stderr.write(f"tokenaudit: {visible(note)}\n")


app.add_typer(store)
