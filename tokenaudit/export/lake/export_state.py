"""What an export did last, so that one with nothing new compares marks, not rows.

A note that is missing, or not about the same facts, the same settings and the parts that are there,
costs time and nothing else: then everything is united and compared.
"""

from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from msgspec import Struct

from tokenaudit import __version__
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.parts import Part, are_whole, parse
from tokenaudit.export.lake.schema import FORMAT
from tokenaudit.export.lake.storage import Storage
from tokenaudit.files import atomic as files
from tokenaudit.files import inputs
from tokenaudit.store.facts import Facts

__all__ = ["Last", "mark_of"]

_FOLDER: Final = "exports"


def mark_of(facts: Facts, *settings: object) -> str:
    """Return what tells whether *facts* and *settings* are those of another run of this version."""
    mark = sha256(repr((__version__, pl.__version__, FORMAT, settings)).encode())
    for field in fields(facts):
        frame = getattr(facts, field.name)
        if isinstance(frame, pl.DataFrame):
            mark.update(f"{field.name} {frame.height}\n".encode())
            if frame.height:
                mark.update(frame.hash_rows().to_frame().write_ipc(None).getbuffer())
    return mark.hexdigest()


class _Note(msgspec.Struct, frozen=True):
    mark: str
    responses: int
    parts: list[str]
    """Names of the host's parts: they tell what these hold."""


class Last(Struct, frozen=True):
    """What is noted of exports of *host* to one lake, in *file*."""

    file: Path
    storage: Storage
    host: Host

    @classmethod
    def of(cls, folder: Path, lake: str, storage: Storage, host: Host) -> "Last":
        """Return what is noted in *folder* of *lake*."""
        place = lake if "://" in lake else str(Path(lake).resolve())
        name = sha256(f"{place}\0{host.id}".encode()).hexdigest()[:32]
        return cls(folder / _FOLDER / f"{name}.json", storage, host)

    def responses(self, mark: str) -> int | None:
        """Return how many responses were exported under *mark*; None where there may be work to do."""
        try:
            note = msgspec.json.decode(
                inputs.read(self.file, inputs.GIBIBYTE, follow_links=False), type=_Note
            )
        except (OSError, msgspec.MsgspecError):
            return None
        parts = self._parts()
        if note.mark != mark or parts is None or [part.name for part in parts] != note.parts:
            return None
        return note.responses if are_whole(self.storage, parts) else None

    def note(self, mark: str, responses: int) -> None:
        """Note that all is done; where that cannot be kept, the next run does it again."""
        parts = self._parts()
        if parts is None:
            return
        note = _Note(mark, responses, [part.name for part in parts])
        try:
            files.make_folder(self.file.parent)
            files.replace(self.file, msgspec.json.encode(note))
        except OSError:
            return

    def _parts(self) -> list[Part] | None:
        """Return the parts of the host; None where not all files are parts, or a day has several."""
        own = f"/host={self.host.id}/"
        found = [parse(name) for name in self.storage.names() if own in name]
        parts = [each for each in found if isinstance(each, Part)]
        if len({part.date for part in parts}) != len(found):
            return None
        return parts
