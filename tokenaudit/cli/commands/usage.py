"""The commands: each names a report; what they share stands in `options` and `run`."""

from typing import Annotated

import typer

from tokenaudit import __version__
from tokenaudit.cli.commands import cron, prices, rollup, scan, store
from tokenaudit.cli.commands import explain as explain_commands
from tokenaudit.cli.commands import export as export_commands
from tokenaudit.cli.options import Options, command

__all__ = ["app"]

app = typer.Typer(
    name="tokenaudit",
    help="Say what Claude Code used: by which session, agent, model and project, when, at what price,"
    " and how far each figure can be trusted.",
    epilog="Without a command: the overview. Costs are API list-price equivalents, not an invoice.",
    no_args_is_help=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _run(name: str, options: Options, **more: str | None) -> None:
    """Make and write a report; what that takes is imported only now, not for `--help`."""
    from tokenaudit.cli.run import run

    run(name, options, **more)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag's value
    if asked:
        typer.echo(f"tokenaudit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
@command
def overview(
    options: Options,
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option(
            "--version", "-V", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        _run("overview", options)
    else:
        # What is said before the command holds for the command.
        said = options.given()
        context.default_map = {context.invoked_subcommand: said}


def _report(name: str, text: str, *examples: str) -> None:
    """Add the command called *name*, which writes the report of that name."""

    @command
    def show(options: Options) -> None:
        _run(name, options)

    app.command(name, help=text, epilog=_epilog(examples))(show)


def _epilog(examples: tuple[str, ...]) -> str:
    return "Examples: " + "; ".join(f"tokenaudit {example}" for example in examples)


_report(
    "daily",
    "Usage per day.",
    "daily --last 7",
    "daily --since 2026-10-01 --breakdown",
    "daily -o daily.csv",
)
_report(
    "weekly", "Usage per week.", "weekly --last 4", "weekly --start-of-week sunday", "weekly --json"
)
_report("monthly", "Usage per month.", "monthly", "monthly --project webshop", "monthly --full")
_report("hourly", "Usage per hour.", "hourly --since today", "hourly --last 2", "hourly --json")
_report(
    "sessions",
    "Usage per session, the latest first.",
    "sessions -n 10",
    "sessions --sort cost",
    "sessions --project webshop",
)
_report(
    "agents",
    "Usage per agent, subagents included.",
    "agents -n 10",
    "agents --agent Explore",
    "agents --json",
)
_report(
    "projects",
    "Usage per project.",
    "projects",
    "projects --since this-month",
    "projects -o projects.md",
)
_report("models", "Usage per model.", "models", "models --last 30", "models --full")
_report(
    "branches",
    "Usage per project and git branch.",
    "branches",
    "branches --branch 'feature/*'",
    "branches --json",
)


@app.command(
    "session",
    epilog=_epilog(("session 0cf1", "session 0cf1 --breakdown", "session 0cf1 --json")),
)
@command
def session(
    options: Options,
    session_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Session id, or how it begins.", show_default=False),
    ] = None,
    *,
    id_option: Annotated[str | None, typer.Option("--id", "-i", hidden=True)] = None,
) -> None:
    """One session in full: its agents, models and hours, and what it is. Without ID, all sessions."""
    wanted = session_id or id_option
    if wanted is None:
        _run("sessions", options, command="session")
    else:
        _run("session", options, session=wanted)


@app.command(
    "by",
    epilog=_epilog(("by project,model", "by week,agent_type --last 4", "by skill --sort output")),
)
@command
def by(
    options: Options,
    dimensions: Annotated[
        str,
        typer.Argument(
            metavar="DIM[,DIM...]",
            help="hour, day, week, month, session, agent, agent_type, project, model, speed, branch,"
            " version, skill, plugin, mcp_server, entrypoint, effort, kind, quality...",
        ),
    ],
) -> None:
    """Usage by any dimensions."""
    _run(f"by {dimensions}", options)


explain_commands.register(app)
export_commands.register(app)
rollup.register(app)
scan.register(app)
cron.register(app)
app.add_typer(prices.app)
app.add_typer(store.app)
