"""The families of findings: the one list to which a new family is added."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tokenaudit.audit.check.assertions import Rule, broken
from tokenaudit.audit.check.claimed import claimed
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.check.finding import Finding
from tokenaudit.audit.check.history import history
from tokenaudit.audit.check.identity import identity
from tokenaudit.audit.check.missing import missing
from tokenaudit.audit.check.output import output
from tokenaudit.audit.check.prices import prices
from tokenaudit.audit.check.reading import reading
from tokenaudit.audit.check.requests import requests

__all__ = ["FAMILIES", "findings"]

FAMILIES: Final[Sequence[Callable[[Evidence], Iterator[Finding]]]] = (
    reading,
    output,
    prices,
    identity,
    missing,
    requests,
    history,
    claimed,
)
"""Each draws its findings from the evidence, in the order in which they are worth telling."""


def findings(evidence: Evidence, rules: Sequence[Rule] = ()) -> list[Finding]:
    """Return all findings of *evidence*, and those of the user's *rules*, the gravest first."""
    found = [finding for family in FAMILIES for finding in family(evidence)]
    found += broken(evidence, rules)
    return sorted(found, key=lambda finding: finding.severity.rank)
