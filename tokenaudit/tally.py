"""The status line's own small state: what transcripts touched today said, and how far they are read.

A cache in one SQLite file: any of it can be made again, and is, when the settings, the rates or this
module change. Only appended bytes are read. Every response stands there once, by the rules of `merge`
as far as a day's transcripts tell them; its cost is that of the rate card.
"""

from __future__ import annotations

import binascii
import json
import os
import sqlite3
import stat
import time as clock

from tokenaudit.blocks import HOURS, starts
from tokenaudit.glance import first_time, glance
from tokenaudit.pricing.picodollars import cost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from tokenaudit.glance import Said

    Tariffs = Callable[[Iterable[tuple[Any, ...]]], Iterable[Mapping[str, Any]]]

__all__ = ["Sum", "Tally", "is_damage"]

VERSION = 2
"""Of what stands in the file; another one is thrown away."""

_SECOND = 10**6
_DAY = 86400 * _SECOND
_HOUR = 3600 * _SECOND
_BLOCK = 1 << 20
_MARKED = 256
"""So many bytes tell, before where reading ended, whether a transcript is still the one that was read."""
_LONGEST_LINE = 64 << 20
_SCAN_EVERY_S = 30
"""How often all folders are looked through for transcripts that others have begun."""
_WARM_S = 3600
"""How long after its last growth a transcript is looked at every time."""
_FARTHEST_DAYS = 14
_NOT_TRANSCRIPTS = ("journal.jsonl", "audit.jsonl", "history.jsonl")
_UUID = 36

_SCHEMA = """
create table if not exists meta(key text primary key, value);
create table if not exists file(
  path text primary key, identity text, offset integer, mark integer, grown real, session text,
  agent text, is_whole integer, first integer);
create table if not exists response(
  key text primary key, base text, message text, uuid text, path text, owner_first integer, owner_path text,
  session text, agent text, time integer, said_time integer, is_final integer, said integer, is_progress integer, is_sidechain integer,
  kind text, counts text, iterations text, searches integer, is_free integer,
  tokens integer, prompt integer, cost integer);
create index if not exists response_time on response(time);
create index if not exists response_message on response(message);
create index if not exists response_session on response(session);
create index if not exists response_base on response(base);
create table if not exists alias(key text primary key, other text);
create table if not exists result(agent text, counts text, output integer);
create table if not exists tariff(kind text, first integer, until integer, value text);
"""


_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_DAMAGE = (
    *(*_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH),
)
"""What another call may do better: the file is locked, or there is no room or no right."""


def is_damage(error: Exception) -> bool:
    """Tell whether *error* means that what stands in the file cannot be used."""
    if isinstance(error, sqlite3.Error):
        return _code(error) not in _NO_DAMAGE
    return isinstance(error, ValueError | TypeError | LookupError)


def _code(error: sqlite3.Error) -> int:
    """Return the code of an error of the library; 0 for one of its caller."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


class Sum:
    """What some responses used and cost."""

    __slots__ = ("cost", "first", "prompt", "responses", "tokens", "unpriced")

    def __init__(self, row: Sequence[Any]) -> None:
        """Take a row: responses, tokens, picodollars of the priced, unpriced, first time, prompt."""
        self.responses: int = row[0] or 0
        self.tokens: int = row[1] or 0
        self.cost: int = row[2] or 0
        self.unpriced: int = row[3] or 0
        self.first: int | None = row[4]
        self.prompt: int | None = row[5]


class Tally:
    """Reads what is new, and sums up."""

    def __init__(self, path: str, basis: str, tariffs: Tariffs) -> None:
        """Open the state at *path*; one of another *basis* (settings, rates) is thrown away.

        *tariffs* tells the rates of kinds of responses that have none here yet. Raises sqlite3.Error
        or OSError where the state cannot be opened; see `is_damage`.
        """
        self._tariffs = tariffs
        self._is_restarted = self._has_news = self._is_partial = False
        self._rates: dict[str, list[tuple[int, int, Mapping[str, Any] | None]]] = {}
        self._db = _opened(path)
        if self._get("basis") != basis:
            self._begin_anew(basis)

    def _begin_anew(self, basis: str) -> None:
        """Throw away what stands on another basis, unless another call has done so meanwhile."""
        self._db.execute("begin immediate")
        if self._get("basis") != basis:
            for table in ("meta", "file", "response", "alias", "result", "tariff"):
                self._db.execute(f"delete from {table}")  # noqa: S608 - ours
            self._set("basis", basis)
        self._db.commit()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _get(self, key: str) -> Any:
        row = self._db.execute("select value from meta where key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def _set(self, key: str, value: Any) -> None:
        self._db.execute("insert or replace into meta values (?, ?)", (key, json.dumps(value)))

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
            if _code(error) in _LOCKED:
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
        wanted, kept = min(day_start, now - _DAY), self._get("horizon")
        if (
            kept is None or kept < wanted - 2 * _FARTHEST_DAYS * _DAY
        ):  # else it would only ever grow
            self._forget()
            self._is_restarted = False
            self._set("horizon", wanted)
        horizon = min(wanted, self._get("horizon"))
        own = os.path.realpath(transcript) if transcript else None
        if own is not None:
            self._want_whole(_storable(own))
        while True:
            paths = self._fresh(roots, own, horizon, now)
            if not all(self._read(path, horizon, own, deadline) for path in paths):
                self._db.commit()
                return False
            if self._has_news:
                self._repair()
                self._has_news = False
            self._db.commit()
            if self._is_restarted:  # a rewritten transcript: what the others said is read again
                self._is_restarted = False
                continue
            if self._is_sure(horizon) or now - horizon >= _FARTHEST_DAYS * _DAY:
                return not self._is_partial
            horizon -= _DAY  # no silence is known yet from which blocks could be counted
            self._set("horizon", horizon)
            self._set("scanned", 0)
            self._db.execute("delete from file where is_whole = 0")

    def _want_whole(self, own: str) -> None:
        """Forget how far the session's transcripts are read if old responses were left out."""
        session = _session_of(own)
        self._db.execute(
            "delete from file where is_whole = 0 and (path = ? or session = ?)", (own, session)
        )

    def _fresh(
        self, roots: Sequence[str], own: str | None, horizon: int, now: int
    ) -> list[tuple[str, os.stat_result]]:
        """Return the transcripts that may have grown: all every half minute, else the warm ones."""
        scanned = self._get("scanned") or 0
        found: dict[str, os.stat_result] = {}
        if abs(now - scanned) > _SCAN_EVERY_S * _SECOND:
            every = dict(_transcripts(roots))
            found = {
                path: each for path, each in every.items() if each.st_mtime * _SECOND >= horizon
            }
            self._set("scanned", now)
            self._set("has_transcripts", bool(every))
        warm = self._db.execute(
            "select path from file where grown > ?", (now / _SECOND - _WARM_S,)
        ).fetchall()
        more = [path for (path,) in warm]
        if own is not None:
            more += [own, *(path for path, _ in _transcripts([own.removesuffix(".jsonl")]))]
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
        path = _storable(real)
        identity = f"{found.st_dev}:{found.st_ino}"
        row = self._db.execute(
            "select identity, offset, session, is_whole, first, mark from file where path = ?",
            (path,),
        ).fetchone()
        if row and (row[0] != identity or found.st_size < row[1]):
            self._forget()
            row = None
        if row and found.st_size > row[1] and row[5] != _mark(real, row[1]):
            self._forget()  # another text stands there now, and it is longer
            row = None
        offset = row[1] if row else 0
        if row and found.st_size == offset:
            return True
        session = row[2] if row else _session_of(path)
        keeps_all = own is not None and (real == own or session == _session_of(own))
        place = _Place(path, session, _agent_of(path), horizon, keeps_all=keeps_all)
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
        self._db.execute(
            "insert or replace into file values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                path,
                identity,
                offset,
                _mark(real, offset),
                found.st_mtime,
                place.session,
                place.agent,
                place.is_whole,
                place.first,
            ),
        )
        self._db.commit()
        return clock.monotonic() < deadline or offset == found.st_size

    def _forget(self) -> None:
        """Start again: a transcript was rewritten, and any other may repeat what it said."""
        self._db.execute("delete from response")
        self._db.execute("delete from result")
        self._db.execute("delete from alias")
        self._db.execute("delete from file")
        self._set("scanned", 0)
        self._is_restarted = True

    def _read_lines(self, path: str, place: _Place, offset: int, deadline: float) -> int:
        """Take in the whole lines at *path* from *offset* on; return where the last of them ends."""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - no pathlib here
            file.seek(offset)
            rest = b""
            while block := file.read(_BLOCK):
                data = rest + block
                end = data.rfind(b"\n") + 1
                place.first = place.first or first_time(data[:end])
                self._take(data[:end], place)
                offset += end
                rest = data[end:]
                if len(rest) > _LONGEST_LINE or clock.monotonic() > deadline:
                    break
        if rest.endswith(b"}"):  # whole but for its line end, perhaps: it will be read again
            self._take(rest, place)
        return offset

    def _take(self, data: bytes, place: _Place) -> None:
        for said in glance(data):
            if said.is_result:
                fresh, output, read, short, long = said.counts
                same = json.dumps([fresh, read, short + long])
                self._db.execute("insert into result values (?, ?, ?)", (said.agent, same, output))
            else:
                self._add(said, place)

    def _add(self, said: Said, place: _Place) -> None:
        place.session = place.session or said.session
        if not place.keeps_all and said.time is not None and said.time < place.horizon:
            place.is_whole = False
            return
        key = _key(said, place)
        row = self._db.execute("select other from alias where key = ?", (key,)).fetchone()
        key = row[0] if row else key  # lines of one transcript may be known from another
        known = self._known(key)
        if known is None and said.message:
            if (other := self._linked(said)) is not None:
                self._db.execute("insert or replace into alias values (?, ?)", (key, other))
                key, known = other, self._known(other)
            elif self._is_replay(said, key):
                return
        mine = _Owner.of(said, place)
        owner = mine if known is None or mine.goes_before(known.owner) else known.owner
        if known is None or _beats(said, known, place.path):
            self._put(key, said, place, owner)
        elif owner is mine:
            self._own(key, owner)

    def _known(self, key: str) -> _Known | None:
        row = self._db.execute(
            "select path, said_time, is_final, said, is_progress, is_sidechain, owner_first,"
            " owner_path, session, agent, time, uuid from response where key = ?",
            (key,),
        ).fetchone()
        return _Known(row) if row else None

    def _linked(self, said: Said) -> str | None:
        """Return the key of the same response where an id is missing: by its uuid or its time (R3)."""
        row = self._db.execute(
            "select key from response where message = ? and (uuid = ? or ? in (time, said_time))"
            " and key = base and (? is null or key like '%, null, %')",
            (said.message, said.uuid, said.time, said.request),
        ).fetchone()
        return row[0] if row else None

    def _own(self, key: str, owner: _Owner) -> None:
        """Give a response, and what hangs on it, to another owner (R5)."""
        self._db.execute(
            "update response set is_progress = ?, is_sidechain = ?, owner_first = ?, owner_path = ?,"
            " session = ?, agent = ?, time = ?, uuid = ? where base = ?",
            (*owner.row(), key),
        )

    def _is_replay(self, said: Said, key: str) -> bool:
        """Tell whether a sidechain repeats a response under another request id (R3)."""
        others = self._db.execute(
            "select key, is_sidechain from response where message = ? and key != ? and key = base",
            (said.message, key),
        ).fetchall()
        if not others or not said.request:
            return False
        if said.is_sidechain:
            return True
        for other, is_sidechain in others:
            if is_sidechain:
                self._remove(other)
        return False

    def _remove(self, key: str) -> None:
        self._db.execute("delete from response where base = ?", (key,))

    def _put(self, key: str, said: Said, place: _Place, owner: _Owner) -> None:
        """Write the best line of a response in, and what of its iterations stands for itself (R6)."""
        self._remove(key)
        served = "message"
        if any(kind == "fallback_message" for kind, _, _ in said.iterations):
            served = "fallback_message"
        parts = [counts for kind, _, counts in said.iterations if kind == served]
        sums = tuple(map(sum, zip(*parts, strict=True))) if len(parts) > 1 else ()
        self._insert(
            key,
            said,
            place,
            owner,
            said.model,
            counts=said.counts,
            parts=parts if sums == said.counts else [said.counts],
            searches=said.searches,
        )
        for at, (kind, model, counts) in enumerate(said.iterations):
            if kind in {"advisor_message", "compaction"}:
                self._insert(
                    key,
                    said,
                    place,
                    owner,
                    model or said.model,
                    iteration=at,
                    counts=counts,
                    parts=[counts],
                    searches=0,
                )

    def _insert(
        self,
        base: str,
        said: Said,
        place: _Place,
        owner: _Owner,
        model: str | None,
        *,
        iteration: int | None = None,
        counts: Sequence[int],
        parts: Sequence[Sequence[int]],
        searches: int,
    ) -> None:
        kind = json.dumps([model, said.speed, said.geo, said.tier])
        is_free = said.is_refused and counts[1] == 0
        amount = self._cost(kind, owner.time, parts, searches, is_free=is_free)
        self._db.execute(
            f"insert into response values ({', '.join('?' * 23)})",  # noqa: S608 - marks
            (
                base if iteration is None else f"{base}#{iteration}",
                base,
                said.message,
                owner.uuid,
                place.path,
                owner.first,
                owner.path,
                owner.session,
                owner.agent,
                owner.time,
                said.time,
                said.is_final,
                0 if said.is_final else said.counts[1],
                owner.is_progress,
                owner.is_sidechain,
                kind,
                json.dumps(list(counts)),
                json.dumps([list(part) for part in parts]),
                searches,
                is_free,
                sum(counts),
                sum(counts) - counts[1],
                amount,
            ),
        )

    def _repair(self) -> None:
        """Give unfinished replies of subagents the output that their parent was told (R4)."""
        open_ones = self._db.execute(
            "select key, agent, counts, kind, time, searches from response"
            " where is_final = 0 and agent != 'main' and agent in (select agent from result)"
        ).fetchall()
        for key, agent, text, kind, time, searches in open_ones:
            fresh, output, read, short, long = json.loads(text)
            told = self._db.execute(
                "select max(output) from result where agent = ? and counts = ?",
                (agent, json.dumps([fresh, read, short + long])),
            ).fetchone()[0]
            if told is not None and told > output:
                counts = [fresh, told, read, short, long]
                amount = self._cost(kind, time, [counts], searches, is_free=False)
                self._db.execute(
                    "update response set counts = ?, tokens = ?, cost = ? where key = ?",
                    (json.dumps(counts), sum(counts), amount, key),
                )

    # pricing

    def _cost(
        self,
        kind: str,
        time: int | None,
        parts: Sequence[Sequence[int]],
        searches: int,
        *,
        is_free: bool,
    ) -> int | None:
        tariff = self._tariff(kind, time)
        if tariff is None:
            return None
        if is_free:
            return 0
        return sum(cost(part, tariff, 0 if at else searches) for at, part in enumerate(parts))

    def _tariff(self, kind: str, time: int | None) -> Mapping[str, Any] | None:
        """Return the rates of a *kind* of response at its *time*: those known, else asked for."""
        day = -1 if time is None else time // _DAY
        if kind not in self._rates:
            rows = self._db.execute(
                "select first, until, value from tariff where kind = ?", (kind,)
            ).fetchall()
            self._rates[kind] = [(first, until, json.loads(text)) for first, until, text in rows]
        for first, until, value in self._rates[kind]:
            if first <= day < until:
                return value
        for told in self._tariffs([(*json.loads(kind), day)]):
            self._rates[kind].append((told["first"], told["until"], told["tariff"]))
            self._db.execute(
                "insert into tariff values (?, ?, ?, ?)",
                (kind, told["first"], told["until"], json.dumps(told["tariff"])),
            )
            tariff: Mapping[str, Any] | None = told["tariff"]
            return tariff
        return None

    # sums

    @property
    def has_transcripts(self) -> bool:
        """Whether there is any: without one nothing is known, not even that nothing was used."""
        return bool(self._get("has_transcripts")) or self._is_any("select 1 from file")

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
            "select count(*), sum(tokens), sum(cost), sum(cost is null), min(time), null"  # noqa: S608 - ours
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
        found = self._chain(self._get("horizon") or 0)
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


class _Place:
    """The transcript that is being read, and what its place on disk says."""

    def __init__(
        self, path: str, session: str | None, agent: str, horizon: int, *, keeps_all: bool
    ) -> None:
        self.path = path
        self.session = session
        self.agent = agent
        self.horizon = horizon
        self.keeps_all = keeps_all
        self.is_whole = True
        self.first: int | None = None


class _Owner:
    """To whom a response belongs (R5), and when it was."""

    __slots__ = (
        "agent",
        "first",
        "is_progress",
        "is_sidechain",
        "path",
        "session",
        "time",
        "uuid",
    )

    def __init__(self, row: Sequence[Any]) -> None:
        """Take a row, in the order of `row`."""
        self.is_progress, self.is_sidechain = bool(row[0]), bool(row[1])
        self.first: int | None = row[2]
        self.path: str = row[3]
        self.session: str | None = row[4]
        self.agent: str = row[5]
        self.time: int | None = row[6]
        self.uuid: str | None = row[7]

    @classmethod
    def of(cls, said: Said, place: _Place) -> _Owner:
        """Return who is the owner if this line says it."""
        facts = (place.first, place.path, place.session, _speaker(said, place))
        return cls((said.is_progress, said.is_sidechain, *facts, said.time, said.uuid))

    def row(self) -> tuple[Any, ...]:
        """Return all facts."""
        marks = (self.is_progress, self.is_sidechain)
        place = (self.first, self.path, self.session, self.agent)
        return (*marks, *place, self.time, self.uuid)

    def goes_before(self, other: _Owner) -> bool:
        """Tell whether this is the owner rather than *other*; of one transcript the first line is."""
        if self.path == other.path and self.is_progress == other.is_progress:
            return False
        return self._order() < other._order()

    def _order(self) -> tuple[bool, bool, float, str]:
        first = float("inf") if self.first is None else self.first
        return (self.is_progress, self.is_sidechain, first, self.path)


class _Known:
    """What is known of a response: its best line so far, and its owner."""

    __slots__ = ("is_final", "owner", "path", "said", "time")

    def __init__(self, row: Sequence[Any]) -> None:
        self.path: str = row[0]
        self.time: int | None = row[1]
        self.is_final = bool(row[2])
        self.said: int = row[3]
        self.owner = _Owner(row[4:])


def _opened(path: str) -> sqlite3.Connection:
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - no pathlib here
    db = sqlite3.connect(path, timeout=0.5)
    db.execute("pragma synchronous = off")  # after a crash of the machine it is made again
    db.execute("pragma journal_mode = truncate")
    version = db.execute("pragma user_version").fetchone()[0]
    if version not in {0, VERSION}:
        raise sqlite3.DatabaseError(f"made by another version: {version}")
    if not version:
        db.executescript(f"begin immediate; {_SCHEMA} pragma user_version = {VERSION}; commit;")
    return db


def _starts(roots: Iterable[str]) -> list[str]:
    """Return the folders in which the transcripts of *roots* stand."""
    projects = [(root, os.path.join(root, "projects")) for root in roots]  # noqa: PTH118
    return [below if os.path.isdir(below) else root for root, below in projects]  # noqa: PTH112


def _transcripts(roots: Iterable[str]) -> Iterator[tuple[str, os.stat_result]]:
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


def _is_transcript(name: str) -> bool:
    return name.endswith(".jsonl") and name not in _NOT_TRANSCRIPTS


def _mark(path: str, offset: int) -> int | None:
    """Return a checksum of what stands just before *offset*; None where it cannot be read."""
    start = max(offset - _MARKED, 0)
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - no pathlib here
            file.seek(start)
            return binascii.crc32(file.read(offset - start))
    except OSError:
        return None


def _storable(path: str) -> str:
    """Return a path as a database can hold it: a name on disk need not be text."""
    return path.encode("utf-8", "backslashreplace").decode()


def _session_of(path: str) -> str | None:
    """Return the session that a transcript's path names; None where only its lines do."""
    parts = path.split(os.sep)  # noqa: PTH206 - no pathlib here
    if "subagents" in parts[1:]:
        return parts[parts.index("subagents", 1) - 1]
    stem = parts[-1].removesuffix(".jsonl")
    return stem if len(stem) == _UUID and stem.count("-") == 4 else None  # noqa: PLR2004


def _agent_of(path: str) -> str:
    stem = os.path.basename(path).removesuffix(".jsonl")  # noqa: PTH119 - no pathlib here
    return stem.removeprefix("agent-") if stem.startswith("agent-") else "main"


def _speaker(said: Said, place: _Place) -> str:
    """Return the agent that a line is of: in a session's own transcript, perhaps a subagent."""
    if place.agent == "main" and said.is_sidechain:
        return said.agent or "sidechain"
    return place.agent


def _key(said: Said, place: _Place) -> str:
    """Return what is equal for all lines of one response (R3), as far as one line can tell."""
    if said.message and said.request:
        return json.dumps([said.message, said.request])
    if said.message:
        agent = said.agent if said.is_sidechain else place.agent
        return json.dumps([said.message, None, place.path, agent])
    return json.dumps([None, None, said.uuid])


def _beats(said: Said, known: _Known, path: str) -> bool:
    """Tell whether a line is worth more than the one that is known (R4)."""
    if path == known.path:  # within a transcript the later one counts
        if said.is_final:
            return True
        return not known.is_final and said.counts[1] >= known.said
    mine = (said.is_final, 0 if said.is_final else said.counts[1], said.time or 0)
    return mine > (known.is_final, known.said, known.time or 0)
