"""Tells what a watch sees as events: of each change what is new, of the whole a snapshot.

Figures come from the reports' own functions over the live ledger, so that they are those of the
reports. The time is an argument. What has been said once, a budget or a full context, is remembered
here, and said again only after it has been otherwise.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl
from msgspec.structs import fields, replace

from tokenaudit import __version__
from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import TOKENS
from tokenaudit.live import events as ev
from tokenaudit.live.events import Event, Figures
from tokenaudit.live.incremental_ledger import AGENT, IncrementalLedger, LedgerChange
from tokenaudit.live.sources import SourceStep
from tokenaudit.reports.blocks import active_pace, with_blocks
from tokenaudit.reports.budgets import standing
from tokenaudit.reports.context import NEAR_LIMIT, gauges
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import select

__all__ = ["Estimates", "EventBuilder", "Key", "tokens_by_minute"]

Key = tuple[str | None, str | None]
"""The ids of a session and of an agent of it."""

Estimates = Mapping[Key, int]
"""By agent, the tokens that its next prompt is estimated to hold."""

_SHOWN_AGENTS: Final = 20
_WITHIN: Final = "within"
_MINUTE_US: Final = 60 * 10**6


class EventBuilder:
    """What is asked of a watch, and what of it has been said."""

    def __init__(self, request: Request, *, near_limit: float, watching: str) -> None:
        """Tell of what *request* selects; its time is not looked at."""
        self._question = request
        self._near_limit = near_limit
        self.watching = watching
        self._near: set[Key] = set()
        self._states: dict[tuple[str, str | None], str] = {}

    # all that is shown

    def snapshot(
        self,
        live: IncrementalLedger,
        now: datetime,
        *,
        transcripts: int,
        estimates: Estimates | None = None,
    ) -> ev.Snapshot:
        """Return all that is shown at *now*."""
        selection = self._question.selection
        day = now.astimezone(ZoneInfo(selection.timezone)).date()
        chosen = select(live.frame, selection)
        return ev.Snapshot(
            format=ev.FORMAT,
            version=__version__,
            time=now,
            watching=self.watching,
            transcripts=transcripts,
            timezone=selection.timezone,
            filters=selection.filters(),
            totals=_summed(chosen),
            day=day,
            today=_summed(chosen.filter(pl.col("day") == day)),
            block=self._block(live, now),
            agents=self._latest(live, estimates or {}),
            budgets=[*self._standing(live, now)],
        )

    def _block(self, live: IncrementalLedger, now: datetime) -> ev.BlockState | None:
        recent = with_blocks(live.frame).filter(pl.col("block") > now - timedelta(hours=5))
        pace = active_pace(select(recent, self._question.selection).collect(), now)
        if pace is None:
            return None
        return ev.BlockState(
            start=pace.start,
            end=pace.end,
            remaining_s=pace.remaining_s,
            usage=ev.figures(pace.usage),
            tokens_per_minute=pace.tokens_per_minute,
            cost_usd_per_hour=pace.cost_usd_per_hour,
            projected_tokens=pace.projected_tokens,
            projected_cost_usd=pace.projected_cost_usd,
        )

    def _latest(self, live: IncrementalLedger, estimates: Estimates) -> list[ev.AgentState]:
        """Return the agents that were active last, the latest first."""
        chosen = select(live.frame, self._question.selection).select(*AGENT, "time")
        latest = (
            chosen.group_by(AGENT)
            .agg(pl.col("time").max())
            .sort("time", *AGENT, descending=[True, False, False], nulls_last=True)
            .head(_SHOWN_AGENTS)
            .collect()
        )
        states = self._agents(live, latest.select(AGENT), estimates)
        return [states[key] for key in latest.select(AGENT).iter_rows() if key in states]

    def _standing(self, live: IncrementalLedger, now: datetime) -> Iterator[ev.BudgetState]:
        section = standing(live.ledger, replace(self._question, now=now))
        if section is not None:
            names = [each.name for each in fields(ev.BudgetState)]
            for row in section.rows.select(names).iter_rows(named=True):
                yield ev.BudgetState(**row)

    # what has changed

    def events(
        self,
        live: IncrementalLedger,
        change: LedgerChange,
        step: SourceStep | None,
        now: datetime,
        *,
        estimates: Estimates | None = None,
    ) -> list[Event]:
        """Return what is to be told of *change*, which *step* made to *live*."""
        used = select(change.responses, self._question.selection).collect()
        keys = used.select(AGENT).unique(maintain_order=True)
        states = self._agents(live, keys, estimates or {})
        return [
            *(ev.Rewritten(fate.path, fate.fate) for fate in (step.fates if step else ())),
            *(ev.Rejected(**row) for row in change.rejects.iter_rows(named=True)),
            *self._started(live, change.agents),
            *_compacted(self._chosen(live, change.compactions)),
            *(_used(row, states) for row in used.iter_rows(named=True)),
            *self._filled(states, now),
        ]

    def estimated(
        self, live: IncrementalLedger, keys: Sequence[Key], estimates: Estimates
    ) -> Iterator[ev.Estimated]:
        """Yield the *estimates* of the agents *keys*, as far as the filters leave them."""
        schema = {"session_id": pl.String, "agent_id": pl.String}
        frame = pl.DataFrame([*keys], schema, orient="row")
        for key, state in self._agents(live, frame, estimates).items():
            yield ev.Estimated(*key, context=state.context)

    def budget_events(self, live: IncrementalLedger, now: datetime) -> list[Event]:
        """Return the budgets that have come near their end, or beyond, since they were looked at last."""
        return self._crossed(self._standing(live, now), now)

    def know(self, snapshot: ev.Snapshot) -> list[Event]:
        """Take what *snapshot* shows as the beginning, and return what is to be told at once."""
        states = {(each.session_id, each.agent_id): each for each in snapshot.agents}
        full = (key for key, each in states.items() if each.context.state == NEAR_LIMIT)
        self._near.update(full)
        return self._crossed(snapshot.budgets, snapshot.time)

    def _crossed(self, found: Iterable[ev.BudgetState], now: datetime) -> list[Event]:
        told: list[Event] = []
        for each in found:
            name = (each.budget, each.project)
            if each.state not in {_WITHIN, self._states.get(name, _WITHIN)}:
                told.append(ev.BudgetEvent(now, each))
            self._states[name] = each.state
        return told

    def _started(self, live: IncrementalLedger, agents: pl.DataFrame) -> Iterator[ev.AgentStarted]:
        for row in self._chosen(live, agents).iter_rows(named=True):
            title, project = live.sessions.get(row["session_id"], (None, None))
            yield ev.AgentStarted(
                time=row["start"],
                session_id=row["session_id"],
                agent_id=row["agent_id"],
                agent_type=row["agent_type"],
                description=row["description"],
                title=title,
                project=project,
            )

    def _chosen(self, live: IncrementalLedger, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those of *rows*, each about an agent, that the filters on these leave.

        A model or a branch they do not have. Their time is their own, or when the agent was seen last.
        """
        mine = self._question.selection
        if rows.is_empty() or not (mine.since or mine.sessions or mine.agents or mine.projects):
            return rows
        projects = [live.sessions.get(each, (None, None))[1] for each in rows["session_id"]]
        named = rows.with_columns(pl.Series("project", projects, dtype=pl.String))
        if "time" not in rows.columns:
            named = named.with_columns(time="end")
        if "agent_type" not in rows.columns:
            named = named.with_columns(agent_type=pl.lit(None, pl.String))
        narrowed = replace(mine, until=None, models=(), branches=())
        return select(named, narrowed).select(rows.columns).collect()

    def _filled(self, states: Mapping[Key, ev.AgentState], now: datetime) -> Iterator[ev.NearLimit]:
        for key, state in states.items():
            is_near = state.context.state == NEAR_LIMIT
            if is_near and key not in self._near:
                yield ev.NearLimit(
                    now, *key, title=state.title, project=state.project, context=state.context
                )
            (self._near.add if is_near else self._near.discard)(key)

    # agents

    def _agents(
        self, live: IncrementalLedger, keys: pl.DataFrame, estimates: Estimates
    ) -> dict[Key, ev.AgentState]:
        """Return what is told of the agents *keys*."""
        if keys.is_empty():
            return {}
        known = live.ledger
        sessions = keys.select("session_id").unique()
        same = {"on": "session_id", "how": "semi", "nulls_equal": True}
        near = dataclasses.replace(
            known,
            frame=known.frame.join(sessions, **same),  # type: ignore[arg-type]
            agents=known.agents.join(sessions, **same),  # type: ignore[arg-type]
            compactions=known.compactions.join(sessions, **same),  # type: ignore[arg-type]
        )
        shown = gauges(near, near_limit=self._near_limit).join(
            keys, on=AGENT, how="semi", nulls_equal=True
        )
        chosen = select(near.frame, self._question.selection)
        sums = chosen.group_by(AGENT).agg(
            *ledgers.measures(), pl.col("project").drop_nulls().last()
        )
        totals = {
            (row.pop("session_id"), row.pop("agent_id")): row
            for row in sums.collect().iter_rows(named=True)
        }
        return {
            key: _state(row, totals[key], live, estimates.get(key))
            for row in shown.iter_rows(named=True)
            if (key := (row["session_id"], row["agent_id"])) in totals
        }


def _state(
    row: Mapping[str, Any], totals: dict[str, Any], live: IncrementalLedger, estimated: int | None
) -> ev.AgentState:
    title, of_session = live.sessions.get(row["session_id"], (None, None))
    project = totals.pop("project")
    return ev.AgentState(
        session_id=row["session_id"],
        agent_id=row["agent_id"],
        agent_type=row["agent_type"],
        title=title,
        project=project or of_session,
        model=row["model"],
        last_time=row["last_time"],
        usage=Figures(**totals),
        context=ev.Gauge(
            prompt_tokens=row["prompt_tokens"],
            window_tokens=row["window_tokens"],
            window_basis=row["window_basis"],
            used_percent=row["used_percent"],
            state=row["state"],
            estimated_tokens=estimated,
        ),
    )


def _used(row: Mapping[str, Any], states: Mapping[Key, ev.AgentState]) -> ev.Used:
    agent = states[row["session_id"], row["agent_id"]]
    counts = {name: row[name] for name in (*TOKENS, "total_tokens", "cost_usd")}
    same = (
        *("time", "is_new", "response_id", "request_id", "kind", *AGENT, "agent_type", "project"),
        *("model", "quality"),
    )
    return ev.Used(
        **{name: row[name] for name in same},
        usage=Figures(responses=1, unpriced_responses=int(row["cost_usd"] is None), **counts),
        agent=agent.usage,
        context=agent.context,
    )


def _compacted(rows: pl.DataFrame) -> Iterator[ev.CompactionEvent]:
    for row in rows.iter_rows(named=True):
        yield ev.CompactionEvent(**row)


def _summed(rows: pl.LazyFrame) -> Figures:
    return Figures(**rows.select(*ledgers.measures()).collect().row(0, named=True))


def tokens_by_minute(
    live: IncrementalLedger, request: Request, now: datetime, *, minutes: int
) -> Sequence[int]:
    """Return how many tokens were used in each of the last *minutes*, the last one being *now*'s."""
    first = now - timedelta(minutes=minutes)
    recent = live.frame.filter((pl.col("time") > first) & (pl.col("time") <= now))
    last = int(now.timestamp()) // 60
    at = pl.col("time").dt.timestamp("us").floordiv(_MINUTE_US) - (last - minutes + 1)
    sums = (
        select(recent, request.selection)
        .group_by(at.alias("minute"))
        .agg(pl.col("total_tokens").sum())
    )
    found = [0] * minutes
    for minute, tokens in sums.collect().iter_rows():
        if 0 <= minute < minutes:
            found[minute] = tokens
    return found
