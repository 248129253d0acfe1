"""The command line: options in `options`, commands by topic, the one way to a report in `run`."""

from collections.abc import Mapping
from typing import Final

from tokenaudit.cli.commands import (
    audit,
    watch,  # the last two add their commands to the app
)
from tokenaudit.cli.commands import session as live
from tokenaudit.cli.commands.usage import app
from tokenaudit.cli.start import group_name

__all__ = ["PANELS", "app", "live", "watch"]

audit.register(app)

PANELS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            *("daily", "weekly", "monthly", "hourly", "sessions", "session", "agents", "projects"),
            *("models", "branches", "by", "query"),
        ),
        "Usage",
    ),
    **dict.fromkeys(
        ("watch", "context", "tools", "blocks", "forecast", "statusline"), "Beside an agent"
    ),
    **dict.fromkeys(("explain", "cache", "diff"), "Why a figure is what it is"),
    **dict.fromkeys(("check", "doctor", "reconcile", "verify"), "Audit"),
    **dict.fromkeys(("export", "rollup", "scan", "cron"), "For other programs and machines"),
    **dict.fromkeys(("prices", "store"), "What tokenaudit keeps"),
}
"""Under which heading of the help each command stands."""

for _command in app.registered_commands:
    _command.rich_help_panel = PANELS[str(_command.name)]
for _group in app.registered_groups:
    _group.rich_help_panel = PANELS[str(group_name(_group))]
