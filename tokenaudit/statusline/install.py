"""How the status line gets into Claude Code's settings."""

import json
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tokenaudit.files import inputs
from tokenaudit.model.errors import ConfigError, OutputError
from tokenaudit.transcripts.wire import SETTINGS_KEYS

__all__ = ["install", "setting", "write"]

_COMMAND: Final = SETTINGS_KEYS["status_line"]


def setting() -> dict[str, Any]:
    """Return what Claude Code's settings must say."""
    script = Path(sys.executable).with_name("tokenaudit")  # `-m` takes half as long again
    starter = [str(script)] if script.exists() else [sys.executable, "-m", "tokenaudit"]
    command = shlex.join([*starter, "statusline"])
    return {_COMMAND: {"type": "command", "command": command, "padding": 0}}


def install() -> str:
    """Return the settings to paste, and where."""
    return f"Put this into {_settings_path()}:\n\n{json.dumps(setting(), indent=2)}\n"


def _settings_path() -> Path:
    named = os.environ.get("CLAUDE_CONFIG_DIR", "").split(",")[0].strip()
    return (Path(named).expanduser() if named else Path.home() / ".claude") / "settings.json"


def write() -> str:
    """Add the status line to Claude Code's settings, the former ones beside; return what was done.

    Raises ConfigError for settings that are no JSON object, OutputError if they cannot be written.
    """
    from tokenaudit.render import target

    path = _settings_path()
    try:
        former = inputs.read(path, 16 * inputs.MEBIBYTE)
    except FileNotFoundError:
        former = None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        known = {} if former is None else json.loads(former)
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(known, dict):
        raise ConfigError(f"{path}: not a JSON object")
    if known.get(_COMMAND) == setting()[_COMMAND]:
        return f"{path} has the status line already.\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be made: {error.strerror}") from None
    given = f"Wrote the status line into {path}.\n"
    if former is not None:
        backup = path.with_name(f"{path.name}.before-tokenaudit-{datetime.now(UTC):%Y%m%d%H%M%S%f}")
        target.write(former, str(backup))
        given += f"The former settings are in {backup}.\n"
    document = json.dumps({**known, **setting()}, indent=2, ensure_ascii=False)
    target.write(f"{document}\n".encode(), str(path))
    return given
