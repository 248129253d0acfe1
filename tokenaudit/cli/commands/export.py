"""`export`: one file for other programs, or a place that a nightly job adds to."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from msgspec import Struct
from msgspec.structs import asdict

from tokenaudit.cli.app import OTHER_PROGRAMS, command, show
from tokenaudit.cli.options import Options
from tokenaudit.export.database import is_database
from tokenaudit.files import inputs
from tokenaudit.model.errors import ConfigError, OutputError, UsageError

if TYPE_CHECKING:
    from tokenaudit.cli.pipeline import Run
    from tokenaudit.export.lake.parts import Damage
    from tokenaudit.reports.report import Report

__all__ = ["Target", "alone", "export_sample", "say", "secret_of", "warn"]

_PLACE: Final = "Where a nightly job adds to"
_SECRET: Final = "TOKENAUDIT_SECRET"  # noqa: S105 - the name of a variable
_LEAST_SECRET: Final = 16
_PATIENCE_S: Final = 600
"""How long a run waits for another that writes to the same place."""


class Target(Struct, frozen=True):
    """Where to add to, and as whom."""

    to: str
    label: str | None
    redact: bool
    secret_file: Path | None


@command(
    "export",
    "export -o responses.parquet",
    "export daily -o daily.csv",
    "export --to usage-lake --host build-7",
    panel=OTHER_PROGRAMS,
)
def export(
    options: Options,
    report: Annotated[
        str,
        typer.Argument(
            metavar="[REPORT]",
            help="ledger (one row per response), refused, rejects, or any report: daily, sessions, project,model...",
        ),
    ] = "ledger",
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Add what is new to a lake that hosts may share (a folder, s3://BUCKET/FOLDER), sqlite:///FILE or postgresql://HOST/DATABASE.",
            rich_help_panel=_PLACE,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="What people call this host.",
            rich_help_panel=_PLACE,
            show_default="as before, else the machine's name",
        ),
    ] = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Replace project, branch and folders by an HMAC with the organisation's secret.",
            rich_help_panel=_PLACE,
        ),
    ] = False,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The secret for --redact.",
            rich_help_panel=_PLACE,
            show_default=_SECRET,
        ),
    ] = None,
) -> None:
    """Write the ledger itself, or any report, for other programs: CSV, Parquet, JSON, NDJSON.

    A file is replaced. With --to, what is new is added to a lake or a database, and nothing is taken away.
    """
    if to is not None:
        _add(options, Target(to, host, redact, secret_file), report)
        return
    if host is not None or redact or secret_file is not None:
        raise UsageError("--host, --redact and --secret-file need --to")
    show(options, report, partial(_exported, name=report), command=f"export {report}")


def _exported(run: "Run", *, name: str) -> "Report":
    from tokenaudit.cli.verification import exported

    return exported(run, name)


def _add(options: Options, target: Target, report: str) -> None:
    """Add the responses that *options* choose to the place that *target* names."""
    if report != "ledger":
        raise UsageError(f"--to takes the responses themselves, not {report}")
    if options.output.output is not None:
        raise UsageError("--to and --output exclude each other")
    from tokenaudit.cli.pipeline import Run

    run = Run.of(options, name="ledger", command="export --to")
    if is_database(target.to):
        _add_to_database(run, target)
    elif target.to.endswith(".prom"):
        _write_metrics(run, target)
    else:
        _add_to_lake(run, target)


def _add_to_lake(run: "Run", target: Target) -> None:
    from tokenaudit.config.directories import data_folder
    from tokenaudit.export.lake.host import this_host
    from tokenaudit.export.lake.storage import open_storage

    secret = secret_of(target)
    storage = open_storage(target.to, must_exist=False)
    host = this_host(data_folder(), os.environ, target.label)
    facts = run.facts
    from tokenaudit.export.lake.export_state import Last, mark_of
    from tokenaudit.export.lake.publish import Published, publish

    last = Last.of(data_folder(), target.to, storage, host)
    mark = mark_of(facts, host, run.request.selection, secret)
    published, responses = Published((), (), ()), last.responses(mark)
    if responses is None:
        from tokenaudit.export.lake.rows import rows_of
        from tokenaudit.reports.selection import select

        rows = rows_of(facts, host=host.id, label=host.label)
        chosen = select(rows, run.request.selection).collect().select(rows.columns)
        responses = chosen.height
        with alone(target.to, host.id):
            published = publish(chosen, storage, host, run.request.now, secret=secret)
            if not published.damages:
                last.note(mark, responses)
    if run.options.output.json:
        say(
            {
                "to": target.to,
                "host": host.id,
                "host_label": host.label,
                "responses": responses,
                "rejects": facts.rejects.height,
                **asdict(published),
            }
        )
    warn(published.damages)


def _add_to_database(run: "Run", target: Target) -> None:
    if target.redact or target.secret_file is not None:
        raise UsageError("--redact is for a lake")
    try:
        from tokenaudit.export.database.write import add, shown
    except ImportError:
        raise ConfigError(
            "--to: SQLAlchemy is not installed", hint="pip install 'tokenaudit-cli[databases]'"
        ) from None
    from tokenaudit.config.directories import data_folder
    from tokenaudit.export.lake.host import this_host
    from tokenaudit.reports.selection import select

    host = this_host(data_folder(), os.environ, target.label)
    ledger = run.ledger
    chosen = select(ledger.frame, run.request.selection).collect().select(ledger.frame.columns)
    added = add(ledger, chosen, target.to, host.id)
    if run.options.output.json:
        say(
            {
                "to": shown(target.to),
                "host": host.id,
                "host_label": host.label,
                "responses": chosen.height,
                "rejects": ledger.intake.rejects,
                "added": added.responses,
                "tables": added.tables,
            }
        )


def _write_metrics(run: "Run", target: Target) -> None:
    """Replace a file of metrics: it says what is, not what was."""
    if target.redact or target.secret_file is not None or target.label is not None:
        raise UsageError("--host, --redact and --secret-file are not for metrics")
    from tokenaudit.render import target as targets

    targets.check(target.to)
    ledger = run.ledger
    from tokenaudit.export.openmetrics import metrics
    from tokenaudit.reports.selection import select

    chosen = select(ledger.frame, run.request.selection).collect()
    # read by a collector, which is another user
    targets.write(metrics(chosen, run.request.now), target.to, 0o666)
    if run.options.output.json:
        say({"to": target.to, "responses": chosen.height, "rejects": ledger.intake.rejects})


def export_sample(lake: str) -> None:
    """Export the sample that comes with tokenaudit to *lake*, as the host `demo`."""
    from datetime import UTC, datetime

    from tokenaudit.cli.options import SourceOptions
    from tokenaudit.cli.reading import read_facts
    from tokenaudit.config.settings import Settings

    facts = read_facts(Options(source=SourceOptions(demo=True, jobs=1)), Settings())
    from tokenaudit.export.lake.host import Host
    from tokenaudit.export.lake.publish import publish
    from tokenaudit.export.lake.rows import rows_of
    from tokenaudit.export.lake.storage import open_storage

    host = Host("demo", "demo")
    storage = open_storage(lake, must_exist=True)
    publish(rows_of(facts, host=host.id, label=host.label), storage, host, datetime.now(UTC))


def secret_of(target: Target) -> bytes | None:
    """Return the secret for redacting; None where nothing is to be. Raises ConfigError."""
    if not target.redact:
        if target.secret_file is not None:
            raise UsageError("--secret-file needs --redact")
        return None
    where = str(target.secret_file or f"environment: {_SECRET}")
    try:
        said = inputs.read(target.secret_file, inputs.MEBIBYTE) if target.secret_file else None
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}") from error
    secret = (os.environ.get(_SECRET, "").encode() if said is None else said).strip()
    if len(secret) < _LEAST_SECRET:
        raise ConfigError(
            f"{where}: a secret of at least {_LEAST_SECRET} characters is needed for --redact",
            hint=f"All hosts need the same one: in {_SECRET} or in the file of --secret-file.",
        )
    return secret


@contextmanager
def alone(lake: str, host: str) -> Iterator[None]:
    """Let no other run of *host* write to *lake* meanwhile; the lock dies with its owner.

    It spares work, no more: runs that do not see each other's lock lose nothing either. So a file
    system that cannot lock is no reason to stop.
    """
    from tokenaudit.config.directories import data_folder
    from tokenaudit.files import atomic, locks

    folder = data_folder() if "://" in lake else Path(lake)  # a bucket has no locks
    with ExitStack() as stack:
        try:
            atomic.make_folder(folder)
            stack.enter_context(locks.held(folder / f".tokenaudit-{host}.lock", _PATIENCE_S))
        except TimeoutError:
            raise OutputError(
                f"{lake}: another export of this host has been writing for long"
            ) from None
        except FileExistsError:
            raise OutputError(f"{lake}: not a folder") from None
        except OSError as error:
            if folder == Path(lake) and not os.access(lake, os.W_OK):
                raise OutputError(f"{lake}: cannot be written: {error.strerror}") from None
            sys.stderr.write(f"tokenaudit: {folder}: goes on without a lock: {error.strerror}\n")
        yield


def say(line: dict[str, Any]) -> None:
    """Print one line of JSON: what was written."""
    import msgspec

    from tokenaudit.render import target as targets

    targets.write_stdout(msgspec.json.encode(line) + b"\n")


def warn(damages: "Sequence[Damage]") -> None:
    """Name what of this host's own could not be read."""
    from tokenaudit.render.clean import visible

    for damage in damages:
        sys.stderr.write(f"tokenaudit: warning: {visible(damage.name)}: {visible(damage.reason)}\n")
