"""The families of findings: the one list to which a new family is added."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tokenaudit.audit.evidence import Evidence
from tokenaudit.audit.finding import Finding
from tokenaudit.audit.history import history
from tokenaudit.audit.identity import identity
from tokenaudit.audit.missing import missing
from tokenaudit.audit.output import output
from tokenaudit.audit.prices import prices
from tokenaudit.audit.reading import reading
from tokenaudit.audit.rules import Rule, broken

__all__ = ["FAMILIES", "findings"]

FAMILIES: Final[Sequence[Callable[[Evidence], Iterator[Finding]]]] = (
    reading,
    output,
    prices,
    identity,
    missing,
    history,
)
"""Each draws its findings from the evidence, in the order in which they are worth telling."""


def findings(evidence: Evidence, rules: Sequence[Rule] = ()) -> list[Finding]:
    """Return all findings of *evidence*, and those of the user's *rules*, the gravest first."""
    found = [finding for family in FAMILIES for finding in family(evidence)]
    found += broken(evidence, rules)
    return sorted(found, key=lambda finding: finding.severity.rank)
