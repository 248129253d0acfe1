"""Judges the lines of one response by the rules R3 to R5, one by one, and says why.

The twin of `merge` for the few records of an explanation: plain Python where that takes whole
columns, so that each can be held against the other. It counts nothing and prices nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from tokenaudit.transcripts.usage_lines import UsageLine

__all__ = ["Link", "Observation", "Verdict", "judge", "responses_of"]

_NEVER: Final = float("inf")


class Link(StrEnum):
    """Why two records are one response (R3)."""

    IDS = "same message and request id"
    UUID = "no request id; same uuid"
    TIME = "no request id; same time"
    FILE = "no request id; same transcript and agent"
    REPLAY = "another request id; a sidechain's replay"


class Observation(Struct, frozen=True):
    """What one transcript says of a response: one of the store's records, and its lines."""

    path: str
    record: int
    line: int
    is_progress: bool
    is_sidechain: bool
    agent_id: str | None
    message_id: str | None
    request_id: str | None
    uuid: str | None
    time: datetime | None
    first_time: datetime | None
    """When the transcript begins."""
    lines: tuple[UsageLine, ...] = ()

    @property
    def is_cut(self) -> bool:
        """Whether the transcript says that the stream of the response was cut."""
        return any(line.is_cut for line in self.lines)

    @property
    def best(self) -> UsageLine:
        """The line that counts within the transcript (R4): the last final one, else the most output."""
        final = [line for line in self.lines if line.stop_reason is not None]
        if final:
            return final[-1]
        return max(reversed(self.lines), key=lambda line: line.counts.output_tokens)


class Verdict(Struct, frozen=True):
    """What counts of a response, and whose it is."""

    owner: Observation
    owned_because: str
    """What set the owner apart (R5)."""
    winner: Observation
    best: UsageLine
    """The line whose usage counts (R4)."""
    counted_because: str
    links: tuple[Link | None, ...]
    """For each record, in order, why it is the owner's response; None where it is a lone line."""


def responses_of(records: Sequence[Observation]) -> list[list[int]]:
    """Group *records*, all that share a message id, or a uuid without one, into responses (R3).

    Returns the places of the records of each response.
    """
    groups = {at: {at} for at in range(len(records))}
    for one in range(len(records)):
        for other in range(one):
            if groups[one] is not groups[other] and _link(records[one], records[other]):
                joined = groups[one] | groups[other]
                for at in joined:
                    groups[at] = joined
    _join_replays(records, groups)
    return [sorted(group) for at, group in groups.items() if at == min(group)]


def _join_replays(records: Sequence[Observation], groups: dict[int, set[int]]) -> None:
    """Join the replays of sidechains, which have request ids of their own, to what they replay."""
    keys: dict[str, list[int]] = {}
    for at, record in enumerate(records):
        if record.message_id is not None and record.request_id is not None:
            keys.setdefault(record.request_id, []).append(at)

    def place(places: list[int]) -> tuple[bool, float, float, str]:
        first = min((records[at] for at in places), key=_claim)
        return first.is_sidechain, *_claim(first)[2:5]

    first, *others = sorted(keys.values(), key=place) or [[]]
    for places in others:
        if place(places)[0]:
            joined = groups[first[0]] | groups[places[0]]
            for at in joined:
                groups[at] = joined


def _link(one: Observation, other: Observation) -> Link | None:
    """Return why two records are one response; None where nothing says so at once."""
    if one.message_id != other.message_id:
        return None
    if one.message_id is None:
        return _link_without_ids(one, other)
    if one.request_id is not None and other.request_id is not None:
        return Link.IDS if one.request_id == other.request_id else None
    return _link_without_request(one, other)


def _link_without_request(one: Observation, other: Observation) -> Link | None:
    if one.uuid is not None and one.uuid == other.uuid:
        return Link.UUID
    if one.time is not None and one.time == other.time:
        return Link.TIME
    is_beside = (one.path, one.agent_id) == (other.path, other.agent_id)
    return Link.FILE if is_beside and one.agent_id is not None else None


def _link_without_ids(one: Observation, other: Observation) -> Link | None:
    if one.uuid is not None or other.uuid is not None:
        return Link.UUID if one.uuid == other.uuid else None
    return Link.FILE if (one.path, one.line) == (other.path, other.line) else None


def judge(records: Sequence[Observation]) -> Verdict:
    """Say whose response *records* are, and which of their lines counts."""
    ranked = sorted(records, key=_claim)
    owner = ranked[0]
    per_path: dict[str, Observation] = {}
    for record in sorted(records, key=lambda each: (*_worth(each), each.record)):
        per_path[record.path] = record
    nearest = sorted(per_path.values(), key=_near)
    winner = max(nearest, key=lambda each: (*_worth(each), _later(each.best)))
    return Verdict(
        owner=owner,
        owned_because=_why_owner(ranked),
        winner=winner,
        best=winner.best,
        counted_because=_why_best(records, winner),
        links=tuple(_link_to(record, owner, records) for record in records),
    )


def _claim(record: Observation) -> tuple[bool, bool, float, float, str, int]:
    """Return what decides whose a response is: the least owns it (R5)."""
    first, time = _moment(record.first_time), _moment(record.time)
    return record.is_progress, record.is_sidechain, first, time, record.path, record.line


def _near(record: Observation) -> tuple[bool, bool, float, str]:
    """Return what decides between equally good lines of several transcripts (R4)."""
    return record.is_progress, record.is_sidechain, _moment(record.first_time), record.path


def _worth(record: Observation) -> tuple[bool, bool, int]:
    """Return what decides whose line counts: one known to be cut, a final one, the most output (R4)."""
    is_final = record.best.stop_reason is not None
    return record.is_cut, is_final, 0 if is_final else record.best.counts.output_tokens


def _later(line: UsageLine) -> float:
    return -_NEVER if line.time is None else line.time


def _moment(time: datetime | None) -> float:
    return _NEVER if time is None else time.timestamp()


def _why_owner(ranked: Sequence[Observation]) -> str:
    paths = {record.path for record in ranked}
    if len(paths) == 1:
        return "no other transcript holds it"
    owner = ranked[0]
    other = next(record for record in ranked if record.path != owner.path)
    reasons = (
        "its line is the agent's own, the others are progress copies",
        "it is no sidechain, the others are",
        "its first line is the earliest",
        "its copy is the earliest",
        "its path sorts first",
    )
    pairs = zip(_claim(owner), _claim(other), reasons, strict=False)
    return next(reason for one, two, reason in pairs if one != two)


def _why_best(records: Sequence[Observation], winner: Observation) -> str:
    best = winner.best
    is_only = sum(len(record.lines) for record in records) == 1
    if winner.is_cut:
        return "the last line before the mark that the stream was cut"
    if best.stop_reason is not None:
        return "the only line" if is_only else "the last line with a stop reason"
    said = "the only line" if is_only else "the line with the most output"
    return f"no line has a stop reason; it is {said}"


def _link_to(
    record: Observation, owner: Observation, records: Sequence[Observation]
) -> Link | None:
    """Return why *record* is the response of *owner*: directly, or through the nearest that links it."""
    if record is owner:
        return Link.IDS if len(record.lines) > 1 else None
    direct = _link(record, owner)
    others = (_link(record, other) for other in records if other is not record)
    return direct or next(filter(None, others), Link.REPLAY)
