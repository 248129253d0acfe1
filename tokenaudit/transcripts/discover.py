"""Finds the transcripts below a set of roots (R1): walks folders, reads no file."""

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Final

from msgspec import Struct, field

from tokenaudit.model.errors import NoTranscriptsError
from tokenaudit.model.terms import MAIN_AGENT, Reject, Transcript

__all__ = ["DEMO", "Discovery", "default_roots", "discover", "is_session_id"]

DEMO: Final = Path(__file__).parent.parent / "demo"
"""The root of the sample that comes with the package."""

_NOT_TRANSCRIPTS: Final = frozenset({"journal.jsonl", "audit.jsonl", "history.jsonl"})
_SESSION_ID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)


class Discovery(Struct, frozen=True):
    """What was found, and where it was looked for."""

    transcripts: list[Transcript] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    """Folders that could not be read."""
    folders: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Every folder that was listed, or whose entries decide where to look: device, inode, mtime_ns.

    While these and the transcripts' own stay as they are, another discovery finds the same.
    """


def is_session_id(name: str) -> bool:
    """Tell whether *name* has the shape of a session's id."""
    return _SESSION_ID.fullmatch(name) is not None


def default_roots(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Return the folders to look in when none is named, whether or not they exist (R1)."""
    named = [part.strip() for part in environ.get("CLAUDE_CONFIG_DIR", "").split(",")]
    if any(named):
        return [_expand(part, home) for part in named if part]
    config = environ.get("XDG_CONFIG_HOME") or str(home / ".config")
    return [home / ".claude", Path(config) / "claude"]


def _expand(path: str, home: Path) -> Path:
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    return Path(path)


def discover(
    roots: Sequence[Path], *, must_exist: bool = True, must_find: bool = True
) -> Discovery:
    """Find every transcript below *roots*, each real file once, sorted by path.

    A root may be a configuration folder (with `projects/` in it), any folder of transcripts, the
    folder of one session, or one file. Raises NoTranscriptsError when a root that must exist does
    not, or when one must be found and there is no transcript at all.
    """
    existing = [root for root in roots if _exists(root)]
    if must_exist and (missing := [root for root in roots if root not in existing]):
        raise NoTranscriptsError(
            f"{missing[0]}: no such root",
            hint="A root is a Claude configuration folder, or any folder or file of transcripts.",
        )
    walk = _Walk()
    transcripts = [
        _describe(found, str(root))
        for root in existing
        for found in walk.files(_start(root.absolute()))
    ]
    if must_find and not transcripts:
        raise _nothing_found(roots, walk.rejects)
    transcripts.sort(key=lambda transcript: transcript.path)
    return Discovery(transcripts, [str(root) for root in existing], walk.rejects, walk.folders)


def _exists(root: Path) -> bool:
    """Tell whether *root* is there, if only as something that must not be looked at."""
    try:
        root.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True  # what is wrong with it comes out when it is walked
    return True


def _nothing_found(roots: Sequence[Path], rejects: Sequence[Reject]) -> NoTranscriptsError:
    where = ", ".join(str(root) for root in roots) or "nowhere"
    denied = "".join(f" ({reject.path}: {reject.reason})" for reject in rejects[:1])
    return NoTranscriptsError(
        f"no transcripts found; looked in {where}{denied}",
        hint="Name the folder with --root or CLAUDE_CONFIG_DIR, or see what a report looks like with --demo.",
    )


def _start(root: Path) -> list[Path]:
    """Return the places to walk for *root*."""
    projects = root / "projects"
    if os.path.isdir(projects):  # noqa: PTH112 - unlike a Path, it never raises
        return [projects]
    if is_session_id(root.name):
        own = root.with_name(f"{root.name}.jsonl")
        return [own, root] if os.path.isfile(own) else [root]  # noqa: PTH113
    return [root]


_Found = tuple[str, os.stat_result, bool]
"""The path of a transcript, what its file system says of it, and whether a file beside it says more."""


class _Walk:
    """Walks folders, through links too, but no real folder and no real file twice."""

    def __init__(self) -> None:
        self.rejects: list[Reject] = []
        self.folders: dict[str, tuple[int, int, int]] = {}
        self._seen: set[tuple[int, int]] = set()

    def files(self, starts: Iterable[Path]) -> Iterator[_Found]:
        """Yield each transcript below *starts*."""
        for start in starts:
            try:
                stat = start.stat()
                if is_session_id(start.stem):  # what stands beside it decides where to look
                    self._note(str(start.parent), start.parent.stat())
            except OSError as error:
                self._reject(str(start), error)
                continue
            if S_ISREG(stat.st_mode):
                meta = os.path.exists(_meta_of(str(start)))  # noqa: PTH110
                yield from self._file(str(start), stat, has_meta=meta)
            else:
                yield from self._folder(str(start))

    def _file(self, path: str, stat: os.stat_result, *, has_meta: bool) -> tuple[_Found, ...]:
        if not stat.st_ino:  # Windows names the file only when asked for it alone
            stat = os.stat(path)  # noqa: PTH116
        return ((path, stat, has_meta),) if self._is_new(stat) else ()

    def _reject(self, path: str, error: OSError) -> None:
        self.rejects.append(Reject(path, None, f"cannot be read: {error.strerror}"))

    def _note(self, path: str, stat: os.stat_result) -> None:
        self.folders[path] = (stat.st_dev, stat.st_ino, stat.st_mtime_ns)

    def _is_new(self, stat: os.stat_result) -> bool:
        identity = (stat.st_dev, stat.st_ino)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def _folder(self, path: str) -> Iterator[_Found]:
        pending = [path]
        while pending:
            folder = pending.pop()
            try:
                stat = os.stat(folder)  # noqa: PTH116 - Path objects cost more than the walk
                if not self._is_new(stat):
                    continue
                self._note(folder, stat)
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
            except OSError as error:
                self._reject(folder, error)
                continue
            folders: list[str] = []
            names = {entry.name for entry in found}
            for entry in found:
                yield from self._entry(entry, names, folders)
            pending.extend(reversed(folders))

    def _entry(
        self, entry: os.DirEntry[str], names: Container[str], folders: list[str]
    ) -> tuple[_Found, ...]:
        """Return *entry* if it is a transcript; put it among *folders* if it is a folder."""
        name = entry.name
        try:
            if name.endswith(".jsonl") and name not in _NOT_TRANSCRIPTS and entry.is_file():
                return self._file(entry.path, entry.stat(), has_meta=_meta_of(name) in names)
            if entry.is_dir():
                folders.append(entry.path)
        except FileNotFoundError:
            pass  # gone since the folder was listed: what is not there holds nothing
        except OSError as error:
            self._reject(entry.path, error)
        return ()


def _meta_of(path: str) -> str:
    return path.removesuffix(".jsonl") + ".meta.json"


def _describe(found: _Found, root: str) -> Transcript:
    """Tell from its place on disk which session, agent and project a transcript belongs to."""
    path, stat, has_meta = found
    folder, _, name = path.rpartition(os.sep)  # Path objects cost more than the walk
    project_folder, session_id = _place(folder)
    stem = name.removesuffix(".jsonl")
    if session_id is None and is_session_id(stem):
        session_id = stem
    return Transcript(
        path,
        root,
        project_folder,
        session_id,
        stem.removeprefix("agent-") if stem.startswith("agent-") else MAIN_AGENT,
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_dev,
        stat.st_ino,
        has_meta,
        stat.st_ctime_ns,
    )


@lru_cache(16)
def _place(folder: str) -> tuple[str, str | None]:
    """Return the project's folder of all transcripts in *folder*, and the session that it is of, if one."""
    folders = folder.split(os.sep)  # noqa: PTH206
    session_id = None
    if (session_at := _session_at(folders)) is not None:
        session_id, folders = folders[session_at], folders[:session_at]
    project_at = _project_at(folders)
    return folders[-1 if project_at is None else project_at], session_id


def _project_at(folders: Sequence[str]) -> int | None:
    """Return where the project's own folder stands: below the last `projects`."""
    below = (at + 1 for at in range(len(folders) - 2, -1, -1) if folders[at] == "projects")
    return next(below, None)


def _session_at(folders: Sequence[str]) -> int | None:
    """Return where the session's own folder stands: the first with `subagents` in it.

    Its name is an id, unless it stands below a project's folder: people too call folders so.
    """
    project_at = _project_at(folders)
    holders = [at for at, name in enumerate(folders[1:]) if name == "subagents"]
    named = (at for at in holders if is_session_id(folders[at]))
    below = (at for at in holders if project_at is not None and at > project_at)
    return next(named, next(below, None))
