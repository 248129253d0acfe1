"""The command of the shares by regime, over a small tree made here."""

import json
from decimal import Decimal
from pathlib import Path

from claims import Told, rows_of, told
from transcripts_builder import SESSION, reply, session_file, write

from tokenaudit.audit.reconcile.bridge import Coverage


def one(version: tuple[int, int, int], share: str, coverage: Coverage = Coverage.WHOLE) -> Told:
    return Told("x", version, coverage, has_main=True, cost_usd=Decimal(1), share=Decimal(share))


def test_shares_are_of_claims_whose_scope_is_told() -> None:
    """Four claims of 2.1.97 and later: one within 1 %, one beyond 5 %, one at 2 %, one not told."""
    claims = [
        one((2, 1, 97), "0.01"),
        one((2, 1, 231), "0.051"),
        one((2, 1, 100), "0.02"),
        one((2, 1, 100), "0", Coverage.UNKNOWN),
        one((2, 1, 96), "0"),
        one((1, 0, 89), "0.5"),
    ]
    rows = {row.versions: row for row in rows_of(claims)}

    late = rows["2.1.97 and later"]
    assert (late.claims, late.scope_told, late.near, late.far) == (4, 3, 1, 1)
    assert (late.whole, late.whole_near) == (3, 1)
    assert (rows["2.1.59 to 2.1.96"].near, rows["1.0"].far) == (1, 1)
    assert (rows["2.1.59 and later"].near, rows["all"].claims, rows["all"].near) == (2, 6, 2)


def test_every_claim_with_a_root_beside_it_is_found(tmp_path: Path) -> None:
    """10 x $5 + 100 x $25 per million are $0.00255; it says twice that."""
    write(session_file(tmp_path / "a" / "root"), reply())
    usage = {"inputTokens": 10, "outputTokens": 100, "costUSD": 0.00255}
    document = {
        "type": "result",
        "session_id": SESSION,
        "total_cost_usd": 0.0051,
        "modelUsage": {"claude-opus-4-6": usage},
    }
    (tmp_path / "a" / "claims").mkdir()
    (tmp_path / "a" / "claims" / "x.json").write_text(json.dumps(document))
    (tmp_path / "b" / "root").mkdir(parents=True)

    (found,) = told(tmp_path)

    assert (found.where, found.version, found.share) == (
        "a/claims/x.json",
        (2, 1, 200),
        Decimal("0.5"),
    )
