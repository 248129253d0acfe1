"""What the status line keeps between calls: its last line, and what settings and rates came to."""

from __future__ import annotations

import json
import os
import sys

from tokenaudit.files import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "BASIS",
    "STATE",
    "basis_of",
    "folders",
    "keep",
    "keep_line",
    "last_line",
    "made",
    "remove",
]

STATE = "statusline.db"
"""Name of the file of the tally."""

BASIS = "statusline.json"
"""Name of the file of what settings, roots and the day come to."""

_LINE = "statusline.txt"
_MOST_BYTES = 1 << 20
_GRACE_S = 24 * 3600


def folders() -> tuple[str, str]:
    """Return the folders of what can be made again and of what cannot; as platformdirs does."""
    if sys.platform == "linux":
        home = os.path.expanduser("~")  # noqa: PTH111 - no pathlib here
        cache = os.environ.get("XDG_CACHE_HOME", "").strip() or f"{home}/.cache"
        data = os.environ.get("XDG_DATA_HOME", "").strip() or f"{home}/.local/share"
        found = (f"{cache}/tokenaudit", f"{data}/tokenaudit")
    else:
        from platformdirs import user_cache_dir, user_data_dir

        found = (
            user_cache_dir("tokenaudit", appauthor=False),
            user_data_dir("tokenaudit", appauthor=False),
        )
    return found


def made(folder: str) -> str:
    """Return *folder*, which is there now; nothing if that cannot be."""
    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102 - no pathlib here
    except FileExistsError:
        return folder if os.path.isdir(folder) else ""  # noqa: PTH112 - no pathlib here
    except FileNotFoundError:
        above = os.path.dirname(folder)  # noqa: PTH120 - no pathlib here
        return made(folder) if above != folder and made(above) else ""
    except OSError:
        return ""
    return folder


def keep(path: str, text: str) -> None:
    """Write a small file: afterwards it holds all of *text*, or what it held before."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        os.replace(temporary, path)  # noqa: PTH105 - no pathlib here
    except OSError:
        remove(temporary)


def remove(path: str) -> None:
    """Remove a file, if that can be done."""
    try:
        os.remove(path)  # noqa: PTH107 - no pathlib here
    except OSError:
        return


def keep_line(folder: str, session: str, line: str) -> None:
    """Keep the *line* that is printed for *session*."""
    keep(os.path.join(folder, _LINE), f"{session}\n{line}")  # noqa: PTH118 - no pathlib here


def last_line(folder: str, session: str) -> str:
    """Return the line that was printed last; nothing where there is none of *session*.

    Whoever does not know its session takes any.
    """
    if not folder:
        return ""
    try:
        path = os.path.join(folder, _LINE)  # noqa: PTH118 - no pathlib here
        text = inputs.read(path, _MOST_BYTES, follow_links=False).decode("utf-8", "replace")
    except OSError:
        return ""
    of, _, line = text.partition("\n")
    return line.strip("\n") if session in {"", of} else ""


def basis_of(folder: str, now: int) -> dict[str, Any]:
    """Return settings, roots and the bounds of today: kept, or worked out where something changed."""
    path = os.path.join(folder, BASIS)  # noqa: PTH118 - no pathlib here
    try:
        basis: dict[str, Any] = json.loads(inputs.read(path, _MOST_BYTES, follow_links=False))
        if basis["stamp"] == _stamp(basis["files"]) and basis["day"][0] <= now < basis["day"][1]:
            return basis
    except (OSError, ValueError, TypeError, LookupError):
        pass
    from tokenaudit.statusline.settings_cache import worked_out

    basis = worked_out(now)
    basis["stamp"] = _stamp(basis["files"])
    keep(path, json.dumps(basis))
    _remove_leftovers(folder, now // 10**6 - _GRACE_S)
    return basis


def _remove_leftovers(folder: str, before: int) -> None:
    """Remove what calls that were killed have left there *before* that time, in seconds since 1970."""
    try:
        with os.scandir(folder) as entries:
            left = [entry for entry in entries if entry.name.endswith(".tmp")]
        for entry in left:
            if entry.stat(follow_symlinks=False).st_mtime < before:
                remove(entry.path)
    except OSError:
        return


def _stamp(files: Iterable[str]) -> list[Any]:
    """Return what must not have changed: this program, the environment, files of settings and rates."""
    from tokenaudit import __version__

    names = ("CLAUDE_CONFIG_DIR", "HOME", "TZ", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    said = [os.environ.get(name) for name in names]
    own = sorted(item for item in os.environ.items() if item[0].startswith("TOKENAUDIT_"))
    found: list[Any] = [__version__, said, [list(item) for item in own]]
    for path in files:
        try:
            stat = os.stat(path)  # noqa: PTH116 - no pathlib here
            found.append([stat.st_mtime_ns, stat.st_size, stat.st_ino])
        except OSError:
            found.append(None)
    return found
