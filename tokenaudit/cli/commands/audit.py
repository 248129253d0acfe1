"""The commands of the auditor: check, doctor, reconcile, verify."""

from contextlib import nullcontext
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tokenaudit.cli.app import AUDIT, command, report, show
from tokenaudit.cli.options import Filter, Options, Output, Pricing, SourceOptions
from tokenaudit.cli.supervisor import bounded

if TYPE_CHECKING:
    from tokenaudit.cli.pipeline import Run
    from tokenaudit.reports.report import Report

__all__: list[str] = []

_GROUPS: Final = (SourceOptions, Filter, Pricing, Output)


class FailOn(StrEnum):
    """From which severity on a finding makes the command fail."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


@command(
    "check",
    "check",
    "check --fail-on never --json",
    "check --format sarif -o tokenaudit.sarif",
    panel=AUDIT,
    groups=_GROUPS,
)
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
    fails_from = None if fail_on is FailOn.NEVER else fail_on.value
    show(options, "check", partial(_checked, rules=rules), fails_from=fails_from)


def _checked(run: "Run", *, rules: Path | None) -> "Report":
    from tokenaudit.audit.check.assertions import read_rules

    own = read_rules(rules) if rules else []
    ledger = run.ledger
    from tokenaudit.reports.check import check

    with bounded() if own else nullcontext():
        return check(ledger, run.facts, run.request, own)


@report(
    "doctor",
    "doctor",
    "doctor --project webshop",
    "doctor --json",
    panel=AUDIT,
    groups=(SourceOptions, Filter, Output),
)
def doctor(run: "Run") -> "Report":
    """Why do I see nothing, or less than I expect? Where it looked, what it found, and the next step."""
    from tokenaudit.cli.environment import gathered
    from tokenaudit.model.errors import NoTranscriptsError

    try:
        ledger = run.ledger
    except NoTranscriptsError:
        ledger = None
    from tokenaudit.reports.doctor import doctor

    found = gathered(run.options, run.settings, run.request, ledger)
    return doctor(found, run.card, run.request)


@report(
    "reconcile",
    "reconcile",
    "export --json -o export.json; tokenaudit reconcile export.json",
    "reconcile . --json",
    panel=AUDIT,
    groups=_GROUPS,
)
def reconcile(
    run: "Run",
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|DIR",
            help="A file that states a total, or a folder of them. Without it: all that Claude Code says itself.",
            show_default=False,
        ),
    ] = None,
) -> "Report":
    """Bridge from another total to ours: Claude Code's own, telemetry, Console, ccusage, exports."""
    from tokenaudit.audit.reconcile.claims import read_claims
    from tokenaudit.transcripts import DEMO

    if path is None and run.options.source.demo:
        path = DEMO / "claims"
    claims, others = read_claims(path) if path is not None else ([], [])
    ledger = run.ledger
    from tokenaudit.reports.reconcile import reconcile, reconcile_all

    if path is None:
        return reconcile_all(ledger, run.request)
    return reconcile(ledger, run.facts, run.request, claims, others)


@report(
    "verify",
    "export -o usage.json; tokenaudit verify usage.json",
    "verify usage.json --json",
    panel=AUDIT,
    groups=(SourceOptions, Pricing, Output),
)
def verify(
    run: "Run",
    path: Annotated[
        Path,
        typer.Argument(metavar="EXPORT", help="JSON or Parquet that `tokenaudit export` wrote."),
    ],
) -> "Report":
    """Make an export anew from its inputs, and say identical, or what changed and why."""
    from tokenaudit.cli.verification import verified

    return verified(run, path)
