"""The store on real sessions: grown in random steps, it is what a reading from scratch says."""

import random
from pathlib import Path
from time import time_ns

import pytest
from test_real_data import REAL
from transcripts_builder import facts_of

from tokenaudit.__main__ import main
from tokenaudit.ledger.frame import Ledger, build
from tokenaudit.pricing.card import shipped_card
from tokenaudit.store import Store
from tokenaudit.transcripts import discover, read

STEPS = 10


@pytest.mark.skipif(not REAL.is_dir(), reason="the real sessions are not beside this checkout")
def test_real_sessions_that_grow_in_ten_steps(tmp_path: Path) -> None:
    """Each transcript is cut at random bytes; after the last step, and verified, nothing differs."""
    dice = random.Random(10)
    root, folder = tmp_path / "real", tmp_path / "store"
    contents = {
        root / path.relative_to(REAL): path.read_bytes()
        for path in REAL.rglob("*")
        if path.is_file() and path.name.endswith((".jsonl", ".meta.json"))
    }
    ends = {
        path: [*sorted(dice.randrange(len(data) + 1) for _ in range(STEPS - 1)), len(data)]
        for path, data in contents.items()
    }
    for step in range(STEPS):
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[: ends[path][step]])
        run(root, folder)
    found = run(root, folder)
    wanted = build(facts_of(discover([root])), shipped_card())

    assert wanted.intake == found.intake
    for name in ("frame", "refused", "sessions", "agents", "compactions", "rejects"):
        assert getattr(wanted, name).equals(getattr(found, name)), name
    assert 0 == main(["store", "verify", "--root", str(root), "--store", str(folder)])


def run(root: Path, folder: Path) -> Ledger:
    store = Store.open(folder)
    plan = store.plan(discover([root]))
    facts = store.take(plan, read(plan.extents), now_ns=time_ns())
    assert [] == store.notes
    return build(facts, shipped_card())
