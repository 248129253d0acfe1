"""The one way from options to a written report: request, settings, ledger, report, bytes.

Nothing is read before it is asked for, and Polars is imported only once all is read: it starts threads,
from which no process may be forked.
"""

import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import typer

from tokenaudit.cli.options import Options, Output
from tokenaudit.cli.reading import built, read_facts, read_for
from tokenaudit.cli.request import parse_request
from tokenaudit.cli.settings import rate_card
from tokenaudit.cli.terminal import style_of
from tokenaudit.config.settings import Settings
from tokenaudit.model.errors import UsageError
from tokenaudit.render import Format, format_of, render
from tokenaudit.render import target as targets
from tokenaudit.render.clean import visible

if TYPE_CHECKING:
    from decimal import Decimal

    from tokenaudit.ledger.frame import Ledger
    from tokenaudit.pricing.card import RateCard
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request
    from tokenaudit.store.facts import Facts

__all__ = ["Run", "execute", "spoken"]


class Run:
    """One run of a command: what is asked, and what that stands on, each made when it is first needed."""

    def __init__(self, options: Options, request: "Request", settings: Settings) -> None:
        """Take what a command is given."""
        self.options = options
        self.request = request
        self.settings = settings

    @classmethod
    def of(cls, options: Options, *, name: str, command: str | None = None) -> "Run":
        """Return the run that *options* ask for; *name* decides what a period is."""
        request, settings = parse_request(options, name=name, command=command)
        return cls(options, request, settings)

    @cached_property
    def card(self) -> "RateCard":
        """All rates in force."""
        return rate_card(self.options.pricing)

    @cached_property
    def facts(self) -> "Facts":
        """What the transcripts say; a mistake in the rates does not wait for the reading."""
        _ = self.card
        return read_facts(self.options, self.settings)

    @cached_property
    def ledger(self) -> "Ledger":
        """The ledger with all its columns, and estimates of lost output where they are asked for."""
        return built(self.facts, self.card, with_estimate=self.request.shape.with_estimate)

    def ledger_for(self, report: str) -> "Ledger":
        """Return a ledger with what the report called *report* takes, and maybe no more."""
        return read_for(self.options, self.settings, self.card, self.request, report)

    def report(self, name: str) -> "Report":
        """Return the report called *name*, as the registry answers it."""
        ledger = self.ledger_for(name)
        from tokenaudit.reports import registry

        return registry.answer(ledger, self.request, name)


def execute(
    options: Options, name: str, make: Callable[[Run], "Report"], *, command: str | None = None
) -> "Report":
    """Write, as *options* say, and return the report that *make* makes.

    *name* decides what a period is; the report says that *command* made it. Ends the command with 1
    where a limit of the options is exceeded.
    """
    form, path = _form(options.output)
    if path is not None:
        targets.check(path)
    most = _most(options.thresholds.fail_over)
    report = make(Run.of(options, name=name, command=command))
    _write(report, form, path, options.output)
    if most is not None and report.cost_usd is not None and report.cost_usd > most:
        sys.stderr.write(f"tokenaudit: {report.cost_usd.normalize():f} USD is over {most:f} USD\n")
        raise typer.Exit(1)
    if options.thresholds.strict and report.meta.selected.unpriced_responses:
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
    from tokenaudit.reports.report import Warned

    if form in {Format.TABLE, Format.MARKDOWN}:
        return []
    is_all = form not in {Format.JSON, Format.PARQUET, Format.XLSX}  # their metadata say the rest
    return [visible(note) for note in report.notes if is_all or isinstance(note, Warned)]
