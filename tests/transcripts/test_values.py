"""Single values as transcripts hold them: counts (R9) and texts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenaudit.transcripts.values import BadCountError, count, text

LARGEST = 2**53 - 1
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.decimals(),
    st.complex_numbers(),
    st.binary(),
    st.text(st.characters()),
    st.text("0123456789+-.eE_, ", max_size=30),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)


# counts


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (12, 12),
        (LARGEST, LARGEST),
        (12.0, 12),
        (-0.0, 0),
        (9007199254740991.0, LARGEST),
        ("12", 12),
        ("0", 0),
        ("007", 7),
        (" 12\n", 12),
        ("+12", 12),
        (str(LARGEST), LARGEST),
    ],
)
def test_a_whole_number_is_a_count(value: object, number: int) -> None:
    """As a number, as a float without a fraction, or as a text of digits (R9)."""
    assert number == count(value)
    assert type(count(value)) is int


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        (-1, "negative"),
        (-1.0, "negative"),
        (-(10**400), "negative"),
        (LARGEST + 1, "too large"),
        (9007199254740992.0, "too large"),
        (1e300, "too large"),
        (10**400, "too large"),
        ("99999999999999999999", "too large"),
        (12.5, "not a whole number"),
        (math.nan, "not a whole number"),
        (math.inf, "not a whole number"),
        (-math.inf, "not a whole number"),
        (True, "not a whole number"),
        (False, "not a whole number"),
        ("", "not a whole number"),
        (" ", "not a whole number"),
        ("12.0", "not a whole number"),
        ("-1", "not a whole number"),
        ("1e3", "not a whole number"),
        ("1_000", "not a whole number"),
        ("1,000", "not a whole number"),
        ("0x10", "not a whole number"),
        ("twelve", "not a whole number"),
        ("\u0661\u0662", "not a whole number"),
        ("\u00b2", "not a whole number"),
        ("1\x002", "not a whole number"),
        ("\ud83d", "not a whole number"),
        pytest.param("9" * 5000, "not a whole number", id="5,000 digits"),
        (b"12", "not a whole number"),
        ([], "not a whole number"),
        ([12], "not a whole number"),
        ({"tokens": 12}, "not a whole number"),
    ],
    ids=ascii,
)
def test_anything_else_is_refused_with_a_reason(value: object, reason: str) -> None:
    """The reason is what the reject will say after the name of the field (R9)."""
    with pytest.raises(BadCountError) as caught:
        count(value)

    assert reason == str(caught.value)


@given(VALUES)
def test_a_count_is_read_or_refused(value: object) -> None:
    """Whatever JSON can hold, the answer is a count or that one error."""
    outcome: int | str
    try:
        outcome = count(value)
    except BadCountError as error:
        outcome = str(error)

    if isinstance(outcome, int):
        assert 0 <= outcome <= LARGEST
    else:
        assert outcome in {"missing", "negative", "not a whole number", "too large"}


@given(st.integers(0, LARGEST))
def test_every_count_is_read_in_each_of_its_forms(number: int) -> None:
    """No digit is lost on the way, in floats neither: they hold all of this range."""
    assert [number] * 3 == [count(number), count(str(number)), count(float(number))]


# texts


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("", ""),
        ("plain", "plain"),
        ("é 你好 🎉", "é 你好 🎉"),
        ("\x00\x1b[31m\u202e", "\x00\x1b[31m\u202e"),
        ("\ud83d", "?"),
        ("a\udc00b\ud83d", "a?b?"),
    ],
    ids=ascii,
)
def test_a_text_is_kept_as_far_as_utf_8_can_hold_it(value: str, kept: str) -> None:
    """Lone surrogates, which older versions wrote, are replaced; all else stays."""
    assert kept == text(value)


@pytest.mark.parametrize("value", [None, 0, 12.5, True, b"bytes", [], ["a"], {}])
def test_what_is_no_text_is_none(value: object) -> None:
    """A number is not spelled out, a list is not joined."""
    assert text(value) is None


@given(st.text(st.characters()))
def test_any_text_can_be_stored(value: str) -> None:
    """What comes out can be written as UTF-8, has the same length, and stays as it is."""
    kept = text(value)

    assert kept is not None
    assert len(value) == len(kept)
    assert kept == kept.encode().decode() == text(kept)
