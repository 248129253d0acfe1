"""Gathers what the doctor looks at: the environment, the clock, the system's limits, the roots."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokenaudit import __version__, transcripts
from tokenaudit.config.directories import config_folder
from tokenaudit.config.settings import Settings, file_in
from tokenaudit.model.errors import StoreError
from tokenaudit.transcripts.survey import other_places, survey

if TYPE_CHECKING:
    from tokenaudit.audit.doctor.diagnosis import Environment
    from tokenaudit.cli.options import Options
    from tokenaudit.ledger.frame import Ledger
    from tokenaudit.reports.request import Request
    from tokenaudit.store.status import StoreStatus

__all__ = ["gathered"]

_VARIABLES: Final = (
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_SKIP_PROMPT_HISTORY",
    "CLAUDE_CODE_CHILD_SESSION",
    "XDG_CONFIG_HOME",
)
_WATCHES: Final = Path("/proc/sys/fs/inotify/max_user_watches")
_PACKAGES: Final = ("polars", "msgspec", "typer", "rich")


def gathered(
    options: "Options", settings: Settings, request: "Request", ledger: "Ledger | None"
) -> "Environment":
    """Return the circumstances of a run with these *options* and *settings*."""
    from tokenaudit.audit.doctor.diagnosis import Environment
    from tokenaudit.reports.selection import select

    roots, chosen_by = _roots(options, settings)
    zone_by = (
        "--timezone"
        if options.filters.timezone
        else "settings"
        if settings.timezone
        else "the system"
    )
    return Environment(
        chosen_by=chosen_by,
        surveys=[survey(root) for root in roots],
        elsewhere=[] if options.source.demo else _elsewhere(roots),
        environ=_environ(),
        now=request.now,
        timezone=request.selection.timezone,
        zone_by=zone_by,
        watches=_watches(),
        versions=_versions(),
        settings=_settings(),
        ledger=ledger,
        rows=None if ledger is None else select(ledger.frame, request.selection).collect(),
        filters=request.selection.filters(),
        kept=_kept(options, settings),
    )


def _roots(options: "Options", settings: Settings) -> tuple[list[Path], str]:
    """Return the roots that are read, and who named them: in the order of rule R1."""
    if options.source.demo:
        return [transcripts.DEMO], "--demo"
    if options.source.root:
        return options.source.root, "--root"
    if settings.root:
        return [Path(root).expanduser() for root in settings.root], "settings"
    chosen_by = "CLAUDE_CONFIG_DIR" if os.environ.get("CLAUDE_CONFIG_DIR") else "by default"
    return transcripts.default_roots(os.environ, Path.home()), chosen_by


def _kept(options: "Options", settings: Settings) -> "StoreStatus | StoreError | None":
    from tokenaudit.cli.settings import store_folder
    from tokenaudit.store import Store

    source = options.source
    if source.no_store or (source.demo and source.store is None):
        return None
    try:
        return Store.look(store_folder(source, settings)).holdings()
    except StoreError as error:
        return error


def _elsewhere(roots: list[Path]) -> list[str]:
    read = {os.path.realpath(root) for root in roots}
    others = (str(place) for place in other_places(os.environ, Path.home()))
    return [place for place in others if not _is_below(os.path.realpath(place), read)]


def _is_below(place: str, roots: set[str]) -> bool:
    return any(place == root or place.startswith(root + os.sep) for root in roots)


def _environ() -> dict[str, str]:
    ours = [name for name in os.environ if name.startswith("TOKENAUDIT_")]
    return {name: os.environ[name] for name in (*_VARIABLES, *ours) if os.environ.get(name)}


def _watches() -> int | None:
    try:
        return int(_WATCHES.read_text())
    except (OSError, ValueError):
        return None


def _versions() -> dict[str, str]:
    found = {"tokenaudit": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "on": f"{sys.platform} {platform.machine()}"}


def _settings() -> str:
    path = file_in(config_folder(), os.environ)
    return str(path) if path.exists() else f"none ({path} does not exist)"
