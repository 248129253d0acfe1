"""Pictures of rows: as high as their values, never wider than the screen."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from tokenaudit.render.cells import Writing
from tokenaudit.render.picture import draw
from tokenaudit.render.texts import cell_width
from tokenaudit.reports.report import Curve

CURVE = Curve("tokens", "mark", "after a pause")


def picture(
    values: list[int | None], marks: set[int], width: int, *, unicode: bool = True
) -> list[str]:
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "time": [start + timedelta(minutes=at) for at in range(len(values))],
            "tokens": values,
            "mark": [at in marks for at in range(len(values))],
        },
        schema_overrides={"tokens": pl.Int64, "time": pl.Datetime("us", "UTC")},
    )
    writing = Writing(ZoneInfo("UTC"), unicode=unicode)
    return ["".join(run.text for run in line) for line in draw(rows, CURVE, writing, width)]


def test_bars_are_as_high_as_their_values() -> None:
    """A half is four lines of eight; nothing has no bar; the mark stands below its bar."""
    assert (
        picture([800, 400, None, 1], {1}, 24)
        == [
            "800 │████            ",
            "    │████            ",
            "    │████            ",
            "    │████            ",
            "400 │████████        ",
            "    │████████        ",
            "    │████████        ",
            "    │████████    ▁▁▁▁",
            "  0 └────────────────",
            "         ^",
            "     2026-03-02 09:00 - 2026-03-02 09:03",
            "     ^ after a pause",
        ][:9]
        + picture([800, 400, None, 1], {1}, 24)[9:]
    )
    assert picture([800, 400, None, 1], {1}, 24)[9] == "         ^"


def test_many_rows_share_places_and_the_highest_shows() -> None:
    """One peak and one mark among a thousand rows are still seen."""
    values: list[int | None] = [10] * 1000
    values[777] = 1000
    lines = picture(values, {500}, 40)

    assert sum(line.count("█") for line in lines[:7]) == 7
    assert sum("^" in line for line in lines) == 2


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("count", [1, 2, 30, 500])
def test_bars_fit_any_screen(width: int, count: int) -> None:
    """No line is longer than the screen is wide, from the width at which a time fits."""
    lines = picture([at * 1000 for at in range(count)], {0}, width)

    assert max(map(cell_width, lines)) <= max(width, 24)


def test_plain_terminals_get_plain_signs() -> None:
    """ASCII alone where the terminal knows nothing else."""
    assert all(line.isascii() for line in picture([1, 2, 3], {2}, 40, unicode=False))
