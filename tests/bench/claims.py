"""How much of what Claude Code says of sessions is explained: shares by regime of its versions.

Reads every `claims/*.json` below a folder that has a `root` beside it: sessions whose total Claude
Code itself stated. Prints no text of any session.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from tokenaudit import transcripts
from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import Bridge, Coverage
from tokenaudit.audit.reconcile.claims import read_claims
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.ledger import frame as ledgers
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.reports.reconcile import chooser
from tokenaudit.reports.selection import Selection, select
from tokenaudit.store import facts_without_store
from tokenaudit.transcripts import extents_of, read

NEAR: Final = Decimal("0.01")
FAR: Final = Decimal("0.05")
DEFAULT: Final = Path("../shared/data/claims")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")
REGIMES: Final = (
    ("1.0", (0, 0, 0)),
    ("2.0.0 to 2.1.7", (2, 0, 0)),
    ("2.1.8 to 2.1.29", (2, 1, 8)),
    ("2.1.30 to 2.1.58", (2, 1, 30)),
    ("2.1.59 to 2.1.96", (2, 1, 59)),
    ("2.1.97 and later", (2, 1, 97)),
)
"""How Claude Code writes output counts, by the first version of each."""
_FINAL: Final = (2, 1, 59)


@dataclass(frozen=True)
class Told:
    """One claim and how far its bridge goes."""

    where: str
    version: tuple[int, int, int]
    coverage: Coverage
    has_main: bool
    cost_usd: Decimal
    share: Decimal
    """Of its dollars, what is unexplained."""

    @property
    def is_told(self) -> bool:
        """Whether what it is about is told, and is here."""
        return self.coverage is not Coverage.UNKNOWN


@dataclass(frozen=True)
class Row:
    """Shares of the claims of some versions."""

    versions: str
    claims: int
    whole: int
    """Claims that are about the session as it stands."""
    whole_near: int
    """Of these, those with at most 1 % unexplained."""
    scope_told: int
    """These, and those whose part or whose sessions before are told."""
    near: int
    """Of these, those with at most 1 % unexplained."""
    far: int
    """Of the same, those with more than 5 % unexplained."""


def told(folder: Path) -> Iterator[Told]:
    """Yield every claim below *folder* with what its bridge leaves unexplained."""
    for root in sorted(folder.rglob("root")):
        files = sorted((root.parent / "claims").glob("*.json"))
        if files:
            evidence = _evidence(root)
            for file in files:
                yield from _of_file(file, evidence, str(file.relative_to(folder)))


def _evidence(root: Path) -> Evidence:
    discovery = transcripts.discover([root])
    facts = facts_without_store(discovery, read(extents_of(discovery.transcripts)))
    ledger = ledgers.build(facts, rates_in_force())
    rows = select(ledger.frame, Selection()).collect()
    return Evidence(facts, ledger, rows, datetime.now(UTC))


def _of_file(file: Path, evidence: Evidence, where: str) -> Iterator[Told]:
    for claim in read_claims(file)[0]:
        rows = evidence.rows.filter(evidence.rows["session_id"].is_in(list(claim.sessions)))
        if rows.is_empty() or not claim.cost_usd:
            continue
        bridge = reconciled(claim, evidence, chooser(evidence.ledger))
        yield Told(
            where,
            _version(rows["version"].drop_nulls()),
            bridge.coverage,
            bool((rows["agent_id"] == "main").any()),
            claim.cost_usd,
            _share(bridge, claim.cost_usd),
        )


def _share(bridge: Bridge, cost: Decimal) -> Decimal:
    return abs(bridge.unexplained.cost_usd or Decimal(0)) / cost


def _version(versions: Iterable[str]) -> tuple[int, int, int]:
    found = [match for each in versions if (match := _VERSION.match(each))]
    known = [(int(each[1]), int(each[2]), int(each[3])) for each in found]
    return max(known, default=(0, 0, 0))


def rows_of(claims: Sequence[Told]) -> list[Row]:
    """Return a row per regime, then those of 2.1.59 and later, then all."""
    ends = [first for _, first in REGIMES[1:]] + [(99, 0, 0)]
    by_regime = [
        _row(name, [each for each in claims if first <= each.version < end])
        for (name, first), end in zip(REGIMES, ends, strict=True)
    ]
    late = [each for each in claims if each.version >= _FINAL]
    return [*by_regime, _row("2.1.59 and later", late), _row("all", claims)]


def _row(name: str, claims: Sequence[Told]) -> Row:
    scoped = [each for each in claims if each.is_told]
    whole = [each for each in claims if each.coverage is Coverage.WHOLE]
    far = sum(each.share > FAR for each in scoped)
    return Row(name, len(claims), len(whole), _near(whole), len(scoped), _near(scoped), far)


def _near(claims: Sequence[Told]) -> int:
    return sum(each.share <= NEAR for each in claims)


def _table(rows: Sequence[Row], claims: Sequence[Told]) -> Iterator[str]:
    yield f"{'':<18} {'':>6}  {'whole sessions':^16}   {'scope told':^16}"
    yield f"{'versions':<18} {'claims':>6}  {'all':>4} {'<=1%':>5} {'':>5}   {'all':>4} {'<=1%':>5} {'':>5}  {'of all':>6} {'>5%':>4}"
    for row in filter(lambda row: row.claims, rows):
        whole = f"{row.whole:>4} {row.whole_near:>5} {_percent(row.whole_near, row.whole):>5}"
        scoped = f"{row.scope_told:>4} {row.near:>5} {_percent(row.near, row.scope_told):>5}"
        of_all = _percent(row.near, row.claims)
        yield f"{row.versions:<18} {row.claims:>6}  {whole}   {scoped}  {of_all:>6} {row.far:>4}"
    yield ""
    for kind in Coverage:
        number = sum(each.coverage is kind for each in claims)
        yield f"{number:>4}  {kind.value}"
    gone = sum(not each.has_main for each in claims if not each.is_told)
    yield f"      ({gone} of those not told have no transcript of their main agent)"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else ""


def _beyond(claims: Sequence[Told]) -> Iterator[str]:
    yield "\nUnexplained, more than 1%:"
    for each in claims:
        if each.share > NEAR:
            version = ".".join(map(str, each.version))
            yield f"{each.share:>8.1%}  ${each.cost_usd:<8.2f} {version:<8} {each.where}  {each.coverage.value}"


def main() -> int:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="name the claims beyond 1%%")
    options = parser.parse_args()
    claims = list(told(options.folder))
    if not claims:
        print(
            f"claims.py: no claims with a root beside them below {options.folder}", file=sys.stderr
        )
        return 2
    rows = rows_of(claims)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    print(*_table(rows, claims), sep="\n")
    if options.list:
        print(*_beyond(claims), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
