"""Judges the lines of one response by the rules, one by one, and says why: for explanations.

By `rules` alone, not by `merge`, so that each can be held against the other. It counts nothing and
prices nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from math import inf
from typing import Any

from msgspec import Struct

from tokenaudit.rules.identity import Link, claim_of, link
from tokenaudit.rules.owner import nearness, reason
from tokenaudit.rules.value import worth
from tokenaudit.transcripts.usage_lines import UsageLine

__all__ = ["Observation", "Verdict", "judge"]


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
    """The earliest that its lines tell."""
    revision: int
    """Which content of the transcript it stood in: one that was rewritten has had several."""
    file_time: datetime | None
    """When that content begins."""
    lines: tuple[UsageLine, ...] = ()

    @property
    def is_cut(self) -> bool:
        """Whether the transcript says that the stream of the response was cut."""
        return any(line.is_cut for line in self.lines)

    @property
    def best(self) -> UsageLine:
        """The line that counts within the transcript (R4)."""
        return max(reversed(self.lines), key=_worth)

    @property
    def claim(self) -> tuple[Any, ...]:
        """What decides whose the response is (R5)."""
        return claim_of(self)


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


def judge(records: Sequence[Observation]) -> Verdict:
    """Say whose response *records* are, and which of their lines counts."""
    ranked = sorted(records, key=lambda record: record.claim)
    owner = ranked[0]
    per_content: dict[tuple[str, int], Observation] = {}
    for record in sorted(records, key=lambda each: (_worth_of(each), each.best.line, each.record)):
        per_content[record.path, record.revision] = record
    nearest = sorted(per_content.values(), key=lambda record: nearness(record.claim))
    winner = max(nearest, key=lambda each: (_worth_of(each), _later(each.best)))
    return Verdict(
        owner=owner,
        owned_because=_why_owner(ranked),
        winner=winner,
        best=winner.best,
        counted_because=_why_best(records, winner),
        links=tuple(_link_to(record, owner, records) for record in records),
    )


def _worth(line: UsageLine) -> tuple[bool, bool, int]:
    """Return what decides which line of a transcript counts (R4)."""
    return worth(line.counts.output_tokens, line.stop_reason is not None)


def _worth_of(record: Observation) -> tuple[bool, bool, int]:
    """Return what decides which transcript's line counts (R4)."""
    best = record.best
    return worth(best.counts.output_tokens, best.stop_reason is not None, record.is_cut)


def _later(line: UsageLine) -> float:
    return -inf if line.time is None else line.time


def _why_owner(ranked: Sequence[Observation]) -> str:
    owner = ranked[0]
    other = next((record for record in ranked if record.path != owner.path), None)
    why = other and reason(owner.claim, other.claim)
    return why or "no other transcript holds it"


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
    direct = link(record, owner)
    others = (link(record, other) for other in records if other is not record)
    return direct or next(filter(None, others), Link.REPLAY)
