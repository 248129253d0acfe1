"""Metrics: what a parser of OpenMetrics reads is the ledger, with a bounded number of series."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import tokenaudit
from tokenaudit.__main__ import main
from tokenaudit.export.openmetrics import MOST_SERIES, metrics
from tokenaudit.ledger.frame import TOKENS

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def families(data: bytes) -> dict[str, list[tuple[dict[str, str], float]]]:
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in text_string_to_metric_families(data.decode())  # type: ignore[no-untyped-call]
    }


def test_sums_are_those_of_the_ledger() -> None:
    """Tokens by class, cost, responses and what is unpriced."""
    ledger = tokenaudit.load(demo=True)
    found = families(metrics(ledger.frame, NOW))
    expected = ledger.totals()

    assert sum(value for _, value in found["tokenaudit_responses"]) == 92
    assert sum(value for _, value in found["tokenaudit_unpriced_responses"]) == 4
    assert sum(value for _, value in found["tokenaudit_tokens"]) == expected.total_tokens
    for name in TOKENS:
        of_class = {name.removesuffix("_tokens")}
        values = [
            value for labels, value in found["tokenaudit_tokens"] if labels["class"] in of_class
        ]
        assert sum(values) == getattr(expected, name)
    lines = metrics(ledger.frame, NOW).decode().splitlines()
    costs = [line.rpartition(" ")[2] for line in lines if line.startswith("tokenaudit_cost_usd{")]
    assert sum(map(Decimal, costs)) == expected.cost_usd
    assert lines[-2:] == [f"tokenaudit_export_timestamp_seconds {int(NOW.timestamp())}", "# EOF"]


def test_series_are_bounded_and_nothing_is_lost() -> None:
    """Beyond the largest, projects are one series; hostile names are escaped."""
    frame = tokenaudit.load(demo=True).frame.head(1)
    number = pl.int_range(1000).cast(pl.String)
    many = pl.concat([frame] * 1000).with_columns(
        project=pl.concat_str(pl.lit('a "b"\\\n'), number), model=pl.lit("m")
    )
    found = families(metrics(many, NOW))["tokenaudit_responses"]
    assert len(found) == MOST_SERIES + 1
    assert sum(value for _, value in found) == 1000
    assert dict(map(lambda one: (one[0]["project"], one[1]), found))["other"] == 900  # noqa: C417
    assert {labels["project"][:7] for labels, _ in found} == {'a "b"\\\n', "other"}


def test_nothing_used_is_still_a_whole_file() -> None:
    """An empty history has no series, and an end."""
    empty = tokenaudit.load(demo=True).frame.clear()
    assert families(metrics(empty, NOW))["tokenaudit_export_timestamp_seconds"]


def test_export_writes_the_file_in_silence(tmp_path: Path) -> None:
    """Whole or not at all, for the collector may read at any time."""
    file = tmp_path / "usage.prom"
    assert main(["export", "--demo", "--to", str(file)]) == 0
    assert families(file.read_bytes())["tokenaudit_responses"]
    assert [path.name for path in tmp_path.iterdir()] == ["usage.prom"]
