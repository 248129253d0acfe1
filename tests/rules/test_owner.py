"""R5: what decides to whom a response belongs."""

from typing import Any

import pytest

from tokenaudit.rules.owner import REASONS, claim, nearness, reason


def claimed(**said: Any) -> tuple[Any, ...]:
    known = {"is_progress": False, "is_sidechain": False, "file_time": 5, "time": 7, "path": "m"}
    return claim(**{**known, **said})


@pytest.mark.parametrize(
    ("owner", "other", "place"),
    [
        ({"is_sidechain": True}, {"is_progress": True}, 0),
        ({"file_time": 9}, {"is_sidechain": True}, 1),
        ({"time": 9}, {"file_time": 6}, 2),
        ({}, {"file_time": None}, 2),
        ({"path": "z"}, {"time": 8}, 3),
        ({"path": "z"}, {"time": None}, 3),
        ({}, {"path": "n"}, 4),
    ],
)
def test_r5_owners_are_told_in_this_order(
    owner: dict[str, Any], other: dict[str, Any], place: int
) -> None:
    """Own line, no sidechain, first line of the file, earliest copy, path; what has no time is last."""
    assert claimed(**owner) < claimed(**other)
    assert reason(claimed(**owner), claimed(**other)) == REASONS[place]


def test_r5_copies_of_one_transcript_need_no_reason() -> None:
    """Of them the first counts."""
    assert reason(claimed(line=1), claimed(line=2)) is None
    assert claimed(line=1) < claimed(line=2)
    assert claimed(revision=0, line=9) < claimed(revision=1, line=2)


def test_r4_the_time_of_a_copy_does_not_bring_its_values_nearer() -> None:
    """Of equally good lines the later counts, so it has no say before that."""
    assert nearness(claimed(time=1)) == nearness(claimed(time=2, line=3))
    assert nearness(claimed()) < nearness(claimed(path="n"))
