"""Who else may put something in the place of a file: a question to the folders above it."""

import os
import stat
from pathlib import Path

__all__ = ["exposed"]


def exposed(folder: Path) -> Path | None:
    """Return the first folder in which any user could put something else in place of *folder*.

    None where there is none: only the owner writes to *folder* and to those above it, or they are
    sticky, as `/tmp` is, and what they hold of *folder* is this user's or root's. Groups are trusted:
    whoever lets one write has chosen it. Raises OSError for a folder that cannot be looked at.
    """
    if not hasattr(os, "geteuid"):
        return None
    trusted = {0, os.geteuid()}
    below: os.stat_result | None = None
    place = Path(os.path.realpath(folder))
    for each in (place, *place.parents):
        try:
            found = each.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        is_open = bool(found.st_mode & stat.S_IWOTH)
        is_sticky = bool(found.st_mode & stat.S_ISVTX)
        if is_open and not (is_sticky and (below is None or below.st_uid in trusted)):
            return each
        if is_open and each == place:
            return each
        below = found
    return None
