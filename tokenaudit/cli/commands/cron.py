"""`cron`: ready lines for a nightly export; it prints, and installs nothing."""

import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tokenaudit.cli.app import OTHER_PROGRAMS, command
from tokenaudit.cli.options import Options, SourceOptions
from tokenaudit.model.errors import UsageError

__all__: list[str] = []


class Scheduler(StrEnum):
    """What runs a job every night."""

    CRONTAB = "crontab"
    SYSTEMD = "systemd"
    LAUNCHD = "launchd"


@command(
    "cron",
    "cron --to /mnt/usage",
    "cron --to /mnt/usage --for systemd",
    "cron --to /mnt/usage --for launchd --at 02:30",
    panel=OTHER_PROGRAMS,
    groups=(SourceOptions,),
)
def cron(
    options: Options,
    to: Annotated[str, typer.Option(metavar="PLACE", help="Where to export to.")],
    *,
    scheduler: Annotated[
        Scheduler, typer.Option("--for", help="crontab, systemd or launchd.")
    ] = Scheduler.CRONTAB,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="When, each day.")] = "03:17",
    host: Annotated[
        str | None, typer.Option(metavar="LABEL", help="What people call this host.")
    ] = None,
    redact: Annotated[bool, typer.Option("--redact", help="Export redacted.")] = False,
    secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The secret for --redact.")
    ] = None,
) -> None:
    """Print the lines by which a scheduler exports every night; nothing is installed.

    An export says nothing when all went well, so that mail from cron means something is wrong.
    """
    argv = [_program(), "export", "--to", _place(to)]
    for root in options.source.root or ():
        argv += ["--root", str(root.absolute())]
    argv += ["--demo"] if options.source.demo else []
    argv += ["--host", host] if host else []
    argv += ["--redact"] if redact else []
    argv += ["--secret-file", str(secret_file.absolute())] if secret_file else []
    if any(character in part for part in argv for character in "\n\r\0"):
        raise UsageError("a line of a crontab cannot hold a line break")
    hour, minute = _time(at)
    written = {
        Scheduler.CRONTAB: _crontab,
        Scheduler.SYSTEMD: _systemd,
        Scheduler.LAUNCHD: _launchd,
    }
    sys.stdout.write(written[scheduler](argv, hour, minute))


def _program() -> str:
    """Return the path of the installed command: a job has no PATH to speak of."""
    beside = Path(sys.executable).with_name("tokenaudit")
    return str(beside) if beside.exists() else str(Path(sys.argv[0]).absolute())


def _place(to: str) -> str:
    return to if "://" in to else os.path.abspath(to)  # noqa: PTH100 - it need not exist


def _time(at: str) -> tuple[int, int]:
    hour, colon, minute = at.partition(":")
    if colon and hour.isdecimal() and minute.isdecimal():
        found = int(hour), int(minute)
        if found < (24, 0) and found[1] < 60:  # noqa: PLR2004 - hours and minutes of a day
            return found
    raise UsageError(f"--at: not a time of day: {at}", hint="Write 03:17.")


def _crontab(argv: list[str], hour: int, minute: int) -> str:
    # In a crontab an unescaped % ends the command.
    return f"{minute} {hour} * * * {shlex.join(argv)}\n".replace("%", r"\%")


def _systemd(argv: list[str], hour: int, minute: int) -> str:
    started = " ".join(_quoted(part) for part in argv)
    return (
        "# ~/.config/systemd/user/tokenaudit-export.service\n"
        "[Unit]\nDescription=Export of Claude Code usage\n\n"
        f"[Service]\nType=oneshot\nExecStart={started}\n\n"
        "# ~/.config/systemd/user/tokenaudit-export.timer\n"
        "[Unit]\nDescription=Export of Claude Code usage, every night\n\n"
        f"[Timer]\nOnCalendar=*-*-* {hour:02}:{minute:02}:00\nPersistent=true\n"
        "RandomizedDelaySec=10min\n\n"
        "[Install]\nWantedBy=timers.target\n\n"
        "# systemctl --user enable --now tokenaudit-export.timer\n"
    )


def _quoted(part: str) -> str:
    """Quote *part* as a unit file reads it: `%` and `$` have a meaning there too."""
    plain = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if plain != part or shlex.quote(part) != part else part


def _launchd(argv: list[str], hour: int, minute: int) -> str:
    import plistlib

    job = {
        "Label": "tokenaudit.export",
        "ProgramArguments": argv,
        "StartCalendarInterval": {"Hour": hour, "Minute": minute},
    }
    note = "<!-- ~/Library/LaunchAgents/tokenaudit.export.plist; then launchctl load it -->\n"
    return plistlib.dumps(job, sort_keys=False).decode() + note
