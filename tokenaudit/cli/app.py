"""The command line as a whole: the app, and the one way in which a command becomes part of it."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import typer

from tokenaudit.cli.options import OF_REPORTS, Group, Options, with_options

if TYPE_CHECKING:
    from tokenaudit.cli.pipeline import Run
    from tokenaudit.reports.report import Report

__all__ = [
    "AUDIT",
    "BESIDE_AN_AGENT",
    "KEPT_DATA",
    "OTHER_PROGRAMS",
    "USAGE",
    "WHY",
    "app",
    "command",
    "pass_on",
    "report",
    "show",
]

USAGE: Final = "Usage"
BESIDE_AN_AGENT: Final = "Beside an agent"
WHY: Final = "Why a figure is what it is"
AUDIT: Final = "Audit"
OTHER_PROGRAMS: Final = "For other programs and machines"
KEPT_DATA: Final = "What tokenaudit keeps"

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

_Function = Callable[..., None]


def command(
    name: str,
    *examples: str,
    panel: str | None = None,
    groups: tuple[type[Group], ...] = OF_REPORTS,
    on: typer.Typer = app,
    text: str | None = None,
) -> Callable[[_Function], _Function]:
    """Make a function, whose first parameter is `options`, the command called *name*.

    It takes the options of *groups*, stands under the heading *panel*, and is described by *text*, or
    else by its docstring, and by *examples*, each written without the program's name.
    """
    epilog = "Examples: " + "; ".join(f"tokenaudit {example}" for example in examples)

    def add(function: _Function) -> _Function:
        register = on.command(name, help=text, epilog=epilog, rich_help_panel=panel)
        register(with_options(function, groups))
        return function

    return add


def report(name: str, *examples: str, **how: Any) -> Callable[[Callable[..., "Report"]], _Function]:
    """Make a function from a `Run` to a report a command that writes the report; see `command`.

    The command ends with 1 where what it has found is an error.
    """

    def add(function: "Callable[..., Report]") -> _Function:
        @wraps(function)
        def write(options: Options, **values: Any) -> None:
            show(options, name, lambda run: function(run, **values))

        return command(name.rpartition(" ")[2], *examples, **how)(write)

    return add


def show(
    options: Options,
    name: str,
    make: "Callable[[Run], Report]",
    *,
    command: str | None = None,
    fails_from: str | None = "error",
) -> None:
    """Make and write a report; what that takes is imported only now, not for `--help`.

    Ends the command with 1 where the outcome is as grave as *fails_from*, the name of one in small
    letters; None for never. For other reasons see `pipeline.execute`.
    """
    from tokenaudit.cli.pipeline import execute

    written = execute(options, name, make, command=command)
    from tokenaudit.reports.report import Outcome

    if fails_from is not None and written.outcome >= Outcome[fails_from.upper()]:
        raise typer.Exit(1)


def pass_on(context: typer.Context, given: Mapping[str, Any]) -> bool:
    """Let what was *given* before a command hold for the command; tell whether there is one."""
    if context.invoked_subcommand is None:
        return False
    context.default_map = {context.invoked_subcommand: {**(context.default_map or {}), **given}}
    return True
