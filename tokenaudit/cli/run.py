"""From options to a written report, and to the exit code that it gives."""

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import typer

from tokenaudit.cli.options import Options, Output
from tokenaudit.cli.reading import columns_of, load
from tokenaudit.cli.request import parse_request
from tokenaudit.cli.terminal import style_of
from tokenaudit.config.settings import Settings
from tokenaudit.model.errors import UsageError
from tokenaudit.render import Format, format_of, render
from tokenaudit.render import target as targets
from tokenaudit.render.clean import visible

if TYPE_CHECKING:
    from decimal import Decimal

    from tokenaudit.ledger.frame import Ledger
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request

__all__ = ["run", "spoken", "write"]


def run(
    name: str, options: Options, *, session: str | None = None, command: str | None = None
) -> None:
    """Make the report called *name*, or that of *session*, and write it."""

    def make(request: "Request", settings: Settings) -> "Report":
        columns = partial(columns_of, request, name) if session is None else None
        return _report(load(options, settings, columns), request, name, session)

    report = write(options, make, name=name, command=command)
    if options.thresholds.strict and report.meta.selected.unpriced_responses:
        raise typer.Exit(1)


def write(
    options: Options,
    make: Callable[["Request", Settings], "Report"],
    *,
    name: str,
    command: str | None = None,
) -> "Report":
    """Write, as *options* say, and return the report that *make* makes; *name* decides its period."""
    form, path = _form(options.output)
    if path is not None:
        targets.check(path)
    most = _most(options.thresholds.fail_over)
    request, settings = parse_request(options, name=name, command=command)
    report = make(request, settings)
    _write(report, form, path, options.output)
    if most is not None and report.cost_usd is not None and report.cost_usd > most:
        sys.stderr.write(f"tokenaudit: {report.cost_usd.normalize():f} USD is over {most:f} USD\n")
        raise typer.Exit(1)
    return report


def _most(text: str | None) -> "Decimal | None":
    from tokenaudit.model import budgets

    try:
        return None if text is None else budgets.amount(text)
    except ValueError as error:
        raise UsageError(f"--fail-over: {error}") from None


def _form(output: Output) -> tuple[Format, str | None]:
    """Return the format, and the file to write to or None for standard output."""
    path = None if output.output in {None, "-"} else output.output
    if output.json and output.format not in {None, Format.JSON}:
        raise UsageError(f"--json and --format {output.format} exclude each other")
    if output.json:
        return Format.JSON, path
    if output.format is not None:
        return output.format, path
    if path is None:
        return Format.TABLE, path
    found = format_of(path)
    if found is None:
        raise UsageError(
            f"{path}: its ending names no format",
            hint="Add --format, or end the name in .csv, .json, .ndjson, .parquet, .xlsx or .md.",
        )
    return found, path


def _report(ledger: "Ledger", request: "Request", name: str, session: str | None) -> "Report":
    from tokenaudit.reports import registry
    from tokenaudit.reports import session as sessions

    if session is not None:
        return sessions.session(ledger, request, session)
    return registry.answer(ledger, request, name)


def _write(report: "Report", form: Format, path: str | None, output: Output) -> None:
    data = render(report, form, style_of(output, to_file=path is not None))
    if path is None:
        targets.write_stdout(data)
    else:
        targets.write(data, path)
    for note in spoken(report, form):
        sys.stderr.write(f"{note}\n")


def spoken(report: "Report", form: Format) -> list[str]:
    """Return what must be said on stderr because *form* has no room for it (R12)."""
    from tokenaudit.reports.report import WARNING

    if form in {Format.TABLE, Format.MARKDOWN}:
        return []
    notes = map(visible, report.notes)
    if form in {Format.JSON, Format.PARQUET, Format.XLSX}:  # their metadata say the rest
        return [note for note in notes if note.startswith(WARNING)]
    return list(notes)
