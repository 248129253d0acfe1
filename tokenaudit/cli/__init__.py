"""The command line: options once, commands by topic, the one way from options to a written report."""

# In the order in which the help lists them.
# isort: off
from tokenaudit.cli.app import app
from tokenaudit.cli.commands import usage
from tokenaudit.cli.commands import watch
from tokenaudit.cli.commands import session
from tokenaudit.cli.commands import explain
from tokenaudit.cli.commands import audit
from tokenaudit.cli.commands import export
from tokenaudit.cli.commands import rollup
from tokenaudit.cli.commands import scan
from tokenaudit.cli.commands import cron
from tokenaudit.cli.commands import prices
from tokenaudit.cli.commands import store
# isort: on

__all__ = [
    "app",
    "audit",
    "cron",
    "explain",
    "export",
    "prices",
    "rollup",
    "scan",
    "session",
    "store",
    "usage",
    "watch",
]
