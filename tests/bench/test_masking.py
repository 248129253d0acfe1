"""Estimates of lost output against a real history, where it is: finals hidden, estimated, compared."""

from pathlib import Path

import estimate
import polars as pl
import pytest
from test_real_data import REAL

CLAIMS: Path = REAL.parent / "claims"


@pytest.mark.skipif(not CLAIMS.is_dir(), reason="the real histories are not here")
def test_hidden_finals_are_estimated_as_nearly_as_the_readme_says() -> None:
    """Responses without calls of tools: the inputs of these were cut before the history was shared."""
    histories = estimate.Histories(CLAIMS, 20_000, with_tools=False)
    rows, *others = (
        histories.rows_of(CLAIMS / name / "root").filter("is_whole") for name in ("24", "20", "06")
    )
    found = pl.DataFrame(estimate.masked(rows, pl.concat(others)))
    judged = estimate.summary(found).filter(pl.col("basis") == "own", pl.col("finals") >= 200)

    assert ["claude-opus-4-7"] == judged["model"].to_list()
    row = judged.row(0, named=True)
    assert abs(row["worst_sum"]) <= 0.1
    assert row["median_error"] <= 0.2
    assert row["inside"] >= 0.95
    assert row["high_of_truth"] <= 2
