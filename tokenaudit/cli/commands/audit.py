"""The commands of the auditor: check, doctor, reconcile, verify."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit.cli.options import Filter, Options, Output, Pricing, Source, command
from tokenaudit.model.errors import UsageError

if TYPE_CHECKING:
    from tokenaudit.config.settings import Settings
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request
    from tokenaudit.store.facts import Facts

__all__ = ["register"]

_about_usage = partial(command, groups=(Source, Filter, Pricing, Output))


class FailOn(StrEnum):
    """From which severity on a finding makes the command fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command(
        "check",
        epilog="Examples: tokenaudit check; tokenaudit check --fail-on never --json;"
        " tokenaudit check --format sarif -o tokenaudit.sarif",
    )(check)
    app.command(
        "doctor",
        epilog="Examples: tokenaudit doctor; tokenaudit doctor --project webshop; tokenaudit doctor --json",
    )(doctor)
    app.command(
        "reconcile",
        epilog="Examples: tokenaudit export --json -o export.json; tokenaudit reconcile export.json;"
        " tokenaudit reconcile . --json",
    )(reconcile)
    app.command(
        "verify",
        epilog="Examples: tokenaudit export -o usage.json; tokenaudit verify usage.json;"
        " tokenaudit verify usage.json --json",
    )(verify)


@_about_usage
def check(
    options: Options,
    *,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            "--fail-on",
            metavar="SEVERITY",
            help="Exit with 1 from this severity on: error, warning, info, never.",
        ),
    ] = FailOn.ERROR,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help="Assertions of your own, in TOML."),
    ] = None,
) -> None:
    """Audit the figures: what is missing, doubtful or merged, how much is at stake, and what to do."""
    from tokenaudit.cli.reading import read_facts
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.audit.check.assertions import read_rules
        from tokenaudit.ledger import frame as ledger
        from tokenaudit.reports import check as reports

        own = read_rules(rules) if rules else []
        card = rate_card(options.pricing)
        facts = read_facts(options, settings)
        return reports.check(ledger.build(facts, card), facts, request, own)

    report = write(options, make, name="check")
    from tokenaudit.audit.check.finding import Severity
    from tokenaudit.reports.check import worst

    found = worst(report)
    if fail_on is not FailOn.NEVER and found and found.rank <= Severity(fail_on.value).rank:
        raise typer.Exit(1)


@partial(command, groups=(Source, Filter, Output))
def doctor(options: Options) -> None:
    """Why do I see nothing, or less than I expect? Where it looked, what it found, and the next step."""
    from tokenaudit.cli.environment import gathered
    from tokenaudit.cli.reading import read_facts
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card
    from tokenaudit.model.errors import NoTranscriptsError

    def facts(settings: "Settings") -> "Facts | None":
        try:
            return read_facts(options, settings)
        except NoTranscriptsError:
            return None

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.ledger import frame as ledger
        from tokenaudit.reports import doctor as reports

        card = rate_card(options.pricing)
        found = facts(settings)
        built = None if found is None else ledger.build(found, card)
        return reports.doctor(gathered(options, settings, request, built), card, request)

    report = write(options, make, name="doctor")
    from tokenaudit.reports.doctor import is_ill

    if is_ill(report):
        raise typer.Exit(1)


@_about_usage
def reconcile(
    options: Options,
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|DIR",
            help="A file that states a total, or a folder of them; of --demo its own may be left out.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bridge from another total to ours: claude -p, status line, telemetry, Console, ccusage, exports."""
    from tokenaudit.audit.reconcile.claims import read_claims
    from tokenaudit.cli.reading import read_facts
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card

    def make(request: "Request", settings: "Settings") -> "Report":
        claims, others = read_claims(_claimed(options, path))
        from tokenaudit.ledger import frame as ledger
        from tokenaudit.reports import reconcile as reports

        card = rate_card(options.pricing)
        facts = read_facts(options, settings)
        return reports.reconcile(ledger.build(facts, card), facts, request, claims, others)

    write(options, make, name="reconcile")


def _claimed(options: Options, path: Path | None) -> Path:
    if path is not None:
        return path
    if options.source.demo:
        from tokenaudit.transcripts import DEMO

        return DEMO / "claims"
    raise UsageError(
        "nothing to reconcile with", hint="Name a file that states a total, or a folder of them."
    )


@partial(command, groups=(Source, Pricing, Output))
def verify(
    options: Options,
    path: Annotated[
        Path,
        typer.Argument(metavar="EXPORT", help="JSON or Parquet that `tokenaudit export` wrote."),
    ],
) -> None:
    """Make an export anew from its inputs, and say identical, or what changed and why."""
    from tokenaudit.cli.commands.verify import verify as compare

    report = compare(path, options)
    from tokenaudit.reports.verify import is_identical

    if not is_identical(report):
        raise typer.Exit(1)
