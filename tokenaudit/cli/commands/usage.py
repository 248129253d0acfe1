"""The commands about usage itself: over time, by session, agent, project, model, or any dimensions."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit import __version__
from tokenaudit.cli.app import BESIDE_AN_AGENT, USAGE, app, command, pass_on, report, show
from tokenaudit.cli.options import (
    Filter,
    Options,
    Output,
    Pricing,
    RowLimit,
    SourceOptions,
    with_options,
)
from tokenaudit.cli.supervisor import bounded
from tokenaudit.model.errors import UsageError

if TYPE_CHECKING:
    from tokenaudit.cli.pipeline import Run
    from tokenaudit.reports.report import Report

__all__: list[str] = []


def _show_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it with the flag's value
    if asked:
        typer.echo(f"tokenaudit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
@with_options
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
    if not pass_on(context, options.given()):
        _show("overview", options)


def _show(name: str, options: Options, *, command: str | None = None) -> None:
    show(options, name, lambda run: run.report(name), command=command)


def _add(name: str, panel: str, text: str, *examples: str) -> None:
    """Add the command called *name*, which writes the report of that name."""

    @command(name, *examples, panel=panel, text=text)
    def write(options: Options) -> None:
        _show(name, options)


_add(
    "daily",
    USAGE,
    "Usage per day.",
    "daily --last 7",
    "daily --since 2026-10-01 --breakdown",
    "daily -o daily.csv",
)
_add(
    "weekly",
    USAGE,
    "Usage per week.",
    "weekly --last 4",
    "weekly --start-of-week sunday",
    "weekly --json",
)
_add("monthly", USAGE, "Usage per month.", "monthly", "monthly --project webshop", "monthly --full")
_add(
    "hourly",
    USAGE,
    "Usage per hour.",
    "hourly --since today",
    "hourly --last 2",
    "hourly --json",
)


@command(
    "sessions",
    "sessions -n 10",
    "sessions --sort cost",
    "sessions --claimed",
    panel=USAGE,
)
def sessions(
    options: Options,
    *,
    claimed: Annotated[
        bool,
        typer.Option(
            "--claimed",
            help="What Claude Code says itself that each used, beside ours, and why they differ.",
        ),
    ] = False,
) -> None:
    """Usage per session, the latest first; or what Claude Code says of each."""
    _show("claimed" if claimed else "sessions", options, command="sessions")


_add(
    "agents",
    USAGE,
    "Usage per agent, subagents included.",
    "agents -n 10",
    "agents --agent Explore",
    "agents --json",
)
_add(
    "projects",
    USAGE,
    "Usage per project.",
    "projects",
    "projects --since this-month",
    "projects -o projects.md",
)
_add("models", USAGE, "Usage per model.", "models", "models --last 30", "models --full")
_add(
    "branches",
    USAGE,
    "Usage per project and git branch.",
    "branches",
    "branches --branch 'feature/*'",
    "branches --json",
)


@command("session", "session 0cf1", "session 0cf1 --breakdown", "session 0cf1 --json", panel=USAGE)
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
        _show("sessions", options, command="session")
    else:
        show(options, "session", lambda run: _one_session(run, wanted))


def _one_session(run: "Run", session_id: str) -> "Report":
    ledger = run.ledger
    from tokenaudit.reports.session import session

    return session(ledger, run.request, session_id)


@command(
    "by", "by project,model", "by week,agent_type --last 4", "by skill --sort output", panel=USAGE
)
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
    _show(f"by {dimensions}", options)


@report(
    "query",
    "query 'SELECT project, SUM(cost_usd) AS cost_usd FROM usage GROUP BY project'",
    "query 'SELECT title, versions FROM sessions' --json",
    "query 'SHOW TABLES'",
    panel=USAGE,
    groups=(SourceOptions, Filter, RowLimit, Pricing, Output),
)
def query(
    run: "Run",
    sql: Annotated[
        str,
        typer.Argument(metavar="SQL", help="A query, such as SELECT ...; - reads it from stdin."),
    ],
) -> "Report":
    """Answer a query in SQL over the tables usage, sessions, agents and rejects. Read-only."""
    said = _from_stdin() if sql == "-" else sql
    ledger = run.ledger
    from tokenaudit.reports.query import query

    with bounded():
        return query(ledger, run.request, said)


def _from_stdin() -> str:
    """Return what stands on standard input, a little more than a query may be long at most."""
    import sys

    from tokenaudit.ledger.sql import LONGEST

    try:
        return sys.stdin.read(LONGEST + 1)
    except ValueError:
        raise UsageError("query: standard input is no text in UTF-8") from None


_add(
    "forecast",
    BESIDE_AN_AGENT,
    "Show what today and this month will have cost at the pace so far, with a range and its basis.",
    "forecast",
    "forecast --project webshop",
    "forecast --json",
)
