"""Settings that hold from run to run: defaults, then `tokenaudit.toml`, then `TOKENAUDIT_*`.

Flags come last and are the command line's matter. A key that is not known is an error, because a
setting that silently does nothing is worse than none.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from tokenaudit.errors import ConfigError

__all__ = ["FILE_NAME", "Settings", "load"]

FILE_NAME: Final = "tokenaudit.toml"
_PREFIX: Final = "TOKENAUDIT_"
_LISTS: Final = frozenset({"root"})
_OUTSIDE: Final = frozenset({"TOKENAUDIT_CONFIG"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user can set once."""

    root: tuple[str, ...] = ()
    """Roots to read; none means those of Claude Code (R1)."""
    timezone: str | None = None
    """Zone in which days are cut; None means the system's."""
    start_of_week: str = "monday"
    jobs: int | None = None
    """Processes to read with; None means one per core."""


def load(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of the file in *folder*, or of `TOKENAUDIT_CONFIG`, and of *environ*.

    Raises ConfigError naming file and key, or the variable, that cannot be used.
    """
    named = environ.get("TOKENAUDIT_CONFIG")
    path = Path(named) if named else folder / FILE_NAME
    settings = Settings()
    if named or path.is_file():
        settings = _with(settings, _read(path), str(path))
    variables = {
        name.removeprefix(_PREFIX).lower(): _split(name, value)
        for name, value in environ.items()
        if name.startswith(_PREFIX) and name not in _OUTSIDE and value
    }
    return _with(settings, variables, "environment")


def _split(name: str, value: str) -> Any:
    key = name.removeprefix(_PREFIX).lower()
    return [part.strip() for part in value.split(",")] if key in _LISTS else value


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _with(settings: Settings, found: Mapping[str, Any], where: str) -> Settings:
    known = [entry.name for entry in fields(Settings)]
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
            raise ConfigError(f"{where}: unknown key {key}", hint=hint)
    return replace(settings, **{key: _value(key, value, where) for key, value in found.items()})


def _value(key: str, value: Any, where: str) -> Any:
    if key in _LISTS:
        parts = [value] if isinstance(value, str) else value
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return tuple(part for part in parts if part)
        raise ConfigError(f"{where}: {key} must be a text or a list of texts")
    if key == "jobs":
        return _whole(key, value, where)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} must be a text")
    return value


def _whole(key: str, value: Any, where: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{where}: {key} must be a whole number from 1")
    return value
