"""What an explanation is about: a response, a request, a session, an agent, or a cell of a report."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import polars as pl
from msgspec import Struct

from tokenaudit.ledger.frame import Ledger
from tokenaudit.merge import WHOLE_ID
from tokenaudit.model.errors import UsageError
from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select

__all__ = ["Subject", "find_subject"]

_MOST_CANDIDATES: Final = 5
_LEAST_SHARED: Final = 4
"""Characters that a mistyped id must have in common with what may be meant."""


class _Sort(StrEnum):
    """What an id may be of; in the order in which an exact match is taken."""

    RESPONSE = "response"
    REQUEST = "request"
    SESSION = "session"
    AGENT = "agent"


class _Name(NamedTuple):
    sort: _Sort
    id: str
    """Of an agent, its session's and its own: `SESSION/AGENT`."""
    session_id: str | None = None
    agent_id: str | None = None


class Subject(Struct, frozen=True):
    """Rows of the ledger, or one of its refused attempts, and what they are called."""

    title: str
    rows: pl.DataFrame

    @property
    def is_one(self) -> bool:
        """Whether it is a single response."""
        return self.rows.height == 1


def find_subject(ledger: Ledger, request: Request, text: str | None) -> Subject:
    """Return what *text* means: an id, or how one begins; without it all that *request* selects.

    An agent may be written as `SESSION/AGENT`. Raises UsageError, naming candidates, where nothing or
    more than one thing fits, or where the filters of *request* leave nothing of it.
    """
    chosen = select(ledger.frame, request.selection).collect()
    if text is None:
        return Subject(_cell(request), chosen)
    name = _find(ledger, text)
    rows = _rows(chosen, ledger, name)
    if rows.is_empty():
        raise UsageError(
            f"nothing of {name.sort} {name.id} is in this selection",
            hint="Leave out the filters, or the id.",
        )
    return Subject(f"{name.sort.capitalize()} {name.id}", rows)


def _cell(request: Request) -> str:
    filters = request.selection.filters()
    since, until = filters.pop("since", None), filters.pop("until", None)
    days = since if since == until else f"{since or 'the first day'} to {until or 'the last'}"
    parts = [days] if since or until else []
    parts += [f"{name} {', '.join(values)}" for name, values in filters.items()]
    return "; ".join(parts) or "Everything"


def _rows(chosen: pl.DataFrame, ledger: Ledger, name: _Name) -> pl.DataFrame:
    match name.sort:
        case _Sort.RESPONSE:
            rows = chosen.filter(pl.col("response_id") == name.id)
            refused = ledger.refused.filter(pl.col("response_id") == name.id)
            return rows if refused.is_empty() else refused
        case _Sort.REQUEST:
            return chosen.filter(pl.col("request_id") == name.id)
        case _Sort.SESSION:
            return chosen.filter(pl.col("session_id") == name.id)
        case _Sort.AGENT:
            return chosen.filter(session_id=name.session_id, agent_id=name.agent_id)


def _find(ledger: Ledger, text: str) -> _Name:
    """Return the one thing whose id is, or begins with, *text*."""
    exact = [name for name in _names(ledger, text, exact=True) if text in {name.id, name.agent_id}]
    found = exact or list(_names(ledger, text, exact=False))
    if exact and exact[0].sort is not _Sort.AGENT:
        return exact[0]
    if len(found) > 1:
        found = _without_iterations(found, ledger)
    if len(found) == 1:
        return found[0]
    if not found:
        near = _near(ledger, text)
        raise UsageError(
            f"no response, request, session or agent begins with {text!r}",
            hint=f"Did you mean {_some(near)}?"
            if near
            else "See: tokenaudit sessions, tokenaudit agents, tokenaudit export.",
        )
    more = len(found) - _MOST_CANDIDATES
    raise UsageError(
        f"{len(found):,} things begin with {text!r}",
        hint=f"Among them {_some(found)}." if more > 0 else f"They are {_some(found)}.",
    )


def _some(names: Sequence[_Name]) -> str:
    return ", ".join(f"{name.sort} {name.id}" for name in names[:_MOST_CANDIDATES])


def _near(ledger: Ledger, text: str) -> list[_Name]:
    """Return the few things that share the longest beginning with *text*; none where they are many."""
    for length in range(len(text) - 1, _LEAST_SHARED - 1, -1):
        if found := list(_names(ledger, text[:length], exact=False)):
            return found if len(found) <= _MOST_CANDIDATES else []
    return []


def _names(ledger: Ledger, text: str, *, exact: bool) -> Iterator[_Name]:
    both = pl.concat([ledger.frame, ledger.refused])

    def fitting(ids: pl.Series) -> list[str]:
        distinct = ids.drop_nulls().unique().sort()
        fits = distinct == text if exact else distinct.str.starts_with(text)
        return distinct.filter(fits).to_list()

    yield from (_Name(_Sort.RESPONSE, each) for each in fitting(both["response_id"]))
    yield from (_Name(_Sort.REQUEST, each) for each in fitting(both["request_id"]))
    sessions = pl.concat([ledger.sessions["session_id"], both["session_id"]])
    yield from (_Name(_Sort.SESSION, each) for each in fitting(sessions))
    agents = ledger.frame.select("session_id", "agent_id").drop_nulls().unique()
    sought = pl.format("{}/{}", "session_id", "agent_id")
    if "/" not in text:
        agents = agents.filter(pl.col("agent_id") != MAIN_AGENT)
        sought = pl.col("agent_id")
    fits = agents.filter(sought == text if exact else sought.str.starts_with(text))
    yield from (
        _Name(_Sort.AGENT, f"{session_id}/{agent_id}", session_id, agent_id)
        for session_id, agent_id in fits.sort("session_id", "agent_id").rows()
    )


def _without_iterations(found: list[_Name], ledger: Ledger) -> list[_Name]:
    """Leave out inferences beside a response that is itself among those *found*."""
    ids = [name.id for name in found if name.sort is _Sort.RESPONSE]
    both = pl.concat([ledger.frame, ledger.refused])
    iterations = both.filter(pl.col("iteration").is_not_null(), WHOLE_ID.is_in(ids))
    beside = {_Name(_Sort.RESPONSE, each) for each in iterations["response_id"]}
    return [name for name in found if name not in beside]
