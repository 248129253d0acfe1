"""The commands about the store: what it holds, whether it is right, where it is, and forgetting."""

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tokenaudit.cli.options import Options, Output, Source, command
from tokenaudit.model.errors import UsageError
from tokenaudit.render import Format

if TYPE_CHECKING:
    from datetime import datetime

    from tokenaudit.config.settings import Settings
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request
    from tokenaudit.store import Version

__all__ = ["app"]

app = typer.Typer(name="store")

_about_the_store = partial(command, groups=(Output,))
_about_transcripts = partial(command, groups=(Source, Output))

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


@app.callback(
    invoke_without_command=True,
    epilog="Examples: tokenaudit store; tokenaudit store --all; tokenaudit store --json",
)
@_about_the_store
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
    if context.invoked_subcommand is not None:
        # What is said before the command holds for the command.
        said = {**options.given(), **({} if store is None else {"store": store})}
        context.default_map = {context.invoked_subcommand: {**(context.default_map or {}), **said}}
        return
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import store_folder
    from tokenaudit.store import Store

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.reports import store as reports

        kept = Store.look(store_folder(Source(store=store), settings))
        most = None if everything else _most(options.output)
        return reports.status(kept.holdings(), request, kept.notes, most=most)

    write(options, make, name="store")


@app.command(epilog="Examples: tokenaudit store path; tokenaudit store path --store kept")
@partial(command, groups=())
def path(options: Options, *, store: _Folder = None) -> None:  # noqa: ARG001 - as all commands are
    """Print the folder of the store, whether or not there is one yet."""
    from tokenaudit.cli.settings import load_settings, store_folder

    typer.echo(store_folder(Source(store=store), load_settings()))


@app.command(
    epilog="Examples: tokenaudit store verify; tokenaudit store verify --root ~/.claude;"
    " tokenaudit store verify --json"
)
@_about_transcripts
def verify(options: Options) -> None:
    """Read all transcripts anew, and compare what the store keeps: exits with 1 if they differ."""
    from tokenaudit.cli.reading import read_both_ways
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card, store_folder
    from tokenaudit.store import Store

    if options.source.no_store:
        raise UsageError("--no-store leaves nothing to verify")
    if options.source.demo and options.source.store is None:
        raise UsageError("--demo is kept nowhere", hint="Name a folder for it with --store DIR.")

    def make(request: "Request", settings: "Settings") -> "Report":
        card = rate_card(options.pricing)
        store = Store.open(store_folder(options.source, settings))
        kept, fresh, growing = read_both_ways(options, settings, store)
        from tokenaudit.ledger import frame as ledger
        from tokenaudit.reports.store_check import verified

        for note in store.notes:
            _say(note)
        versions = Store.look(store.folder).holdings().versions  # as they are kept now
        gone = sum(version.fate == "gone" for version in versions)
        return verified(
            ledger.build(kept, card),
            ledger.build(fresh, card),
            request,
            gone=gone,
            former=sum(version.found_ns is not None for version in versions) - gone,
            growing=growing,
            most=_most(options.output),
        )

    report = write(options, make, name="store", command="store verify")
    if len(report.sections) > 1:
        raise typer.Exit(1)


@app.command(
    epilog="Examples: tokenaudit store forget --before 2026-01-01;"
    " tokenaudit store forget --before 3m --yes; tokenaudit store forget --root ~/old/.claude"
)
@_about_the_store
def forget(
    options: Options,
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
) -> None:
    """Forget what only the store still knows, or all that was read below a folder. Asks first."""
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import store_folder
    from tokenaudit.store import Store

    if (before is None) == (below is None):
        raise UsageError("say what to forget: either --before DAY or --root PATH")

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.reports import store as reports

        kept = Store.look(store_folder(Source(store=store), settings))
        filters = _chosen(kept.holdings().versions, request, before, below)
        if filters and not yes:
            _ask(f"Forget {reports.told(filters)}?")
        done = kept.forget(filters) if filters else []
        return reports.forgotten(done, request, kept.notes, most=_most(options.output))

    write(options, make, name="store", command="store forget")


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


def _ask(request: str) -> None:
    """Ask the user; ends the command unless the answer is yes. Raises UsageError without a terminal."""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on", hint=f"{request} Say --yes to do it.")
    if not typer.confirm(request, err=True):
        _say("nothing was forgotten")
        raise typer.Exit(0)


def _most(output: Output) -> int | None:
    """Return how many rows a list has: all of them in a file, or for a program."""
    is_screen = output.output in {None, "-"} and output.format in {None, Format.TABLE}
    return _MOST_ON_SCREEN if is_screen and not output.json else None


def _say(note: str) -> None:
    from tokenaudit.render.clean import visible

    sys.stderr.write(f"tokenaudit: {visible(note)}\n")
