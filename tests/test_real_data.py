"""Real histories give the figures that an independent program worked out for them.

The data is no part of the project: it is looked for where TOKENAUDIT_REAL_DATA says, else in the
folder that lies beside the checkout, and these tests are skipped where it is absent.
"""

import json
import os
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tokenaudit import Ledger, load

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "real"
REAL = Path(os.environ.get("TOKENAUDIT_REAL_DATA", BESIDE))
FOLDERS = ("cipher-box", "cli", "context-evaluator", "oh-my-posh")
CLASSES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real histories are not here")


@cache
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REAL / "EXPECTED.json").read_text("utf-8"))
    return found


@cache
def ledger_of(name: str) -> Ledger:
    return load(*(REAL / folder for folder in (FOLDERS if name == "all" else (name,))))


@pytest.fixture(params=[*FOLDERS, "all"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_lines_responses_and_qualities(name: str) -> None:
    """What was read, and what was merged away (R2 to R4)."""
    wanted, intake = expected()[name], ledger_of(name).intake

    for key in ("files", "lines", "usage_lines", "responses"):
        assert wanted[key] == getattr(intake, key), key
    assert wanted["quality"] == {key: count for key, count in intake.quality.items() if count}
    assert wanted["usage_lines"] == wanted["responses"] + intake.copies
    assert wanted["bad_lines"] == intake.rejects == intake.incomplete


def test_tokens_by_class(name: str) -> None:
    """The totals of every class."""
    wanted, usage = expected()[name]["tokens"], ledger_of(name).totals()

    assert {key: wanted[key] for key in CLASSES} == {
        key: getattr(usage, f"{key}_tokens") for key in CLASSES
    }


def test_cost_to_the_sixth_decimal(name: str) -> None:
    """The list price of every response on its day (R10)."""
    usage = ledger_of(name).totals()
    assert usage.cost_usd is not None

    assert Decimal(expected()[name]["cost_usd"]) == usage.cost_usd.quantize(
        Decimal("0.000001"), ROUND_HALF_EVEN
    )
    assert len(expected()[name]["unpriced"]) == usage.unpriced_responses == 0


@pytest.mark.parametrize(
    ("group", "column"),
    [("days", "day"), ("models", "model"), ("sessions", "session_id")],
)
def test_tokens_by_group(name: str, group: str, column: str) -> None:
    """To which day, model and session usage belongs (R5, R8)."""
    wanted = expected()[name][group]
    rows = (
        ledger_of(name).report(column).sections[0].rows.with_columns(pl.col(column).cast(pl.String))
    )

    assert {
        key: {each: tokens[each] for each in CLASSES}
        for key, tokens in wanted.items()
        if any(tokens.values())
    } == {
        row[column]: {each: row[f"{each}_tokens"] for each in CLASSES}
        for row in rows.iter_rows(named=True)
    }
