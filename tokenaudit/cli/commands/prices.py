"""The commands about prices: what is on the card, how a response was priced, checks and updates."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit.cli.options import Options, Output, Pricing, Source, command

if TYPE_CHECKING:
    from tokenaudit.config.settings import Settings
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request

__all__ = ["app"]

app = typer.Typer(name="prices")

_about_prices = partial(command, groups=(Pricing, Output))
_about_a_response = partial(command, groups=(Source, Pricing, Output))


@app.callback(
    invoke_without_command=True,
    epilog="Examples: tokenaudit prices; tokenaudit prices --json; tokenaudit prices -o prices.csv",
)
@_about_prices
def card(options: Options, context: typer.Context) -> None:
    """Show the prices in force, with their days and sources."""
    if context.invoked_subcommand is not None:
        # What is said before the command holds for the command.
        context.default_map = {
            context.invoked_subcommand: {**(context.default_map or {}), **options.given()}
        }
        return
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card

    def make(request: "Request", _settings: "Settings") -> "Report":
        from tokenaudit.reports.prices import card_prices

        return card_prices(rate_card(options.pricing), request)

    write(options, make, name="prices")


@app.command(
    epilog="Examples: tokenaudit prices show claude-sonnet-5-5;"
    " tokenaudit prices show claude-opus-4-6 --on 2026-03-01;"
    " tokenaudit prices show us.anthropic.claude-sonnet-4-5-20250929-v1:0"
)
@_about_prices
def show(
    options: Options,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model, in any of its names.")],
    *,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="DAY", help="Only what was in force on DAY, in UTC."),
    ] = None,
) -> None:
    """Show the prices of one model, past ones too."""
    from tokenaudit.cli.days import parse_day
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card

    def make(request: "Request", _settings: "Settings") -> "Report":
        from tokenaudit.reports.prices import model_prices

        day = parse_day(on, request.now.date(), 0, option="--on") if on else None
        return model_prices(rate_card(options.pricing), request, model, day)

    write(options, make, name="prices", command="prices show")


@app.command(
    epilog="Examples: tokenaudit prices explain msg_01Z6n --demo;"
    " tokenaudit prices explain msg_01Z6n --demo --as-model claude-sonnet-5;"
    " tokenaudit prices explain msg_01Z6n --demo --json"
)
@_about_a_response
def explain(
    options: Options,
    response: Annotated[
        str, typer.Argument(metavar="RESPONSE", help="Message id of a response, or how it begins.")
    ],
) -> None:
    """Show how one response was priced, term by term."""
    from tokenaudit.cli.reading import load
    from tokenaudit.cli.run import write

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.reports.prices import explained

        return explained(load(options, settings), request, response)

    write(options, make, name="prices", command="prices explain")


@app.command(
    epilog="Examples: tokenaudit prices check; tokenaudit prices check --json;"
    " tokenaudit prices check -o differences.csv"
)
@_about_prices
def check(options: Options) -> None:
    """Compare the shipped card with genai-prices: differences and ages. Opens no connection."""
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card
    from tokenaudit.config.directories import cache_folder

    def make(request: "Request", _settings: "Settings") -> "Report":
        from tokenaudit.pricing import library as libraries
        from tokenaudit.reports.prices import checked

        library = libraries.cached(cache_folder()) or libraries.bundled()
        libraries.keep(library, cache_folder())  # from now on, reports know its rows
        return checked(rate_card(options.pricing), request, library)

    write(options, make, name="prices", command="prices check")


@app.command(
    epilog="Examples: tokenaudit prices update; tokenaudit prices update --from-file data.json"
)
@_about_prices
def update(
    options: Options,
    *,
    from_file: Annotated[
        Path | None,
        typer.Option("--from-file", metavar="FILE", help="Take FILE, and open no connection."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take a price that is ten times what it was.")
    ] = False,
) -> None:
    """Fetch newer prices through genai-prices, the one command that opens a connection."""
    from tokenaudit.cli.run import write
    from tokenaudit.cli.settings import rate_card
    from tokenaudit.config.directories import cache_folder

    def make(request: "Request", _settings: "Settings") -> "Report":
        from tokenaudit.pricing import library as libraries
        from tokenaudit.reports.prices import updated

        old = libraries.cached(cache_folder()) or libraries.bundled()
        fetch = partial(libraries.from_file, from_file) if from_file else libraries.fetched
        new = fetch(request.now)
        libraries.validate(new, old, may_leap=yes)
        libraries.keep(old, cache_folder())
        path = libraries.keep(new, cache_folder())
        notes = [f"Now in force behind the card: {new.basis}.", f"Kept in {path.parent}."]
        return updated(rate_card(options.pricing), request, new, old, notes)

    write(options, make, name="prices", command="prices update")
