"""Transcripts on storage that many machines share, parsed by workers that write the lake themselves.

First each worker parses batches of transcripts and lays their responses down, by day, under a name
that no reader takes for data; then each takes days, unites what was laid down with what the host has
published, and publishes it. So every day gets one part, whatever lay in which batch, and only names
and counts pass through the scheduler.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from typing import Final

import polars as pl
from msgspec import Struct

from tokenaudit.export.lake.dedupe import deduplicate
from tokenaudit.export.lake.executors import Work
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.parts import Damage, Part, encode, read
from tokenaudit.export.lake.publish import GRACE, WrittenPart, publish_day
from tokenaudit.export.lake.redact import redact
from tokenaudit.export.lake.rows import rows_of
from tokenaudit.export.lake.storage import Storage, open_storage
from tokenaudit.model.errors import ConfigError, OutputError
from tokenaudit.model.terms import Transcript
from tokenaudit.store import facts_without_store
from tokenaudit.transcripts import Discovery, extents_of
from tokenaudit.transcripts import read as read_transcripts

__all__ = ["BATCH", "Scan", "Scanned", "batches", "scan"]

BATCH: Final = 64 << 20
"""Bytes of transcripts that a worker is given at once, where projects are not larger."""

_AWAY: Final = "_scan"
"""The folder of what was laid down and is not published yet: readers of lakes pass it over."""


class Scan(Struct, frozen=True):
    """What is to be done, as each worker is told."""

    lake: str
    host: Host
    now: datetime
    name: str
    """Random: what scans at once lay down is told apart by it."""
    secret: bytes | None = None
    """With it, nothing is laid down that is not redacted."""

    @classmethod
    def new(cls, lake: str, host: Host, now: datetime, secret: bytes | None) -> "Scan":
        """Return a scan with a name of its own."""
        return cls(lake, host, now, secrets.token_hex(8), secret)


class Scanned(Struct, frozen=True):
    """What was read, and what became of it."""

    files: int = 0
    responses: int = 0
    """Once for each batch that holds a copy."""
    rejects: int = 0
    written: tuple[WrittenPart, ...] = ()
    removed: tuple[str, ...] = ()
    damages: tuple[Damage, ...] = ()


class _Laid(Struct, frozen=True):
    """What one batch came to."""

    parts: tuple[Part, ...]
    files: int
    responses: int
    rejects: int


def scan(asked: Scan, discovery: Discovery, work: Work, *, batch: int = BATCH) -> Scanned:
    """Bring the transcripts of *discovery* into the lake, by *work*, in batches of some *batch* bytes.

    What the lake holds afterwards has the digest of an export by one process. Raises ConfigError
    where a worker does not see the transcripts, OutputError where it does not see the lake, or a part
    cannot be written; then nothing that was published before is touched.
    """
    storage = open_storage(asked.lake, must_exist=False)
    _sweep(storage, asked.now)
    try:
        laid: list[_Laid] = list(
            work(partial(_lay_down, asked), batches(discovery.transcripts, batch))
        )
        days = _by_day(part for one in laid for part in one.parts)
        published = list(work(partial(_publish, asked), days))
    finally:
        for name in storage.names(_AWAY):
            if name.startswith(f"{_AWAY}/{asked.name}-"):
                storage.remove(name)
    published.sort(key=lambda each: [part.part for part in each.written])
    return Scanned(
        files=sum(one.files for one in laid),
        responses=sum(one.responses for one in laid),
        rejects=sum(one.rejects for one in laid) + len(discovery.rejects),
        written=tuple(part for each in published for part in each.written),
        removed=tuple(name for each in published for name in each.removed),
        damages=tuple(damage for each in published for damage in each.damages),
    )


def batches(transcripts: Iterable[Transcript], most: int) -> list[list[Transcript]]:
    """Cut *transcripts* into batches of some *most* bytes, the large ones first.

    A folder of a project, and the transcripts of one session wherever they are, stay together: what
    is told of agents and projects stands in transcripts beside theirs.
    """
    found: list[list[Transcript]] = []
    room = 0
    units = sorted(_units(transcripts), key=lambda unit: (-_size(unit), unit[0].path))
    for unit in units:
        if not found or room < _size(unit):
            found.append([])
            room = most
        found[-1] += unit
        room -= _size(unit)
    return found


def _size(unit: Sequence[Transcript]) -> int:
    return sum(transcript.size for transcript in unit)


def _units(transcripts: Iterable[Transcript]) -> list[list[Transcript]]:
    """Put together what shares a folder or a session, and what shares one with that, and so on."""
    unit_of: dict[tuple[str, ...], list[Transcript]] = {}
    for transcript in transcripts:
        keys: list[tuple[str, ...]] = [(transcript.root, transcript.project_folder)]
        if transcript.session_id is not None:
            keys.append((transcript.session_id,))
        known = {id(unit): unit for key in keys if (unit := unit_of.get(key)) is not None}
        unit = max(known.values(), key=len, default=[])
        for other in known.values():
            if other is not unit:
                unit += other
                for moved in other:
                    unit_of[moved.root, moved.project_folder] = unit
                    if moved.session_id is not None:
                        unit_of[moved.session_id,] = unit
        unit.append(transcript)
        unit_of |= dict.fromkeys(keys, unit)
    distinct = {id(unit): unit for unit in unit_of.values()}
    return [sorted(unit, key=lambda transcript: transcript.path) for unit in distinct.values()]


def _lay_down(asked: Scan, transcripts: list[Transcript]) -> _Laid:
    """Parse *transcripts*, and write what they say, a file for each day."""
    if not any(os.path.exists(transcript.path) for transcript in transcripts):  # noqa: PTH110
        raise ConfigError(
            f"{transcripts[0].path}: not there for a worker",
            hint="All workers must see the roots under the same paths.",
        )
    facts = facts_without_store(Discovery(transcripts), read_transcripts(extents_of(transcripts)))
    rows = rows_of(facts, host=asked.host.id, label=asked.host.label)
    if asked.secret is not None:
        rows = redact(rows, asked.secret)
    storage = open_storage(asked.lake, must_exist=False)
    parts = tuple(_away(asked, storage, day, of_day) for day, of_day in _days(rows))
    return _Laid(parts, len(transcripts), rows.height, facts.rejects.height)


def _days(rows: pl.DataFrame) -> Iterator[tuple[date | None, pl.DataFrame]]:
    dated = rows.with_columns(day=pl.col("time").dt.date())
    for key, of_day in dated.partition_by("day", as_dict=True, maintain_order=True).items():
        yield key[0], of_day.drop("day")


def _away(asked: Scan, storage: Storage, day: date | None, rows: pl.DataFrame) -> Part:
    content, data = encode(rows)
    name = f"{_AWAY}/{asked.name}-{day or 'undated'}-{content}.parquet"
    storage.create(name, data)
    return Part(name, day, asked.host.id, content)


def _by_day(parts: Iterable[Part]) -> list[list[Part]]:
    days: dict[date | None, list[Part]] = {}
    for part in sorted(parts, key=lambda part: part.name):
        days.setdefault(part.date, []).append(part)
    return list(days.values())


def _publish(asked: Scan, parts: list[Part]) -> Scanned:
    """Publish what was laid down for one day."""
    storage = open_storage(asked.lake, must_exist=False)
    found = read(storage, parts)
    if found.damages:
        damage = found.damages[0]
        raise OutputError(
            f"{asked.lake}: {damage.name}: {damage.reason}",
            hint="All workers must see the lake under the same name.",
        )
    published = publish_day(
        parts[0].date, deduplicate(found.rows), storage, asked.host, asked.now, secret=asked.secret
    )
    return Scanned(written=published.written, removed=published.removed, damages=published.damages)


def _sweep(storage: Storage, now: datetime) -> None:
    """Remove what scans that were stopped have left, once it is too old to be of one that runs."""
    for name in storage.names(_AWAY):
        with suppress(OSError):  # another has removed it
            if now - storage.modified(name) >= GRACE:
                storage.remove(name)
