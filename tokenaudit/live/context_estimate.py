"""What contexts will hold beyond the last response: an estimate, between two measured prompts.

While a response is under way, what was written since the last one began, its output, tool results,
the user's text, is counted in characters, and taken for as many tokens as that agent's own measured
steps had per character. Without a measured step there is no estimate. It enters no total and no cost.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import polars as pl
from msgspec import Struct, field

from tokenaudit.live.incremental_ledger import AGENT, IncrementalLedger
from tokenaudit.live.sources import SourceStep
from tokenaudit.store.facts import SESSION
from tokenaudit.transcripts import ContentCause, Follower, Piece

__all__ = ["ContextEstimates", "Steps"]

_Key = tuple[str | None, str | None]
_STEPS: Final = 50
"""The latest steps count: what fills a context changes with the work."""
_MOST_BYTES: Final = 16 << 20
"""How much of a transcript is read for them, when it is met."""


class Steps(Struct):
    """The characters between the responses of one agent."""

    begun: _Key | None = None
    """The ids of the last response: of its message and of its request."""
    characters: int = 0
    """Written since it began, by whom or whatever."""
    given: int = 0
    """Of these, what was given to the assistant."""
    done: deque[tuple[_Key, _Key, int]] = field(default_factory=lambda: deque(maxlen=_STEPS))
    """From which response to which how many characters were written."""

    def add(self, pieces: Iterable[Piece]) -> None:
        """Take in what came into the context next."""
        for piece in pieces:
            if piece.cause is ContentCause.RESPONSE:
                key = (piece.message_id, piece.request_id)
                if self.begun is not None and self.characters:
                    self.done.append((self.begun, key, self.characters))
                self.begun, self.characters, self.given = key, 0, 0
            elif piece.cause is ContentCause.COMPACTED:
                self.begun = None  # what the last prompt held is gone
            elif self.begun is not None:
                self.characters += piece.characters
                if piece.cause is not ContentCause.ASSISTANT:
                    self.given += piece.characters

    def estimate(self, prompts: dict[_Key, int]) -> int | None:
        """Return what the next prompt holds, given the tokens of *prompts* by ids; None if that cannot be said."""
        if not self.given or self.begun not in prompts:
            return None
        measured = [
            (grown, characters)
            for before, after, characters in self.done
            if before in prompts
            and after in prompts
            and (grown := prompts[after] - prompts[before]) > 0
        ]
        all_of_it = sum(characters for _, characters in measured)
        if not all_of_it:
            return None
        tokens = sum(grown for grown, _ in measured)
        return prompts[self.begun] + tokens * self.characters // all_of_it


class ContextEstimates:
    """The estimates of all agents that write."""

    def __init__(self) -> None:
        """Begin without any."""
        self.estimates: dict[_Key, int] = {}
        """By the ids of session and agent."""
        self._agents: dict[_Key, tuple[Follower, Steps]] = {}

    def follow(self, step: SourceStep, live: IncrementalLedger) -> list[_Key]:
        """Take in what transcripts of *step* say; return the agents whose estimate has changed."""
        written = step.rows.parts.filter(pl.col("bytes") > 0)
        paths = written.select(pl.coalesce(SESSION), "agent_id", "path").unique(maintain_order=True)
        touched: dict[_Key, Steps] = {}
        for session_id, agent_id, path in paths.iter_rows():
            follower, steps = self._agents.setdefault(
                (session_id, agent_id),
                (Follower(session_id, agent_id, most_bytes=_MOST_BYTES), Steps()),
            )
            steps.add(follower.read(path))
            touched[session_id, agent_id] = steps
        if not touched:
            return []
        prompts = _prompts(live, {session for session, _ in touched})
        return [
            key for key, steps in touched.items() if self._set(key, steps.estimate(prompts[key]))
        ]

    def _set(self, key: _Key, tokens: int | None) -> bool:
        before = self.estimates.pop(key, None)
        if tokens is not None:
            self.estimates[key] = tokens
        return tokens is not None and tokens != before


class _Prompts(dict[_Key, dict[_Key, int]]):
    """By agent the tokens of its prompts, by the ids of responses."""

    def __missing__(self, key: _Key) -> dict[_Key, int]:
        return {}


def _prompts(live: IncrementalLedger, sessions: set[str | None]) -> _Prompts:
    found = _Prompts()
    wanted = pl.Series([*sessions], dtype=pl.String)
    rows = live.frame.filter(pl.col("session_id").is_in(wanted.implode(), nulls_equal=True))
    columns = rows.select(*AGENT, "response_id", "request_id", "prompt_tokens")
    for session_id, agent_id, response_id, request_id, tokens in columns.iter_rows():
        found.setdefault((session_id, agent_id), {})[response_id, request_id] = tokens
    return found
