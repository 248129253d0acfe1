"""The status line's own small state: what transcripts touched today said, and how far they are read.

A cache in one SQLite file: any of it can be made again, and is, when the settings, the rates or this
program change. Only appended bytes are read. Every response stands there once; its cost is that of the
rate card.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time as clock

from tokenaudit.files import inputs
from tokenaudit.model.blocks import HOURS, starts
from tokenaudit.statusline.discovery import (
    TranscriptPlace,
    agent_of,
    mark,
    session_of,
    storable,
    transcripts,
)
from tokenaudit.statusline.line_reader import first_time
from tokenaudit.statusline.responses import Responses
from tokenaudit.statusline.state import OF_TRANSCRIPTS, TABLES, get, is_locked, opened, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tokenaudit.statusline.responses import Tariffs

__all__ = ["Sum", "UsageCache"]

_SECOND = 10**6
_DAY = 86400 * _SECOND
_HOUR = 3600 * _SECOND
_BLOCK = 1 << 20
_LONGEST_LINE = 64 << 20
_SCAN_EVERY_S = 30
"""How often all folders are looked through for transcripts that others have begun."""
_WARM_S = 3600
"""How long after its last growth a transcript is looked at every time."""
_FARTHEST_DAYS = 14


class Sum:
    """What some responses used and cost."""

    __slots__ = ("cost", "first", "responses", "tokens", "unpriced")

    def __init__(self, row: Sequence[Any]) -> None:
        """Take a row: responses, tokens, picodollars of the priced, unpriced, first time."""
        self.responses: int = row[0] or 0
        self.tokens: int = row[1] or 0
        self.cost: int = row[2] or 0
        self.unpriced: int = row[3] or 0
        self.first: int | None = row[4]


class UsageCache:
    """Reads what is new, and sums up."""

    def __init__(self, path: str, basis: str, tariffs: Tariffs) -> None:
        """Open the state at *path*; one of another *basis* (settings, rates) is thrown away.

        *tariffs* tells the rates of kinds of responses that have none here yet. Raises sqlite3.Error
        or OSError where the state cannot be opened; see `state.is_damage`.
        """
        self._is_restarted = self._has_news = self._is_partial = False
        self._db = opened(path)
        self._responses = Responses(self._db, tariffs)
        try:
            if get(self._db, "basis") != basis:
                self._begin_anew(basis)
        except BaseException:
            self.close()
            raise

    def _begin_anew(self, basis: str) -> None:
        """Throw away what stands on another basis, unless another call has done so meanwhile."""
        self._db.execute("begin immediate")
        if get(self._db, "basis") != basis:
            for table in TABLES:
                self._db.execute(f"delete from {table}")  # noqa: S608 - ours
            put(self._db, "basis", basis)
        self._db.commit()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # reading

    def refresh(
        self,
        roots: Sequence[str],
        transcript: str | None,
        *,
        day_start: int,
        now: int,
        deadline: float,
    ) -> bool:
        """Read what was appended below *roots*; tell whether all of it could be read, and in time.

        *transcript* is that of the session that asks. *day_start* and *now* are microseconds since
        1970, *deadline* is one of `time.monotonic`. While another call writes, nothing is read: it does.
        """
        try:
            return self._refresh(roots, transcript, day_start, now, deadline)
        except sqlite3.OperationalError as error:
            self._db.rollback()
            if is_locked(error):
                return False
            raise

    def _refresh(
        self,
        roots: Sequence[str],
        transcript: str | None,
        day_start: int,
        now: int,
        deadline: float,
    ) -> bool:
        wanted, kept = min(day_start, now - _DAY), get(self._db, "horizon")
        # else it would only ever grow
        if kept is None or kept < wanted - 2 * _FARTHEST_DAYS * _DAY:
            self._forget()
            self._is_restarted = False
            put(self._db, "horizon", wanted)
        horizon = min(wanted, get(self._db, "horizon"))
        own = os.path.realpath(transcript) if transcript else None
        if own is not None:
            self._want_whole(storable(own))
        while True:
            paths = self._fresh(roots, own, horizon, now)
            if not all(self._read(path, horizon, own, deadline) for path in paths):
                self._db.commit()
                return False
            if self._has_news:
                self._responses.repair()
                self._has_news = False
            self._db.commit()
            if self._is_restarted:  # a rewritten transcript: what the others said is read again
                self._is_restarted = False
                continue
            if self._is_sure(horizon) or now - horizon >= _FARTHEST_DAYS * _DAY:
                return not self._is_partial
            horizon -= _DAY  # no silence is known yet from which blocks could be counted
            put(self._db, "horizon", horizon)
            put(self._db, "scanned", 0)
            self._db.execute("delete from file where is_whole = 0")

    def _want_whole(self, own: str) -> None:
        """Forget how far the session's transcripts are read if old responses were left out."""
        session = session_of(own)
        self._db.execute(
            "delete from file where is_whole = 0 and (path = ? or session = ?)", (own, session)
        )

    def _fresh(
        self, roots: Sequence[str], own: str | None, horizon: int, now: int
    ) -> list[tuple[str, os.stat_result]]:
        """Return the transcripts that may have grown: all every half minute, else the warm ones."""
        scanned = get(self._db, "scanned") or 0
        found: dict[str, os.stat_result] = {}
        if abs(now - scanned) > _SCAN_EVERY_S * _SECOND:
            every = dict(transcripts(roots))
            found = {
                path: each for path, each in every.items() if each.st_mtime * _SECOND >= horizon
            }
            put(self._db, "scanned", now)
            put(self._db, "has_transcripts", bool(every))
        warm = self._db.execute(
            "select path from file where grown > ?", (now / _SECOND - _WARM_S,)
        ).fetchall()
        more = [path for (path,) in warm]
        if own is not None:
            more += [own, *(path for path, _ in transcripts([own.removesuffix(".jsonl")]))]
        for path in more:
            if path not in found:
                try:
                    found[path] = os.stat(path)  # noqa: PTH116 - no pathlib here
                except OSError:
                    continue
        # whoever opens a pipe waits for its writer
        return [item for item in found.items() if stat.S_ISREG(item[1].st_mode)]

    def _read(
        self, item: tuple[str, os.stat_result], horizon: int, own: str | None, deadline: float
    ) -> bool:
        """Read what was appended to one transcript; tell whether time was enough."""
        real, found = item
        path = storable(real)
        identity = f"{found.st_dev}:{found.st_ino}"
        row = self._db.execute(
            "select identity, offset, session, is_whole, first, mark from file where path = ?",
            (path,),
        ).fetchone()
        if row and (row[0] != identity or found.st_size < row[1]):
            self._forget()
            row = None
        if row and found.st_size > row[1] and row[5] != mark(real, row[1]):
            self._forget()  # another text stands there now, and it is longer
            row = None
        offset = row[1] if row else 0
        if row and found.st_size == offset:
            return True
        session = row[2] if row else session_of(path)
        keeps_all = own is not None and (real == own or session == session_of(own))
        place = TranscriptPlace(path, session, agent_of(path), horizon, keeps_all=keeps_all)
        place.is_whole = bool(row[3]) if row else True
        place.first = row[4] if row else None
        try:
            offset = self._read_lines(real, place, offset, deadline)
        except FileNotFoundError:
            return True
        except OSError:
            self._is_partial = True
            return True
        self._has_news = True
        self._record(place, identity, offset, mark(real, offset), found.st_mtime)
        return clock.monotonic() < deadline or offset == found.st_size

    def _record(
        self,
        place: TranscriptPlace,
        identity: str,
        offset: int,
        marked: int | None,
        modified: float,
    ) -> None:
        """Say how far the transcript at *place* has been read."""
        self._db.execute(
            "insert or replace into file values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                place.path,
                identity,
                offset,
                marked,
                modified,
                place.session,
                place.agent,
                place.is_whole,
                place.first,
            ),
        )
        self._db.commit()

    def _forget(self) -> None:
        """Start again: a transcript was rewritten, and any other may repeat what it said."""
        for table in OF_TRANSCRIPTS:
            self._db.execute(f"delete from {table}")  # noqa: S608 - ours
        put(self._db, "scanned", 0)
        self._is_restarted = True

    def _read_lines(self, path: str, place: TranscriptPlace, offset: int, deadline: float) -> int:
        """Take in the whole lines at *path* from *offset* on; return where the last of them ends."""
        with inputs.opened(path) as file:
            file.seek(offset)
            rest = b""
            while block := file.read(_BLOCK):
                data = rest + block
                end = data.rfind(b"\n") + 1
                place.first = place.first or first_time(data[:end])
                self._responses.take(data[:end], place)
                offset += end
                rest = data[end:]
                if len(rest) > _LONGEST_LINE or clock.monotonic() > deadline:
                    break
        if rest.endswith(b"}"):  # whole but for its line end, perhaps: it will be read again
            self._responses.take(rest, place)
        return offset

    # sums

    @property
    def has_transcripts(self) -> bool:
        """Whether there is any: without one nothing is known, not even that nothing was used."""
        return bool(get(self._db, "has_transcripts")) or self._is_any("select 1 from file")

    def knows(self, session_id: str) -> bool:
        """Tell whether anything of a session was read: a transcript, or a response in another's."""
        return self._is_any(
            "select 1 from file where session = ? union all select 1 from response where session = ?",
            session_id,
            session_id,
        )

    def _is_any(self, query: str, *values: str) -> bool:
        return self._db.execute(f"{query} limit 1", values).fetchone() is not None

    def since(self, start: int, until: int) -> Sum:
        """Return the sum of the responses from *start* to before *until*, in microseconds."""
        return self._sum("time >= ? and time < ?", (start, until))

    def session(self, session_id: str) -> Sum:
        """Return the sum of a session: its own agent and all subagents."""
        return self._sum("session = ?", (session_id,))

    def _sum(self, condition: str, values: tuple[Any, ...]) -> Sum:
        row = self._db.execute(
            "select count(*), sum(tokens), sum(cost), sum(cost is null), min(time)"  # noqa: S608 - ours
            f" from response where {condition}",
            values,
        ).fetchone()
        return Sum(row)

    def prompt(self, session_id: str) -> int | None:
        """Return the prompt of the last response of the session's own agent."""
        row = self._db.execute(
            "select prompt from response where session = ? and agent = 'main' and key = base"
            " and time is not null order by time desc limit 1",
            (session_id,),
        ).fetchone()
        return row[0] if row else None

    def block(self, now: int) -> int | None:
        """Return the start of the block that is open at *now*; None if none is."""
        found = self._chain(get(self._db, "horizon") or 0)
        open_ones = [hour for hour in found if hour * _HOUR <= now < (hour + HOURS) * _HOUR]
        return open_ones[-1] * _HOUR if open_ones else None

    def _is_sure(self, horizon: int) -> bool:
        """Tell whether it is known where blocks open: from a silence on, or because there are none."""
        row = self._db.execute(
            "select count(*) from response where time >= ?", (horizon,)
        ).fetchone()
        return not row[0] or bool(self._chain(horizon))

    def _chain(self, horizon: int) -> list[int]:
        """Return the hours at which blocks open, from the first that is sure to open one on.

        That is one before which nothing happened for five hours, whatever was before those.
        """
        rows = self._db.execute(
            f"select distinct time / {_HOUR} from response where time >= ? order by 1",  # noqa: S608 - a number
            (horizon,),
        ).fetchall()
        before = (horizon - 1) // _HOUR
        hours = [hour for (hour,) in rows]
        for at, hour in enumerate(hours):
            if hour - before >= HOURS:
                return starts(hours[at:])
            before = hour
        return []
