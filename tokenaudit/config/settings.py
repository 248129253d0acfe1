"""Settings that hold from run to run: defaults, then `tokenaudit.toml`, then `TOKENAUDIT_*`.

Flags come last and are the command line's matter. A key that is not known is an error, because a
setting that silently does nothing is worse than none.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from msgspec.structs import fields, replace

from tokenaudit.files import inputs
from tokenaudit.model import budgets
from tokenaudit.model.errors import ConfigError

__all__ = ["FILE_NAME", "Settings", "file_in", "find_zone", "load", "system_zone"]

FILE_NAME: Final = "tokenaudit.toml"
_PREFIX: Final = "TOKENAUDIT_"
_ELSEWHERE: Final = "TOKENAUDIT_CONFIG"
_LISTS: Final = frozenset({"root", "budget"})
_OUTSIDE: Final = frozenset(f"TOKENAUDIT_{name}" for name in ("CONFIG", "HOST_ID", "SECRET"))
"""Variables that are no settings: where the settings are, and what no file should hold."""


class Settings(Struct, frozen=True):
    """What a user can set once."""

    root: tuple[str, ...] = ()
    """Roots to read; none means those of Claude Code (R1)."""
    timezone: str | None = None
    """Zone in which days are cut; None means the system's."""
    start_of_week: str = "monday"
    jobs: int | None = None
    """Processes to read with; None means one per core."""
    store: str | None = None
    """Where what has been read is kept; None means the platform's data folder."""
    budget: tuple[str, ...] = ()
    """Budgets, as `--budget` takes them; in the file a table."""


def file_in(folder: Path, environ: Mapping[str, str]) -> Path:
    """Return the file of settings in *folder*, or the one that `TOKENAUDIT_CONFIG` names instead."""
    named = environ.get(_ELSEWHERE)
    return Path(named) if named else folder / FILE_NAME


def load(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of the file in *folder*, or of `TOKENAUDIT_CONFIG`, and of *environ*.

    Raises ConfigError naming file and key, or the variable, that cannot be used.
    """
    path = file_in(folder, environ)
    must_exist = bool(environ.get(_ELSEWHERE))
    settings = _with(Settings(), _read(path, must_exist=must_exist), str(path), str)
    variables = {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(_PREFIX) and name not in _OUTSIDE and value
    }
    lists = {key: _split(value) for key, value in variables.items() if key in _LISTS}
    return _with(settings, variables | lists, "environment", _variable)


def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone called *name*; None where there is none in which days can be cut.

    The database of zones also has files that no one else takes for zones: of leap seconds, of
    defaults of the system.
    """
    if name in _NO_ZONES or name.startswith(_COPIES):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


_NO_ZONES: Final = frozenset({"Factory", "localtime", "posixrules"})
_COPIES: Final = ("posix/", "right/")
"""Folders that hold all zones once more: as they are, and with leap seconds."""


def system_zone() -> ZoneInfo:
    """Return the system's zone; UTC where the system does not name one that is known."""
    import tzlocal

    try:
        name = tzlocal.get_localzone_name() or ""
    except (ZoneInfoNotFoundError, ValueError, OSError):
        name = ""
    for copies in _COPIES:
        name = name.removeprefix(copies)
    return find_zone(name) or ZoneInfo("UTC")


def _variable(key: str) -> str:
    return f"{_PREFIX}{key.upper()}"


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",")]


def _read(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(inputs.read(path, inputs.MEBIBYTE).decode())
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not must_exist:
            return {}
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # also what is no UTF-8, and a number too long
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _with(
    settings: Settings, found: Mapping[str, Any], where: str, spell: Callable[[str], str]
) -> Settings:
    """Return *settings* with what was *found* there; *spell* writes a key as the user did."""
    known = [entry.name for entry in fields(Settings)]
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            names = ", ".join(spell(name) for name in near or known)
            hint = f"Did you mean {names}?" if near else f"There are: {names}."
            raise ConfigError(f"{where}: unknown key {spell(key)}", hint=hint)
    values = {key: _value(key, value, f"{where}: {spell(key)}") for key, value in found.items()}
    return replace(settings, **values)


def _value(key: str, value: Any, place: str) -> Any:
    if key == "budget" and isinstance(value, dict):
        return _checked_budgets(value, place)
    if key in _LISTS:
        parts = [value] if isinstance(value, str) else value
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return tuple(part for part in parts if part)
        raise ConfigError(f"{place} must be a text or a list of texts")
    if key == "jobs":
        return _whole(value, place)
    if not isinstance(value, str):
        raise ConfigError(f"{place} must be a text")
    return value


def _checked_budgets(table: dict[str, Any], place: str) -> tuple[str, ...]:
    try:
        found = budgets.texts(table)
        return tuple(str(budgets.parse(text)) for text in found)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from None


def _whole(value: Any, place: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{place} must be a whole number from 1")
    return value
