"""The commands about prices: what is on the card, how a response was priced, checks and updates."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tokenaudit.cli.app import KEPT_DATA, app, pass_on, report, show
from tokenaudit.cli.options import Options, Output, Pricing, SourceOptions, with_options

if TYPE_CHECKING:
    from tokenaudit.cli.pipeline import Run
    from tokenaudit.reports.report import Report

__all__ = ["prices"]

prices = typer.Typer(name="prices", rich_help_panel=KEPT_DATA)

_GROUPS: Final = (Pricing, Output)


@prices.callback(
    invoke_without_command=True,
    epilog="Examples: tokenaudit prices; tokenaudit prices --json; tokenaudit prices -o prices.csv",
)
@partial(with_options, groups=_GROUPS)
def card(options: Options, context: typer.Context) -> None:
    """Show the prices in force, with their days and sources."""
    if not pass_on(context, options.given()):
        show(options, "prices", _card)


def _card(run: "Run") -> "Report":
    from tokenaudit.reports.prices import card_prices

    return card_prices(run.card, run.request)


@report(
    "prices show",
    "prices show claude-sonnet-5-5",
    "prices show claude-opus-4-6 --on 2026-03-01",
    "prices show us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    groups=_GROUPS,
    on=prices,
)
def show_model(
    run: "Run",
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model, in any of its names.")],
    *,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="DAY", help="Only what was in force on DAY, in UTC."),
    ] = None,
) -> "Report":
    """Show the prices of one model, past ones too."""
    from tokenaudit.cli.days import parse_day
    from tokenaudit.reports.prices import model_prices

    day = parse_day(on, run.request.now.date(), 0, option="--on") if on else None
    return model_prices(run.card, run.request, model, day)


@report(
    "prices explain",
    "prices explain msg_01Z6n --demo",
    "prices explain msg_01Z6n --demo --as-model claude-sonnet-5",
    "prices explain msg_01Z6n --demo --json",
    groups=(SourceOptions, Pricing, Output),
    on=prices,
)
def explain(
    run: "Run",
    response: Annotated[
        str, typer.Argument(metavar="RESPONSE", help="Message id of a response, or how it begins.")
    ],
) -> "Report":
    """Show how one response was priced, term by term."""
    ledger = run.ledger
    from tokenaudit.reports.prices import explained

    return explained(ledger, run.request, response)


@report(
    "prices check",
    "prices check",
    "prices check --json",
    "prices check -o differences.csv",
    groups=_GROUPS,
    on=prices,
)
def check(run: "Run") -> "Report":
    """Compare the shipped card with genai-prices: differences and ages. Opens no connection."""
    from tokenaudit.config.directories import cache_folder
    from tokenaudit.pricing import library as libraries
    from tokenaudit.reports.prices import checked

    library = libraries.cached(cache_folder()) or libraries.bundled()
    libraries.keep(library, cache_folder())  # from now on, reports know its rows
    return checked(run.card, run.request, library)


@report(
    "prices update",
    "prices update",
    "prices update --from-file data.json",
    groups=_GROUPS,
    on=prices,
)
def update(
    run: "Run",
    *,
    from_file: Annotated[
        Path | None,
        typer.Option("--from-file", metavar="FILE", help="Take FILE, and open no connection."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take a price that is ten times what it was.")
    ] = False,
) -> "Report":
    """Fetch newer prices through genai-prices, the one command that opens a connection."""
    from tokenaudit.config.directories import cache_folder
    from tokenaudit.pricing import library as libraries
    from tokenaudit.reports.prices import updated

    old = libraries.cached(cache_folder()) or libraries.bundled()
    fetch = partial(libraries.from_file, from_file) if from_file else libraries.fetched
    new = fetch(run.request.now)
    libraries.validate(new, old, may_leap=yes)
    libraries.keep(old, cache_folder())
    path = libraries.keep(new, cache_folder())
    notes = [f"Now in force behind the card: {new.basis}.", f"Kept in {path.parent}."]
    return updated(run.card, run.request, new, old, notes)


app.add_typer(prices)
