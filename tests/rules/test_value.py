"""R4: what decides which line counts."""

import pytest

from tokenaudit.rules.value import prompt_of, worth

PLACEHOLDER = worth(1, is_final=False)
PARTIAL = worth(700, is_final=False)
FINAL = worth(5, is_final=True)
CUT = worth(2, is_final=True, is_cut=True)


@pytest.mark.parametrize(("less", "more"), [(PLACEHOLDER, PARTIAL), (PARTIAL, FINAL), (FINAL, CUT)])
def test_r4_the_worthier_line_counts(
    less: tuple[bool, bool, int], more: tuple[bool, bool, int]
) -> None:
    """Most output before less, a stop reason before any output, known to be cut before that."""
    assert less < more


def test_r4_of_finished_lines_no_count_is_compared() -> None:
    """Of two the later counts, though the earlier says more."""
    assert worth(5, is_final=True) == worth(700, is_final=True)


def test_r4_a_repair_asks_for_the_same_prompt_however_its_writes_last() -> None:
    """The parent's total may not say for how long."""
    assert prompt_of(3, 90, 10, 20) == prompt_of(3, 90, 30, 0) != prompt_of(3, 90, 30, 1)
