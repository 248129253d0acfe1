"""The public way in: load a ledger, ask it for reports and totals; immutable, so safe in any thread."""

import os
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from tokenaudit import transcripts
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.session_claims import SessionBridge, session_bridges
from tokenaudit.config.settings import find_zone
from tokenaudit.ledger import frame as ledgers
from tokenaudit.model.errors import UsageError
from tokenaudit.model.terms import Intake, Usage
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.reports import registry
from tokenaudit.reports.claimed import CLAIMED, row_of
from tokenaudit.reports.report import Report
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import WEEKDAYS, Selection
from tokenaudit.reports.session import find_session
from tokenaudit.store import facts_without_store
from tokenaudit.store.lazy_frame import replaced

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Agent", "Claimed", "Ledger", "Session", "load"]


class Agent(Struct, frozen=True):
    """An agent of a session, and what it used."""

    agent_id: str
    agent_type: str | None
    description: str | None
    usage: Usage


class Claimed(Struct, frozen=True):
    """What Claude Code says itself that a session used, beside what is counted, in US dollars.

    `claimed_usd` is the sum of all that follows it.
    """

    source: str
    """Where it says so: `cost-state line`, `.claude.json`."""
    scope: str
    """What of the session that is about; `note` says more."""
    stated_usd: Decimal
    """What it says."""
    claimed_usd: Decimal
    """The same, without totals of sessions before it that it goes on from."""
    counted_usd: Decimal
    """What is counted here, of the same responses."""
    unrecorded_usd: Decimal
    """Calls that are on no line of transcripts."""
    lost_output_usd: Decimal
    """Output that no line tells."""
    price_difference_usd: Decimal
    scope_difference_usd: Decimal
    unexplained_usd: Decimal
    note: str | None


class Session(Struct, frozen=True):
    """A session: its facts, and the sum of what its agents used."""

    session_id: str
    project: str
    title: str | None
    start: datetime | None
    end: datetime | None
    forked_from: str | None
    branches: tuple[str, ...]
    versions: tuple[str, ...]
    usage: Usage
    agents: tuple[Agent, ...]
    claimed: Claimed | None = None
    """What Claude Code says itself; None where it says nothing."""


class Ledger:
    """All that was used, each response once, priced; see `frame` for the facts.

    Made by `load`. Nothing in it ever changes.
    """

    def __init__(self, ledger: ledgers.Ledger, selection: Selection, version: str) -> None:
        """Wrap a built *ledger*; users call `load`."""
        self._ledger = ledger
        self._selection = selection
        self._version = version

    @property
    def frame(self) -> "pl.DataFrame":
        """One row per response; its columns are documented in `tokenaudit.ledger.frame.SCHEMA`."""
        return self._ledger.frame.clone()

    @property
    def refused(self) -> "pl.DataFrame":
        """Attempts that were refused before a fallback: in no total."""
        return self._ledger.refused.clone()

    @property
    def sessions(self) -> "pl.DataFrame":
        """One row per session: its facts, without usage."""
        return self._ledger.sessions.clone()

    @property
    def agents(self) -> "pl.DataFrame":
        """One row per agent: its facts, without usage."""
        return self._ledger.agents.clone()

    @property
    def compactions(self) -> "pl.DataFrame":
        """One row per compaction of a context."""
        return self._ledger.compactions.clone()

    @property
    def rejects(self) -> "pl.DataFrame":
        """What could not be read: path, line and reason."""
        return self._ledger.rejects.clone()

    @property
    def intake(self) -> Intake:
        """What was read, in numbers."""
        return deepcopy(self._ledger.intake)

    @property
    def pricing(self) -> Mapping[str, Any]:
        """The basis of all costs: rate card, digest, last day of checking."""
        return dict(self._ledger.pricing)

    def totals(self) -> Usage:
        """Return the usage of everything: tokens by class, cost, responses, first and last time."""
        return ledgers.totals(self.frame)

    def session(self, session_id: str) -> Session:
        """Return the session whose id is, or uniquely begins with, *session_id*.

        Raises UsageError, naming candidates, when there is none or more than one.
        """
        import polars as pl

        session_id = find_session(self._ledger, session_id)
        facts = self.sessions.row(by_predicate=pl.col("session_id") == session_id, named=True)
        rows = self.frame.filter(pl.col("session_id") == session_id)
        agents = self.agents.filter(pl.col("session_id") == session_id)
        facts.pop("transcripts")
        return Session(
            **{**facts, "branches": tuple(facts["branches"]), "versions": tuple(facts["versions"])},
            usage=ledgers.totals(rows),
            agents=tuple(
                Agent(
                    agent_id=agent["agent_id"],
                    agent_type=agent["agent_type"],
                    description=agent["description"],
                    usage=ledgers.totals(rows.filter(pl.col("agent_id") == agent["agent_id"])),
                )
                for agent in agents.iter_rows(named=True)
            ),
            claimed=self._claims({session_id}).get(session_id),
        )

    def claims(self) -> Mapping[str, Claimed]:
        """Return what Claude Code says itself of sessions, by session id, of those of which it does."""
        return self._claims(None)

    def _claims(self, only: Collection[str] | None) -> dict[str, Claimed]:
        now = datetime.now(UTC)
        evidence = Evidence(self._ledger.facts, self._ledger, self._ledger.frame, now)
        return {
            found.claim.session_id: _claimed(found) for found in session_bridges(evidence, only)
        }

    def report(
        self,
        name: str,
        *,
        since: date | None = None,
        until: date | None = None,
        projects: Sequence[str] = (),
        models: Sequence[str] = (),
        sessions: Sequence[str] = (),
        agents: Sequence[str] = (),
        branches: Sequence[str] = (),
        shape: Layout | None = None,
        now: datetime | None = None,
    ) -> Report:
        """Return the report called *name*: `daily`, `sessions`, `project,model` and all the others.

        Days are cut in the ledger's zone, and both ends are included; the others are globs. *now*
        decides what the overview calls today. Raises UsageError for a name that is not known.
        """
        selection = Selection(
            timezone=self._selection.timezone,
            start_of_week=self._selection.start_of_week,
            since=since,
            until=until,
            projects=tuple(projects),
            models=tuple(models),
            sessions=tuple(sessions),
            agents=tuple(agents),
            branches=tuple(branches),
        )
        request = Request(
            name, self._version, now or datetime.now(UTC), selection, shape or Layout()
        )
        ledger = replaced(self._ledger, intake=self.intake, pricing=self.pricing)
        return registry.answer(ledger, request, name)

    def to_report(self, now: datetime | None = None) -> dict[str, Any]:
        """Return everything as one JSON-ready object; *now* is what it calls `generated_at`.

        `{generated_at, timezone, summary, sessions: [{..., usage, claimed, responses: [...]}], rates, intake,
        pricing}`: money as decimal texts, times in UTC, so that nothing is rounded on the way.
        """
        return {
            "generated_at": _plain(now or datetime.now(UTC)),
            "timezone": self._selection.timezone,
            "summary": _usage(self.totals()),
            "sessions": self._session_objects(),
            "rates": self._rates_used(),
            "intake": _plain_row(_fields(self.intake)),
            "pricing": dict(self.pricing),
        }

    def _session_objects(self) -> list[dict[str, Any]]:
        rows = self.frame.partition_by("session_id", as_dict=True)
        claims = self.claims()
        objects = []
        for facts in self.sessions.iter_rows(named=True):
            own = rows.get((facts["session_id"],), self.frame.clear())
            responses = [_plain_row(row) for row in own.iter_rows(named=True)]
            claimed = claims.get(facts["session_id"])
            objects.append(
                {
                    **_plain_row(facts),
                    "usage": _usage(ledgers.totals(own)),
                    "claimed": None if claimed is None else _plain_row(asdict(claimed)),
                    "responses": responses,
                }
            )
        return objects

    def _rates_used(self) -> list[dict[str, Any]]:
        used = set(self.frame["rate_id"].drop_nulls())
        return [
            {
                "rate_id": rate.id,
                "model": rate.model,
                "speed": rate.speed,
                "valid_from": rate.valid_from.isoformat(),
                "usd_per_million_tokens": {
                    name: _plain(getattr(rate.prices, name) * 1_000_000)
                    for name in (
                        "input",
                        "output",
                        "cache_read",
                        "cache_write_5m",
                        "cache_write_1h",
                    )
                },
                "source": rate.source,
                "confidence": rate.confidence,
            }
            for rate in self._ledger.card.rates
            if rate.id in used
        ]


def load(
    *roots: str | os.PathLike[str],
    demo: bool = False,
    timezone: str = "UTC",
    start_of_week: str = "monday",
    jobs: int = 1,
    rates: str | os.PathLike[str] | None = None,
    as_model: str | None = None,
) -> Ledger:
    """Read all transcripts below *roots* and return the ledger.

    Without roots, those of Claude Code are read (`CLAUDE_CONFIG_DIR`, `~/.claude`); with *demo*, the
    sample that comes with the package. Days in reports are cut in *timezone*, an IANA name. With
    *jobs* above 1 a large history is read in processes; a script that asks for that must be
    importable (`if __name__ == "__main__":`). *rates* names a file of your own rates, and with
    *as_model* everything is priced as if that model had answered. Raises NoTranscriptsError when there is nothing to
    read, and UsageError for a zone, a weekday or a model that does not exist, ConfigError
    for rates that cannot be used.
    """
    from tokenaudit import __version__

    selection = _selection(timezone, start_of_week)
    named = [transcripts.DEMO] if demo else [Path(root) for root in roots]
    paths = named or transcripts.default_roots(os.environ, Path.home())
    discovery = transcripts.discover(paths, must_exist=bool(named))
    card = rates_in_force(rates=Path(rates) if rates else None, as_model=as_model)
    readings = transcripts.read(transcripts.extents_of(discovery.transcripts), jobs=jobs)
    built = ledgers.build(facts_without_store(discovery, readings), card)
    return Ledger(built, selection, __version__)


def _selection(timezone: str, start_of_week: str) -> Selection:
    if find_zone(timezone) is None:
        raise UsageError(
            f"no such time zone: {timezone}", hint="Zones have names such as Europe/Berlin."
        )
    if start_of_week not in WEEKDAYS:
        raise UsageError(
            f"not a day of the week: {start_of_week}", hint=f"There are: {', '.join(WEEKDAYS)}."
        )
    return Selection(timezone=timezone, start_of_week=start_of_week)


def _claimed(found: SessionBridge) -> Claimed:
    names = (column.name for column in CLAIMED)
    row = dict(zip(names, row_of(found, None), strict=True))
    return Claimed(**{name: row[name] for name in Claimed.__struct_fields__})


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        **_plain_row(_fields(usage)),
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "total_tokens": usage.total_tokens,
    }


def _fields(value: Usage | Intake) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__struct_fields__}


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """Return *value* as JSON can hold it without loss."""
    if isinstance(value, Decimal):
        text = f"{value:f}"  # normalize() would round to the context's 28 digits
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value
