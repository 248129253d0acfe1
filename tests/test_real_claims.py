"""Real totals of Claude Code's own, as a `.claude.json` beside the root would state them.

The data is no part of the project: it is looked for where TOKENAUDIT_CLAIMS_DATA says, else in the
folder that lies beside the checkout, and these tests are skipped where it is absent.
"""

import dataclasses
import json
import os
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from evidence import evidence

from tokenaudit.audit.reconcile.bridge import Cause, Coverage
from tokenaudit.audit.reconcile.session_claims import SessionBridge, session_bridges
from tokenaudit.transcripts import SessionTotal, model_total
from tokenaudit.transcripts.totals import TotalSource

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "claims"
CLAIMS = Path(os.environ.get("TOKENAUDIT_CLAIMS_DATA", BESIDE))
ROOTS: Final = sorted(path.parent for path in CLAIMS.glob("*/root"))

pytestmark = pytest.mark.skipif(not ROOTS, reason="the real claims are not here")


def documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("claims/*.json"))]


def stated(document: dict[str, Any]) -> SessionTotal:
    models = tuple(model_total(*each) for each in document.get("modelUsage", {}).items())
    return SessionTotal(
        None,
        document["session_id"],
        None,
        None,
        str(document.get("total_cost_usd", document.get("total_cost"))),
        models,
        "claims",
        TotalSource.GLOBAL_CONFIG,
    )


@cache
def bridges(folder: Path) -> list[SessionBridge]:
    held = evidence(folder / "root")
    totals = [stated(document) for document in documents(folder)]
    return session_bridges(dataclasses.replace(held, facts=held.facts.with_totals(totals)))


@pytest.mark.parametrize("folder", ROOTS, ids=lambda path: path.name)
def test_every_bridge_sums_exactly_by_cause(folder: Path) -> None:
    """One for each session of which something is said; ours is of responses that are there once."""
    wanted = {document["session_id"] for document in documents(folder)}
    assert wanted == {one.claim.session_id for one in bridges(folder)}
    for one in bridges(folder):
        parts = [one.difference_usd({cause}) or Decimal(0) for cause in Cause]
        assert one.bridge.theirs.cost_usd == (one.bridge.ours.cost_usd or Decimal(0)) + sum(parts)
        places = one.claim.rows.select("response_id", "source_path", "source_line")
        assert places.is_unique().all()


EXPLAINED: Final = 68
"""Within 1 %, of those whose scope is told."""


def test_no_fewer_are_explained_than_were() -> None:
    """By named steps, to 1 % of what Claude Code says."""
    told = [
        one for folder in ROOTS for one in bridges(folder) if one.coverage is not Coverage.UNKNOWN
    ]
    assert sum(not one.is_unexplained for one in told) >= EXPLAINED
