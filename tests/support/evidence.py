"""What findings and bridges are drawn from, out of transcripts that a test wrote."""

from datetime import UTC, datetime
from pathlib import Path

from transcripts_builder import facts_of

from tokenaudit import transcripts
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.ledger import frame as ledgers
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.reports.selection import Selection, select

NOW = datetime(2026, 3, 3, tzinfo=UTC)


def evidence(*roots: Path, now: datetime = NOW) -> Evidence:
    discovery = transcripts.discover(roots)
    facts = facts_of(discovery)
    ledger = ledgers.build(facts, rates_in_force())
    return Evidence(facts, ledger, select(ledger.frame, Selection()).collect(), now)
