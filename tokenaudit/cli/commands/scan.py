"""`scan`: the transcripts of many, on storage that they share, into a lake by many workers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import asdict

from tokenaudit.cli.app import OTHER_PROGRAMS, command
from tokenaudit.cli.commands.export import Target, alone, say, secret_of, warn
from tokenaudit.cli.options import Options, Workers
from tokenaudit.export.database import is_database
from tokenaudit.model.errors import UsageError

if TYPE_CHECKING:
    from tokenaudit.transcripts import Discovery

__all__: list[str] = []


@command(
    "scan",
    "scan /mnt/homes --to usage-lake",
    "scan /mnt/homes --to usage-lake --jobs 2",
    "scan /mnt/homes /mnt/archive --to usage-lake --host archive --json",
    panel=OTHER_PROGRAMS,
    groups=(Workers,),
)
def scan(
    options: Options,
    roots: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="ROOT...",
            help="Folders of transcripts, of any number of people.",
            show_default=False,
        ),
    ] = None,
    *,
    to: Annotated[
        str, typer.Option(metavar="LAKE", help="The lake: a folder, or s3://BUCKET/FOLDER.")
    ],
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Read the sample that comes with tokenaudit, instead of ROOT."),
    ] = False,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="What people call the host in the lake.",
            show_default="as before, else the machine's name",
        ),
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace project, branch and folders by an HMAC.")
    ] = False,
    secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The secret for --redact.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON: what was written.")
    ] = False,
) -> None:
    """Parse the transcripts below ROOT into a lake, on processes or a cluster, as one host.

    Workers read transcripts and write the lake themselves. Everything is read anew; each night, export --to reads less.
    """
    if is_database(to) or to.endswith(".prom"):
        raise UsageError("--to: a scan goes to a lake")
    secret = secret_of(Target(to, host, redact, secret_file))
    from tokenaudit.cli.workers import shared, workers

    work = workers(options.workers)
    discovery = _discover(roots, demo=demo)
    from datetime import UTC, datetime

    from tokenaudit.config.directories import data_folder
    from tokenaudit.export.lake.host import this_host
    from tokenaudit.export.lake.scan import Scan
    from tokenaudit.export.lake.scan import scan as start

    this = this_host(data_folder(), os.environ, host)
    asked = Scan.new(shared(to, options.workers), this, datetime.now(UTC), secret)
    with alone(to, this.id):
        scanned = start(asked, discovery, work)
    if json:
        say({"to": to, "host": this.id, "host_label": this.label, **asdict(scanned)})
    warn(scanned.damages)


def _discover(roots: list[Path] | None, *, demo: bool) -> "Discovery":
    from tokenaudit import transcripts

    if demo:
        return transcripts.discover([transcripts.DEMO])
    if not roots:
        raise UsageError("no root named", hint="Name the folders that hold transcripts.")
    return transcripts.discover(roots)
