"""The command line: options in `options`, commands in `commands`, the one way to a report in `run`."""

from tokenaudit.cli import audit, live, watch  # the last two add their commands to the app
from tokenaudit.cli.commands import app

__all__ = ["app", "live", "watch"]

audit.register(app)
