"""What findings are drawn from: the facts as read, the ledger, the chosen responses, the traces."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import polars as pl

from tokenaudit.audit.check.finding import Place
from tokenaudit.ledger.frame import Ledger
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts import traces as reading

__all__ = ["Evidence", "at_stake", "dollars", "place_of", "whole"]

TRACES: Final[Mapping[str, Any]] = {
    "path": pl.String,
    "line": pl.Int64,
    "uuid": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "kind": pl.String,
    "agent_id": pl.String,
    "calls": pl.Int64,
    "tokens": pl.Int64,
}


@dataclass(frozen=True)
class Evidence:
    """All that an audit looks at."""

    facts: Facts
    ledger: Ledger
    rows: pl.DataFrame
    """The responses of the ledger that were asked for; all columns of `ledger.SCHEMA`, and `day`."""
    now: datetime
    zone: str = "UTC"
    """In which days are cut."""

    @cached_property
    def traces(self) -> pl.DataFrame:
        """What transcripts mention beside usage, each once, with the session: see `TRACES`.

        Of the sessions that were asked for, where some were.
        """
        known = self.facts.transcripts.select("path", "session_id")
        if self.is_filtered:
            known = known.join(self.rows.select("session_id").unique(), on="session_id")
        columns = reading.traces(known["path"].sort())
        return (
            pl.DataFrame(columns, TRACES)
            .with_columns(
                same=pl.coalesce("uuid", pl.format("{} {}", "path", "line")),
            )
            .unique(["kind", "same"], keep="first", maintain_order=True)
            .drop("same")
            .join(known, on="path", maintain_order="left")
        )

    @property
    def is_filtered(self) -> bool:
        """Whether only some of the responses were asked for."""
        return self.rows.height < self.ledger.frame.height

    @cached_property
    def copies(self) -> pl.DataFrame:
        """The records whose response another record gives, with that response's tokens and cost.

        One of each transcript and agent: a response whose lines were read in two goes, or stand in a
        former content of the transcript too, is no copy of itself. Columns of the record: `path, line,
        session_id, agent_id, root, is_sidechain`; of the response: `owner_path, owner_session,
        owner_agent, total_tokens, cost_usd`.
        """
        own = self.facts.transcripts.select("path", "session_id", "root", owner_of_file="agent_id")
        records = (
            self.facts.records.filter(pl.col("message_id").is_not_null() & ~pl.col("is_progress"))
            .select("path", "record", "line", "agent_id", "is_sidechain")
            .join(own, on="path")
        )
        response = ("message_id", "request_id", "owner_path", "owner_line")
        owners = self.rows.filter(pl.col("kind") == "message").select(
            "total_tokens",
            "cost_usd",
            message_id="response_id",
            request_id="request_id",
            owner_session="session_id",
            owner_agent="agent_id",
            owner_path="source_path",
            owner_line="source_line",
        )
        members = self.ledger.members.rename(
            {"id": "message_id", "source_path": "owner_path", "source_line": "owner_line"}
        ).drop("is_owner")
        owned = members.join(owners, on=response, nulls_equal=True)
        is_said_again = pl.len().over(response) > 1
        return (
            records.join(owned, on=["path", "record"])
            .filter(is_said_again)
            .sort("path", "line")
            .unique([*response, "path", "agent_id"], keep="first", maintain_order=True)
            .filter(is_said_again)
        )


def at_stake(rows: pl.DataFrame) -> tuple[int, int, Decimal | None]:
    """Return how many *rows* of a ledger there are, their tokens, and their cost if any has one."""
    count, tokens, cost, priced = rows.select(
        pl.len(),
        pl.col("total_tokens").cast(pl.Int128).sum(),
        cost=pl.col("cost_usd").sum(),
        priced=pl.col("cost_usd").count(),
    ).row(0)
    return count, tokens, cost if priced else None


def place_of(
    rows: pl.DataFrame, path: str = "source_path", line: str | None = "source_line"
) -> Place | None:
    """Return where the first of *rows* stands; None where there is none."""
    if rows.is_empty():
        return None
    first: dict[str, Any] = rows.row(0, named=True)
    return Place(first[path], None if line is None else first[line])


def whole(frame: pl.DataFrame, column: str) -> int:
    """Return the sum of a *column* of counts, in 128 bits: 64 would wrap around in silence."""
    return int(frame.select(pl.col(column).cast(pl.Int128).sum()).item())


def dollars(frame: pl.DataFrame, column: str) -> Decimal | None:
    """Return the sum of a *column* of dollars; None where none of its rows is priced."""
    found, count = frame.select(pl.col(column).sum(), count=pl.col(column).count()).row(0)
    return found if count else None
