"""The commands beside a running agent: the block that is open, how full contexts are, what filled them."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit.cli.app import BESIDE_AN_AGENT, command, report
from tokenaudit.cli.options import Options

if TYPE_CHECKING:
    from tokenaudit.cli.pipeline import Run
    from tokenaudit.reports.report import Report

__all__: list[str] = []


@report(
    "blocks",
    "blocks --recent",
    "blocks --active",
    "blocks --breakdown --json",
    panel=BESIDE_AN_AGENT,
)
def blocks(
    run: "Run",
    *,
    active: Annotated[
        bool, typer.Option("--active", "-a", help="Only the block that is open now.")
    ] = False,
    recent: Annotated[
        bool, typer.Option("--recent", "-r", help="Only the blocks of the last 3 days.")
    ] = False,
) -> "Report":
    """Usage by 5-hour block as plans count them: gaps, burn rate, projection, official limits."""
    from tokenaudit import limits
    from tokenaudit.config.directories import data_folder

    folder = str(data_folder() / limits.FOLDER)
    known = [] if run.options.source.demo else limits.latest(limits.read_all(folder))
    ledger = run.ledger_for("blocks")
    from tokenaudit.reports.blocks import blocks
    from tokenaudit.reports.request import discounted

    request = discounted(ledger, run.request)
    return blocks(ledger, request, known, only_active=active, only_recent=recent)


@report(
    "context",
    "context -n 5",
    "context 0cf1",
    "context a7c1 --near-limit 60 --json",
    panel=BESIDE_AN_AGENT,
)
def context(
    run: "Run",
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
) -> "Report":
    """How full contexts are; of one session or agent the curve, and what the context came from."""
    ledger = run.ledger
    from tokenaudit.analysis.context_content import of_agent
    from tokenaudit.reports import context as reports

    if subject is None:
        return reports.contexts(ledger, run.request, near_limit=near_limit, window=window)
    found = reports.find_subject(ledger, subject)
    contents = of_agent(run.facts, found.session_id, reports.chosen_agent(ledger, found))
    return reports.context(
        ledger, run.request, found, contents, near_limit=near_limit, window=window
    )


@report(
    "tools",
    "tools",
    "tools --project webshop --sort errors",
    "tools --since this-month --json",
    panel=BESIDE_AN_AGENT,
)
def tools(run: "Run") -> "Report":
    """Which tools filled contexts, and what carrying their results cost afterwards (an estimate)."""
    ledger = run.ledger
    from tokenaudit.analysis.context_content import of_agents
    from tokenaudit.analysis.context_growth import AGENT, pieces_of
    from tokenaudit.reports.selection import select
    from tokenaudit.reports.tools import tools

    agents = select(ledger.frame, run.request.selection).select(AGENT).unique().collect()
    return tools(ledger, run.request, pieces_of(of_agents(run.facts, agents)))


@command(
    "statusline",
    "statusline",
    "statusline --no-color",
    "statusline --format '{model} {today}'",
    panel=BESIDE_AN_AGENT,
    groups=(),
)
def statusline(
    options: Options,  # noqa: ARG001 - as all commands have
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
