"""How blocks are cut: hours in, hours out."""

from hypothesis import given
from hypothesis import strategies as st

from tokenaudit.model.blocks import HOURS, gaps, per, projected, starts


def test_a_block_lasts_five_hours_from_its_first_hour() -> None:
    """Activity in the fifth hour belongs to it; at its end another opens."""
    assert starts([9, 10, 13]) == [9]
    assert starts([9, 13, 14, 18]) == [9, 14]
    assert starts([18, 14, 9, 9]) == [9, 14]
    assert starts([]) == []


@given(st.lists(st.integers(0, 60)))
def test_every_hour_lies_in_exactly_one_block(hours: list[int]) -> None:
    """Blocks neither overlap nor leave activity out, and open only where there was some."""
    found = starts(hours)

    assert set(found) <= set(hours)
    assert all(sum(start <= hour < start + HOURS for start in found) == 1 for hour in hours)


def test_a_gap_lies_between_the_end_of_a_block_and_the_next() -> None:
    """Only where nothing happened for five hours, and where the blocks do not touch."""
    assert list(gaps([(9, 9.5, 10.0), (20, 20.25, 21.0)])) == [(14, 20)]
    assert list(gaps([(9, 9.5, 13.9), (15, 15.5, 16.0)])) == []  # 1.6 hours of silence
    assert list(gaps([(9, 9.0, 9.1), (14, 14.2, 15.0)])) == []  # 5.1 hours, and they touch
    assert list(gaps([])) == []


def test_a_pace_goes_on() -> None:
    """1,200 in half an hour are 40 a minute, and 4,800 more in the next two hours."""
    assert per(1200, 1800, 60) == 40
    assert projected(1200, 1800, 7200) == 6000


def test_the_first_seconds_are_no_pace() -> None:
    """What came at once is spread over a minute."""
    assert per(600, 0, 60) == 600
    assert projected(600, 1, 120) == 1800
