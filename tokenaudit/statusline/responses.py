"""Each response once, by the rules of `merge` as far as lines read one by one tell them, and its cost.

What `merge` does with frames: R3 to R8 by `rules`, for the transcripts of a day, kept in tables.
"""

from __future__ import annotations

import json

from tokenaudit.pricing.picodollars import cost
from tokenaudit.rules.identity import key_of
from tokenaudit.rules.iterations import APART, inferences_of
from tokenaudit.rules.owner import claim
from tokenaudit.rules.time import earlier
from tokenaudit.rules.value import prompt_of, worth
from tokenaudit.statusline.line_reader import read_usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from tokenaudit.statusline.discovery import TranscriptPlace
    from tokenaudit.statusline.line_reader import LineUsage

    Tariffs = Callable[[Iterable[tuple[Any, ...]]], Iterable[Mapping[str, Any]]]

__all__ = ["Responses"]

_DAY = 86400 * 10**6


class Responses:
    """The responses that stand in the file."""

    def __init__(self, db: sqlite3.Connection, tariffs: Tariffs) -> None:
        """Work on the tables of *db*; *tariffs* tells the rates of kinds that have none there yet."""
        self._db = db
        self._tariffs = tariffs
        self._rates: dict[str, list[tuple[int, int, Mapping[str, Any] | None]]] = {}

    def take(self, data: bytes, place: TranscriptPlace) -> None:
        """Take in what whole lines of a transcript say."""
        for said in read_usage(data):
            if said.is_result:
                fresh, output, read, short, long = said.counts
                same = json.dumps(prompt_of(fresh, read, short, long))
                self._db.execute("insert into result values (?, ?, ?)", (said.agent, same, output))
            else:
                self._add(said, place)

    def _add(self, said: LineUsage, place: TranscriptPlace) -> None:
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
        if known is None:
            time = earlier(said.time, self._remove_replays(said, key))
            self._put(key, said, place, mine, time)
            return
        owner = known.owner.or_rather(mine)
        time = earlier(known.time, said.time)
        if _beats(said, known, place.path):
            self._put(key, said, place, owner, time)
        elif owner is not known.owner or time != known.time:
            self._own(key, owner, time)

    def _known(self, key: str) -> _Known | None:
        row = self._db.execute(
            "select path, said_time, is_final, said, time, is_progress, is_sidechain, owner_first,"
            " owner_path, session, agent, owner_time, uuid from response where key = ?",
            (key,),
        ).fetchone()
        return _Known(row) if row else None

    def _linked(self, said: LineUsage) -> str | None:
        """Return the key of the same response where an id is missing: by its uuid or its time (R3)."""
        row = self._db.execute(
            "select key from response where message = ? and (uuid = ? or ? in (time, owner_time, said_time))"
            " and key = base and (? is null or key like '%, null, %')",
            (said.message, said.uuid, said.time, said.request),
        ).fetchone()
        return row[0] if row else None

    def _own(self, key: str, owner: _Owner, time: int | None) -> None:
        """Give a response, and what hangs on it, to another owner (R5), at another time (R8)."""
        parts = self._db.execute(
            "select key, kind, iterations, searches, is_free from response where base = ?", (key,)
        ).fetchall()
        for part, kind, inferences, searches, is_free in parts:
            amount = self._cost(kind, time, json.loads(inferences), searches, is_free=bool(is_free))
            self._db.execute(
                "update response set is_progress = ?, is_sidechain = ?, owner_first = ?,"
                " owner_path = ?, session = ?, agent = ?, owner_time = ?, uuid = ?, time = ?,"
                " cost = ? where key = ?",
                (*owner.row(), time, amount, part),
            )

    def _is_replay(self, said: LineUsage, key: str) -> bool:
        """Tell whether a sidechain repeats a known response under another request id (R3)."""
        if not said.request or not said.is_sidechain:
            return False
        others = self._others(said, key)
        for other, _ in others[:1]:
            known = self._known(other)
            if known is not None and said.time is not None and said.time < (known.time or 0):
                self._own(other, known.owner, said.time)
        return bool(others)

    def _remove_replays(self, said: LineUsage, key: str) -> int | None:
        """Remove what sidechains repeated of a response before it was known; return when, at the earliest."""
        time = None
        if said.message and said.request and not said.is_sidechain:
            for other, is_sidechain in self._others(said, key):
                if is_sidechain and (known := self._known(other)) is not None:
                    time = earlier(time, known.time)
                    self._remove(other)
        return time

    def _others(self, said: LineUsage, key: str) -> list[tuple[str, int]]:
        """Return what else is known of a message under other request ids."""
        return self._db.execute(
            "select key, is_sidechain from response where message = ? and key != ? and key = base",
            (said.message, key),
        ).fetchall()

    def _remove(self, key: str) -> None:
        self._db.execute("delete from response where base = ?", (key,))

    def _put(
        self, key: str, said: LineUsage, place: TranscriptPlace, owner: _Owner, time: int | None
    ) -> None:
        """Write the best line of a response in, and what of its iterations stands for itself (R6)."""
        self._remove(key)
        parts = inferences_of([(kind, counts) for kind, _, counts in said.iterations], said.counts)
        self._insert(
            key,
            said,
            place,
            owner,
            said.model,
            time=time,
            counts=said.counts,
            parts=parts or [said.counts],
            searches=said.searches,
        )
        for at, (kind, model, counts) in enumerate(said.iterations):
            if kind in APART:
                self._insert(
                    key,
                    said,
                    place,
                    owner,
                    model or said.model,
                    time=time,
                    iteration=at,
                    counts=counts,
                    parts=[counts],
                    searches=0,
                )

    def _insert(
        self,
        base: str,
        said: LineUsage,
        place: TranscriptPlace,
        owner: _Owner,
        model: str | None,
        *,
        time: int | None,
        iteration: int | None = None,
        counts: Sequence[int],
        parts: Sequence[Sequence[int]],
        searches: int,
    ) -> None:
        kind = json.dumps([model, said.speed, said.geo, said.tier])
        is_free = said.is_refused and counts[1] == 0
        amount = self._cost(kind, time, parts, searches, is_free=is_free)
        self._db.execute(
            f"insert into response values ({', '.join('?' * 24)})",  # noqa: S608 - marks
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
                time,
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

    def repair(self) -> None:
        """Give unfinished replies of subagents the output that their parent was told (R4)."""
        open_ones = self._db.execute(
            "select key, agent, counts, kind, time, searches from response"
            " where is_final = 0 and agent != 'main' and agent in (select agent from result)"
        ).fetchall()
        for key, agent, text, kind, time, searches in open_ones:
            fresh, output, read, short, long = json.loads(text)
            given = self._db.execute(
                "select max(output) from result where agent = ? and counts = ?",
                (agent, json.dumps(prompt_of(fresh, read, short, long))),
            ).fetchone()[0]
            if given is not None and given > output:
                counts = [fresh, given, read, short, long]
                amount = self._cost(kind, time, [counts], searches, is_free=False)
                self._db.execute(
                    "update response set counts = ?, iterations = ?, tokens = ?, cost = ?"
                    " where key = ?",
                    (json.dumps(counts), json.dumps([counts]), sum(counts), amount, key),
                )

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
        for given in self._tariffs([(*json.loads(kind), day)]):
            self._rates[kind].append((given["first"], given["until"], given["tariff"]))
            self._db.execute(
                "insert into tariff values (?, ?, ?, ?)",
                (kind, given["first"], given["until"], json.dumps(given["tariff"])),
            )
            tariff: Mapping[str, Any] | None = given["tariff"]
            return tariff
        return None


class _Owner:
    """To whom a response belongs (R5)."""

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
    def of(cls, said: LineUsage, place: TranscriptPlace) -> _Owner:
        """Return who is the owner if this line says it."""
        facts = (place.first, place.path, place.session, _speaker(said, place))
        return cls((said.is_progress, said.is_sidechain, *facts, said.time, said.uuid))

    def row(self) -> tuple[Any, ...]:
        """Return all facts."""
        marks = (self.is_progress, self.is_sidechain)
        place = (self.first, self.path, self.session, self.agent)
        return (*marks, *place, self.time, self.uuid)

    def or_rather(self, other: _Owner) -> _Owner:
        """Return the owner of both; of one transcript the first line is, at the earliest of its times."""
        if self.path == other.path and self.is_progress == other.is_progress:
            time = earlier(self.time, other.time)
            return self if time == self.time else _Owner((*self.row()[:6], time, self.uuid))
        return other if other.claim() < self.claim() else self

    def claim(self) -> tuple[Any, ...]:
        """Return what decides whether it is the owner."""
        return claim(
            is_progress=self.is_progress,
            is_sidechain=self.is_sidechain,
            file_time=self.first,
            time=self.time,
            path=self.path,
        )


class _Known:
    """What is known of a response: its best line so far, and its owner."""

    __slots__ = ("is_final", "owner", "path", "said", "said_time", "time")

    def __init__(self, row: Sequence[Any]) -> None:
        self.path: str = row[0]
        self.said_time: int | None = row[1]
        self.is_final = bool(row[2])
        self.said: int = row[3]
        self.time: int | None = row[4]
        self.owner = _Owner(row[5:])


def _speaker(said: LineUsage, place: TranscriptPlace) -> str:
    """Return the agent that a line is of: in a session's own transcript, perhaps a subagent."""
    if place.agent == "main" and said.is_sidechain:
        return said.agent or "sidechain"
    return place.agent


def _key(said: LineUsage, place: TranscriptPlace) -> str:
    """Return what is equal for all lines of one response (R3), as far as one line can tell."""
    of_line = key_of(
        said.message,
        said.request,
        path=place.path,
        agent_id=said.agent if said.is_sidechain else place.agent,
        uuid=said.uuid,
        line=[said.time, *said.counts],
    )
    return json.dumps(of_line)


def _beats(said: LineUsage, known: _Known, path: str) -> bool:
    """Tell whether a line is worth more than the one that is known (R4)."""
    mine, best = worth(said.counts[1], said.is_final), worth(known.said, known.is_final)
    if path == known.path:  # within a transcript the later one counts
        return mine >= best
    return (mine, said.time or 0) > (best, known.said_time or 0)
