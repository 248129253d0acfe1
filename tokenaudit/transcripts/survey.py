"""What lies below a root beside transcripts, and what Claude Code's settings there say of history.

For the question why less is found than expected; nothing here is counted.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from tokenaudit.files import inputs
from tokenaudit.model.errors import NoTranscriptsError
from tokenaudit.model.terms import Reject
from tokenaudit.transcripts import values
from tokenaudit.transcripts.discover import discover
from tokenaudit.transcripts.wire import SETTINGS_KEYS

__all__ = ["CLEANUP_DAYS", "CLEANUP_SETTING", "Ignored", "Survey", "other_places", "survey"]

CLEANUP_SETTING: Final = SETTINGS_KEYS["cleanup_period_days"]
"""What Claude Code calls the setting that says how long transcripts are kept."""
CLEANUP_DAYS: Final = 30
"""After how many days Claude Code deletes transcripts, where no setting says otherwise."""

_BY_NAME: Final = frozenset({"journal.jsonl", "audit.jsonl", "history.jsonl"})
_PACKED: Final = (".jsonl.gz", ".jsonl.zst", ".jsonl.bz2", ".jsonl.xz", ".zip", ".tar", ".tgz")
_LARGEST_SETTINGS: Final = 1 << 20
_MOST_ENTRIES: Final = 1_000_000
"""A root with more files than this is not looked through to its end."""


class Ignored(Struct, frozen=True):
    """Files that are not read, for one reason."""

    reason: str
    count: int
    example: str


class Survey(Struct, frozen=True):
    """What one root holds."""

    root: str
    exists: bool
    has_projects: bool = False
    transcripts: int = 0
    bytes: int = 0
    folders: int = 0
    """Folders in which transcripts stand: each takes a watch."""
    newest: float | None = None
    """When a transcript was last written, in seconds since 1970."""
    ignored: tuple[Ignored, ...] = ()
    rejects: tuple[Reject, ...] = ()
    cleanup_days: int | None = None
    """What its settings say; None where they say nothing that can be read."""
    is_cleanup_odd: bool = False
    """Whether they say something that is no number of days."""


class _Tally(Struct):
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, path: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.examples.setdefault(reason, path)

    def ignored(self) -> tuple[Ignored, ...]:
        return tuple(
            Ignored(reason, count, self.examples[reason]) for reason, count in self.counts.items()
        )


def survey(root: Path) -> Survey:
    """Look through *root*; never raises for what is there, or is not."""
    if not os.path.lexists(root):
        return Survey(str(root), exists=False)
    has_projects = os.path.isdir(root / "projects")  # noqa: PTH112 - unlike a Path, it never raises
    days, is_odd = _cleanup_days(root)
    try:
        found = discover([root], must_exist=False)
    except NoTranscriptsError:
        transcripts, rejects = [], _denied(root)
    else:
        transcripts, rejects = found.transcripts, found.rejects
    paths = {transcript.path for transcript in transcripts}
    return Survey(
        root=str(root),
        exists=True,
        has_projects=has_projects,
        transcripts=len(transcripts),
        bytes=sum(transcript.size for transcript in transcripts),
        folders=len({os.path.dirname(path) for path in paths}),  # noqa: PTH120
        newest=max((time for path in paths if (time := _written(path))), default=None),
        ignored=_ignored(root, paths, has_projects=has_projects),
        rejects=tuple(rejects),
        cleanup_days=days,
        is_cleanup_odd=is_odd,
    )


def _denied(root: Path) -> list[Reject]:
    places = [root, root / "projects"]
    found = [
        place for place in places if place.exists() and not os.access(place, os.R_OK | os.X_OK)
    ]
    return [Reject(str(place), None, "cannot be read: Permission denied") for place in found]


def _written(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime  # noqa: PTH116
    except OSError:
        return None


def _ignored(root: Path, read: set[str], *, has_projects: bool) -> tuple[Ignored, ...]:
    tally = _Tally()
    inside = str((root / "projects").absolute()) + os.sep
    for number, path in enumerate(_files(root.absolute())):
        if number >= _MOST_ENTRIES:
            break
        if path in read:
            if not _size(path):
                tally.add("empty", path)
            continue
        reason = _reason(path, is_outside=has_projects and not path.startswith(inside))
        if reason is not None:
            tally.add(reason, path)
    return tally.ignored()


def _files(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root, onerror=None):
        yield from (os.path.join(folder, name) for name in sorted(names))  # noqa: PTH118


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


def _reason(path: str, *, is_outside: bool) -> str | None:
    """Say why the file at *path*, which is not read, is not; None for what nobody would expect to be."""
    name = os.path.basename(path)  # noqa: PTH119
    if name.endswith(_PACKED):
        return "packed"
    if not name.endswith(".jsonl"):
        return None
    if name in _BY_NAME:
        return "no transcript by its name"
    return "outside of projects" if is_outside else "another name of a file that is read"


def _cleanup_days(root: Path) -> tuple[int | None, bool]:
    """Return after how many days the settings of *root* delete transcripts, and whether it is no number."""
    for name in ("settings.local.json", "settings.json"):
        try:
            settings = json.loads(inputs.read(root / name, _LARGEST_SETTINGS))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(settings, Mapping) and CLEANUP_SETTING in settings:
            try:
                return values.count(settings[CLEANUP_SETTING]), False
            except values.BadCountError:
                return None, True
    return None, False


def other_places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Return the places, existing ones, in which programs of the same family leave transcripts."""
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = (
        home / ".claude",
        config / "claude",
        config / "Claude" / "local-agent-mode-sessions",
        home / "Library" / "Application Support" / "Claude" / "local-agent-mode-sessions",
        *(
            (Path(roaming) / "Claude" / "local-agent-mode-sessions",)
            if (roaming := environ.get("APPDATA"))
            else ()
        ),
    )
    return [place for place in places if _may_hold_transcripts(place)]


def _may_hold_transcripts(place: Path) -> bool:
    is_root = os.path.isdir(place / "projects")  # noqa: PTH112 - unlike a Path, it never raises
    return is_root or (os.path.isdir(place) and place.name == "local-agent-mode-sessions")  # noqa: PTH112
