"""Facts and ledger of some roots, and questions about them, for tests of the auditor's reports."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transcripts_builder import facts_of

from tokenaudit import transcripts
from tokenaudit.ledger.frame import Ledger, build
from tokenaudit.ledger.lineage import gather
from tokenaudit.pricing.card import RateCard, shipped_card
from tokenaudit.reports.explain import explain
from tokenaudit.reports.report import Report, Warned
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import Selection
from tokenaudit.reports.subject import find_subject
from tokenaudit.store.facts import Facts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Audited:
    facts: Facts
    ledger: Ledger

    @classmethod
    def of(cls, *roots: Path, card: RateCard | None = None) -> "Audited":
        discovery = transcripts.discover(roots)
        facts = facts_of(discovery)
        return cls(facts, build(facts, card or shipped_card()))

    def explain(self, text: str | None, *, all_rules: bool = False, **chosen: Any) -> Report:
        asked = request(**chosen)
        subject = find_subject(self.ledger, asked, text)
        lineage = gather(self.ledger, subject.rows)
        return explain(self.ledger, asked, subject, lineage, with_all_rules=all_rules)


def request(limit: int | None = None, **chosen: Any) -> Request:
    return Request("test", "0", NOW, Selection(**chosen), Layout(limit=limit))


def rows(report: Report, section: str) -> list[dict[str, Any]]:
    found = next(each for each in report.sections if each.name == section)
    return found.rows.to_dicts()


def warnings(report: Report) -> list[str]:
    return [note for note in report.notes if isinstance(note, Warned)]
