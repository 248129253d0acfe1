"""Writes what a host knows into a lake: only what is new, never less than was there before.

Parts are never changed. A day that has news gets one new part, which holds what the day's parts held
and the news; the parts that it replaces go when readers had a day to finish with them. Whatever stops
a run, the lake is whole, and a repeat does what was left undone.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl
from msgspec import Struct

from tokenaudit.export.lake.dedupe import deduplicate
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.parts import Damage, Part, encode, find, parse, place, read
from tokenaudit.export.lake.redact import redact
from tokenaudit.export.lake.storage import Storage

__all__ = ["GRACE", "Published", "WrittenPart", "publish", "publish_day"]

GRACE: Final = timedelta(days=1)
"""How long a part stays after one that replaces it was written."""


class WrittenPart(Struct, frozen=True):
    """A part that a run wrote."""

    part: str
    responses: int
    bytes: int


class Published(Struct, frozen=True):
    """What a run did."""

    written: tuple[WrittenPart, ...]
    removed: tuple[str, ...]
    damages: tuple[Damage, ...]
    """Parts of this host, and files beside them, that could not be read: they stay."""


class _Day(Struct, frozen=True):
    """What became of one day."""

    written: WrittenPart | None = None
    removed: tuple[str, ...] = ()
    damages: tuple[Damage, ...] = ()


_Held = Sequence[tuple[Part, pl.DataFrame]]
"""Parts, and the rows of each."""


def publish(
    rows: pl.DataFrame,
    storage: Storage,
    host: Host,
    now: datetime,
    *,
    secret: bytes | None = None,
) -> Published:
    """Bring *rows* of *host* into the lake in *storage*; with a *secret*, redacted.

    Raises OutputError where a part cannot be written.
    """
    run = _Run(storage, host, now, secret)
    own = run.own(rows).with_columns(day=pl.col("time").dt.date())
    by_day = {
        key[0]: frame.drop("day") for key, frame in own.partition_by("day", as_dict=True).items()
    }
    nothing = own.clear().drop("day")
    days = [
        run.day(day, by_day.get(day, nothing)) for day in sorted({*by_day, *run.untidy()}, key=str)
    ]
    return _published(days)


def publish_day(
    day: date | None,
    rows: pl.DataFrame,
    storage: Storage,
    host: Host,
    now: datetime,
    *,
    secret: bytes | None = None,
) -> Published:
    """Bring *rows*, all of *day*, into the lake, as `publish` does."""
    run = _Run(storage, host, now, secret)
    return _published([run.day(day, run.own(rows))])


def _published(days: Sequence[_Day]) -> Published:
    return Published(
        tuple(day.written for day in days if day.written is not None),
        tuple(name for day in days for name in day.removed),
        tuple(damage for day in days for damage in day.damages),
    )


class _Run(Struct, frozen=True):
    """One export of one host."""

    storage: Storage
    host: Host
    now: datetime
    secret: bytes | None

    def own(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return *rows* under the host's present label, redacted if that is asked for."""
        labelled = rows.with_columns(
            host=pl.lit(self.host.id), host_label=pl.lit(self.host.label, pl.String)
        )
        return labelled if self.secret is None else redact(labelled, self.secret)

    def untidy(self) -> Iterator[date | None]:
        """Yield the days that have several parts of the host: some may be superseded."""
        seen: set[date | None] = set()
        for name in self.storage.names():
            part = parse(name)
            if isinstance(part, Part) and part.host == self.host.id:
                if part.date in seen:
                    yield part.date
                seen.add(part.date)

    def day(self, day: date | None, rows: pl.DataFrame) -> _Day:
        """Unite *rows* with what the host has published for *day*."""
        folder = place(day, self.host.id)
        parts, foreign = find(self.storage, folder)
        before = [read(self.storage, [part]) for part in parts]
        damages = (*foreign, *(damage for each in before for damage in each.damages))
        whole = [(each.whole[0], each.rows) for each in before if each.whole]
        deduplicated = self._united(rows, whole)
        held = _holding(deduplicated, whole)
        if deduplicated.is_empty():
            return _Day(damages=damages)
        if held is not None:
            return _Day(removed=self._removed(whole, held), damages=damages)
        content, data = encode(deduplicated)
        name = f"{folder}/{content}.parquet"
        self.storage.create(name, data)
        return _Day(WrittenPart(name, deduplicated.height, len(data)), damages=damages)

    def _united(self, rows: pl.DataFrame, whole: _Held) -> pl.DataFrame:
        if len(whole) == 1 and _holding(rows, whole) is not None:
            return rows  # most days of most runs: nothing new
        return deduplicate(pl.concat([*(self.own(frame) for _, frame in whole), rows]))

    def _removed(self, whole: _Held, held: Part) -> tuple[str, ...]:
        """Remove the parts that *held* has replaced for longer than the grace."""
        superseded = [part.name for part, _ in whole if part != held]
        if not superseded or self.now - self.storage.modified(held.name) < GRACE:
            return ()
        for name in superseded:
            self.storage.remove(name)
        return tuple(superseded)


def _holding(deduplicated: pl.DataFrame, whole: _Held) -> Part | None:
    """Return the part that holds all that is known; how many copies were seen is no news."""
    known = deduplicated.drop("copies")
    for part, frame in whole:
        if frame.height == deduplicated.height and frame.drop("copies").equals(known):
            return part
    return None
