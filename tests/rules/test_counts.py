"""R6 and R7: the inferences behind a response, and its cache writes."""

import pytest

from tokenaudit.rules.cache_writes import split
from tokenaudit.rules.iterations import inferences_of, tell_more

ONE, OTHER = (3, 40, 100, 7, 0), (5, 2, 110, 0, 9)
BOTH = (8, 42, 210, 7, 9)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ((30, 10, 20), (10, 20)),
        ((30, 0, 0), (30, 0)),
        ((0, 10, 20), (10, 20)),
        ((30, 0, 20), (10, 20)),
        ((5, 10, 20), (10, 20)),
        ((0, 0, 0), (0, 0)),
    ],
)
def test_r7_what_is_not_split_lasts_five_minutes(
    said: tuple[int, int, int], found: tuple[int, int]
) -> None:
    """The larger of the flat field and the sum of the split counts."""
    assert split(*said) == found


def test_r6_inferences_add_up_to_the_response() -> None:
    """Those that are outside the top level have no part in it."""
    said = [("message", ONE), ("advisor_message", (1, 1, 1, 1, 1)), ("message", OTHER)]

    assert inferences_of(said, BOTH) == [ONE, OTHER]
    assert inferences_of(said, ONE) == []


def test_r6_after_a_fallback_its_own_inferences_answered() -> None:
    """The attempts before it were refused: they are in no total."""
    said = [("message", ONE), ("fallback_message", ONE), ("fallback_message", OTHER)]

    assert inferences_of(said, BOTH) == [ONE, OTHER]


@pytest.mark.parametrize(
    ("types", "more"),
    [
        ([], False),
        (["message"], False),
        (["compaction"], True),
        (["message", "message"], True),
        ([None], True),
    ],
)
def test_r6_a_single_message_says_what_the_top_level_does(
    types: list[str | None], *, more: bool
) -> None:
    """Anything else is kept."""
    assert tell_more(types) == more
    assert inferences_of([(kind, ONE) for kind in types[:1]], ONE) == []
