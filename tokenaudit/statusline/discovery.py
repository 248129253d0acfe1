"""Where transcripts lie, and what that says of them: the paths of R1, as the status line finds them."""

from __future__ import annotations

import binascii
import os

from tokenaudit.files import inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["TranscriptPlace", "agent_of", "mark", "session_of", "storable", "transcripts"]

_MARKED = 256
"""So many bytes tell, before where reading ended, whether a transcript is still the one that was read."""
_NOT_TRANSCRIPTS = ("journal.jsonl", "audit.jsonl", "history.jsonl")
_UUID = 36


class TranscriptPlace:
    """The transcript that is being read, and what its place on disk says."""

    def __init__(
        self, path: str, session: str | None, agent: str, horizon: int, *, keeps_all: bool
    ) -> None:
        """Take a transcript: what is older than *horizon* is left out, unless it *keeps_all*."""
        self.path = path
        self.session = session
        self.agent = agent
        self.horizon = horizon
        self.keeps_all = keeps_all
        self.is_whole = True
        self.first: int | None = None


def transcripts(roots: Iterable[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every transcript below *roots* (R1), each real folder once."""
    seen: set[str] = set()
    pending = _starts(roots)
    while pending:
        folder = os.path.realpath(pending.pop())
        if folder in seen:
            continue
        seen.add(folder)
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError:
            continue
        for entry in found:
            try:
                if entry.is_dir():
                    pending.append(entry.path)
                elif _is_transcript(entry.name):
                    yield os.path.realpath(entry.path), entry.stat()
            except OSError:
                continue


def _starts(roots: Iterable[str]) -> list[str]:
    """Return the folders in which the transcripts of *roots* stand."""
    projects = [(root, os.path.join(root, "projects")) for root in roots]  # noqa: PTH118
    return [below if os.path.isdir(below) else root for root, below in projects]  # noqa: PTH112


def _is_transcript(name: str) -> bool:
    return name.endswith(".jsonl") and name not in _NOT_TRANSCRIPTS


def mark(path: str, offset: int) -> int | None:
    """Return a checksum of what stands just before *offset*; None where it cannot be read."""
    start = max(offset - _MARKED, 0)
    try:
        with inputs.opened(path) as file:
            file.seek(start)
            return binascii.crc32(file.read(offset - start))
    except OSError:
        return None


def storable(path: str) -> str:
    """Return a path as a database can hold it: a name on disk need not be text."""
    return path.encode("utf-8", "backslashreplace").decode()


def session_of(path: str) -> str | None:
    """Return the session that a transcript's path names; None where only its lines do."""
    parts = path.split(os.sep)  # noqa: PTH206 - no pathlib here
    if "subagents" in parts[1:]:
        return parts[parts.index("subagents", 1) - 1]
    stem = parts[-1].removesuffix(".jsonl")
    return stem if len(stem) == _UUID and stem.count("-") == 4 else None  # noqa: PLR2004


def agent_of(path: str) -> str:
    """Return the agent that a transcript's path names."""
    stem = os.path.basename(path).removesuffix(".jsonl")  # noqa: PTH119 - no pathlib here
    return stem.removeprefix("agent-") if stem.startswith("agent-") else "main"
