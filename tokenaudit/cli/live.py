"""The commands beside a running agent: the block that is open, how full contexts are, what filled them."""

from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit.cli.commands import app
from tokenaudit.cli.options import Options, command

if TYPE_CHECKING:
    from tokenaudit.config import Settings
    from tokenaudit.reports.question import Question
    from tokenaudit.reports.report import Report

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
    from tokenaudit.cli.run import data_folder, load, write

    def make(question: "Question", settings: "Settings") -> "Report":
        from tokenaudit import limits
        from tokenaudit.reports import blocks as reports
        from tokenaudit.reports.question import discounted

        known = limits.latest(limits.read_all(str(data_folder() / limits.FOLDER)))
        ledger = load(options, settings)
        return reports.blocks(
            ledger, discounted(ledger, question), known, only_active=active, only_recent=recent
        )

    write(options, make, name="blocks")
