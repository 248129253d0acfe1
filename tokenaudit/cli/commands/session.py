"""The commands beside a running agent: the block that is open, how full contexts are, what filled them."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit.cli.commands.usage import app
from tokenaudit.cli.options import Options, command

if TYPE_CHECKING:
    from tokenaudit.config.settings import Settings
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request

__all__: list[str] = []


@app.command(
    "blocks",
    epilog="Examples: tokenaudit blocks --recent; tokenaudit blocks --active;"
    " tokenaudit blocks --breakdown --json",
)
@command
def blocks(
    options: Options,
    *,
    active: Annotated[
        bool, typer.Option("--active", "-a", help="Only the block that is open now.")
    ] = False,
    recent: Annotated[
        bool, typer.Option("--recent", "-r", help="Only the blocks of the last 3 days.")
    ] = False,
) -> None:
    """Usage by 5-hour block as plans count them: gaps, burn rate, projection, official limits."""
    from tokenaudit.cli.reading import columns_of, load
    from tokenaudit.cli.run import write
    from tokenaudit.config.directories import data_folder

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit import limits
        from tokenaudit.reports import blocks as reports
        from tokenaudit.reports.request import discounted

        folder = str(data_folder() / limits.FOLDER)
        known = [] if options.source.demo else limits.latest(limits.read_all(folder))
        ledger = load(options, settings, lambda: columns_of(request, "blocks"))
        return reports.blocks(
            ledger, discounted(ledger, request), known, only_active=active, only_recent=recent
        )

    write(options, make, name="blocks")


@app.command(
    "context",
    epilog="Examples: tokenaudit context -n 5; tokenaudit context 0cf1;"
    " tokenaudit context a7c1 --near-limit 60 --json",
)
@command
def context(
    options: Options,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[SESSION|AGENT]", help="Id of either, or how it begins.", show_default=False
        ),
    ] = None,
    *,
    near_limit: Annotated[
        float,
        typer.Option(
            "--near-limit", min=0, metavar="PERCENT", help="From where it is nearly full."
        ),
    ] = 80.0,
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            min=1,
            metavar="TOKENS",
            help="Size of the window, where you know it.",
            show_default="as models and prompts tell",
        ),
    ] = None,
) -> None:
    """How full contexts are; of one session or agent the curve, and what the context came from."""
    from tokenaudit.cli.run import write

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.cli import context_input
        from tokenaudit.reports import context as reports

        facts, ledger = context_input.facts_and_ledger(options, settings)
        if subject is None:
            return reports.contexts(ledger, request, near_limit=near_limit, window=window)
        found = reports.find_subject(ledger, subject)
        pieces = context_input.pieces(facts, found.session_id, reports.chosen_agent(ledger, found))
        return reports.context(ledger, request, found, pieces, near_limit=near_limit, window=window)

    write(options, make, name="context")


@app.command(
    "tools",
    epilog="Examples: tokenaudit tools; tokenaudit tools --project webshop --sort errors;"
    " tokenaudit tools --since this-month --json",
)
@command
def tools(options: Options) -> None:
    """Which tools filled contexts, and what carrying their results cost afterwards (an estimate)."""
    from tokenaudit.cli.run import write

    def make(request: "Request", settings: "Settings") -> "Report":
        from tokenaudit.analysis.context_growth import AGENT
        from tokenaudit.cli import context_input
        from tokenaudit.reports import tools as reports
        from tokenaudit.reports.selection import select

        facts, ledger = context_input.facts_and_ledger(options, settings)
        agents = select(ledger.frame, request.selection).select(AGENT).unique().collect()
        return reports.tools(ledger, request, context_input.pieces_of_all(facts, agents))

    write(options, make, name="tools")


@app.command(
    "forecast",
    epilog="Examples: tokenaudit forecast; tokenaudit forecast --project webshop;"
    " tokenaudit forecast --json",
)
@command
def forecast(options: Options) -> None:
    """Show what today and this month will have cost at the pace so far, with a range and its basis."""
    from tokenaudit.cli.run import run

    run("forecast", options)


@app.command(
    "statusline",
    epilog="Examples: tokenaudit statusline; tokenaudit statusline --no-color;"
    " tokenaudit statusline --format '{model} {today}'",
)
def statusline(
    *,
    template: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="TEMPLATE",
            help="Fields in braces: {model} {session} {claude} {today} {block} {left} {burn} {pace}"
            " {context} {limits} {budget}; parts between ' · ' of which nothing is known go.",
        ),
    ] = None,
    no_color: Annotated[bool, typer.Option("--no-color", help="Without colours.")] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Show what to put into Claude Code's settings.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Put it there; the former settings are kept beside.")
    ] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Show the line of a sample.")] = False,
) -> None:
    """One line for Claude Code's status bar, from the JSON that it writes to stdin."""
    if write or install:
        from tokenaudit.statusline import install as setup

        typer.echo(setup.write() if write else setup.install(), nl=False)
        return
    from tokenaudit import statusline as lines

    words = [*(["--format", template] if template is not None else []), *["--no-color"] * no_color]
    lines.main([*words, *["--demo"] * demo])
