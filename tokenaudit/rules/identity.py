"""R3: which records are one response, and why."""

from __future__ import annotations

from enum import StrEnum

from tokenaudit.rules.owner import claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    class Said(Protocol):
        """What one transcript says of a response, as far as these rules look at it."""

        @property
        def path(self) -> str: ...
        @property
        def revision(self) -> int: ...
        @property
        def line(self) -> int: ...
        @property
        def is_progress(self) -> bool: ...
        @property
        def is_sidechain(self) -> bool: ...
        @property
        def agent_id(self) -> str | None: ...
        @property
        def message_id(self) -> str | None: ...
        @property
        def request_id(self) -> str | None: ...
        @property
        def uuid(self) -> str | None: ...
        @property
        def time(self) -> Any: ...
        @property
        def file_time(self) -> Any: ...


__all__ = ["Link", "claim_of", "key_of", "link", "responses_of"]


class Link(StrEnum):
    """Why two records are one response."""

    IDS = "same message and request id"
    UUID = "no request id; same uuid"
    TIME = "no request id; same time"
    FILE = "no request id; same transcript and agent"
    REPLAY = "another request id; a sidechain's replay"


def key_of(
    message_id: str | None,
    request_id: str | None,
    *,
    path: str,
    agent_id: str | None,
    uuid: str | None,
    line: object,
) -> tuple[object, ...]:
    """Return what is equal for records that are one response by themselves, whatever others there are.

    Both ids where both are there; else the message within one agent's part of a transcript; without a
    message the uuid, else the *line*, which is any mark of it.
    """
    if message_id and request_id:
        return message_id, request_id
    if message_id:
        return message_id, None, path, agent_id
    return (None, None, uuid) if uuid else (None, None, None, path, line)


def link(one: Said, other: Said) -> Link | None:
    """Return why two records are one response; None where nothing says so at once."""
    if one.message_id != other.message_id:
        return None
    if one.message_id is None:
        return _link_without_message(one, other)
    if one.request_id is not None and other.request_id is not None:
        return Link.IDS if one.request_id == other.request_id else None
    if one.uuid is not None and one.uuid == other.uuid:
        return Link.UUID
    if one.time is not None and one.time == other.time:
        return Link.TIME
    is_beside = (one.path, one.agent_id) == (other.path, other.agent_id)
    return Link.FILE if is_beside and one.agent_id is not None else None


def _link_without_message(one: Said, other: Said) -> Link | None:
    if one.uuid is not None or other.uuid is not None:
        return Link.UUID if one.uuid == other.uuid else None
    return Link.FILE if (one.path, one.line) == (other.path, other.line) else None


def claim_of(said: Said) -> tuple[Any, ...]:
    """Return what decides whose response *said* is (R5)."""
    return claim(
        is_progress=said.is_progress,
        is_sidechain=said.is_sidechain,
        file_time=said.file_time,
        time=said.time,
        path=said.path,
        revision=said.revision,
        line=said.line,
    )


def responses_of(records: Sequence[Said]) -> list[list[int]]:
    """Group *records*, all that share a message id, or a uuid without one, into responses.

    Returns the places of the records of each response.
    """
    groups = {at: {at} for at in range(len(records))}
    for one in range(len(records)):
        for other in range(one):
            if groups[one] is not groups[other] and link(records[one], records[other]):
                _join(groups, one, other)
    _join_replays(records, groups)
    return [sorted(group) for at, group in groups.items() if at == min(group)]


def _join(groups: dict[int, set[int]], one: int, other: int) -> None:
    joined = groups[one] | groups[other]
    for at in joined:
        groups[at] = joined


def _join_replays(records: Sequence[Said], groups: dict[int, set[int]]) -> None:
    """Join the replays of sidechains, which have request ids of their own, to what they replay."""
    keys: dict[str, list[int]] = {}
    for at, record in enumerate(records):
        if record.message_id is not None and record.request_id is not None:
            keys.setdefault(record.request_id, []).append(at)

    def place(places: list[int]) -> tuple[Any, ...]:
        return min(claim_of(records[at]) for at in places)[1:]

    first, *others = sorted(keys.values(), key=place) or [[]]
    for places in others:
        is_sidechain = place(places)[0]
        if is_sidechain:
            _join(groups, first[0], places[0])
