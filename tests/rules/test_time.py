"""R8: times as transcripts hold them, and which of two is a response's."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenaudit.rules.time import earlier, earlier_written, micros

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OTHERS = st.one_of(
    st.none(), st.booleans(), st.binary(), st.decimals(), st.complex_numbers(), st.lists(st.text())
)
TIMES = st.one_of(
    st.text(st.characters()),
    st.text("0123456789-+:.,TtZzWw \u0660\n", max_size=40),
    st.from_regex(r"\d{4}-\d\d-\d\d[T ](24:00|\d\d:\d\d:60|\d\d:\d\d).{0,12}", fullmatch=True),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001
IN_EPOCH_RANGE = st.integers(10**8, 10**10 - 1)


def at(moment: str) -> int:
    """The microseconds of a time that is written in the plainest form."""
    return in_micros(datetime.strptime(f"{moment}+0000", "%Y-%m-%d %H:%M:%S.%f%z"))


def in_micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        # what Claude Code writes
        ("2026-03-02T12:34:56.789Z", "2026-03-02 12:34:56.789"),
        # other forms of ISO 8601
        ("2026-03-02T12:34:56Z", "2026-03-02 12:34:56.0"),
        ("2026-03-02T12:34:56.789012Z", "2026-03-02 12:34:56.789012"),
        ("2026-03-02T12:34:56.789012345Z", "2026-03-02 12:34:56.789012"),
        ("2026-03-02T12:34:56,789Z", "2026-03-02 12:34:56.789"),
        ("2026-03-02T12:34Z", "2026-03-02 12:34:00.0"),
        ("2026-03-02T12Z", "2026-03-02 12:00:00.0"),
        ("2026-03-02", "2026-03-02 00:00:00.0"),
        ("20260302", "2026-03-02 00:00:00.0"),
        ("20260302T123456Z", "2026-03-02 12:34:56.0"),
        ("20260302T123456.789+0100", "2026-03-02 11:34:56.789"),
        ("2026-W10-1T12:34:56Z", "2026-03-02 12:34:56.0"),
        ("2026-03-02 12:34:56Z", "2026-03-02 12:34:56.0"),
        ("2026-03-02t12:34:56z", "2026-03-02 12:34:56.0"),
        # offsets
        ("2026-03-02T12:34:56+00:00", "2026-03-02 12:34:56.0"),
        ("2026-03-02T12:34:56-00:00", "2026-03-02 12:34:56.0"),
        ("2026-03-02T12:34:56+02:00", "2026-03-02 10:34:56.0"),
        ("2026-03-02T12:34:56-0930", "2026-03-02 22:04:56.0"),
        ("2026-03-02T01:00:00+14", "2026-03-01 11:00:00.0"),
        # without one the time is in UTC
        ("2026-03-02T12:34:56", "2026-03-02 12:34:56.0"),
        ("2026-03-02 12:34:56.5", "2026-03-02 12:34:56.5"),
        # forms that need help
        (" 2026-03-02T12:34:56Z\n", "2026-03-02 12:34:56.0"),
        ("2026-03-02T24:00:00Z", "2026-03-03 00:00:00.0"),
        ("2026-03-02T24:00Z", "2026-03-03 00:00:00.0"),
        ("2026-03-02 24:00", "2026-03-03 00:00:00.0"),
        ("2026-02-28T24:00:00.000+01:00", "2026-02-28 23:00:00.0"),
        ("2026-12-31T24:00:00z", "2027-01-01 00:00:00.0"),
        ("2026-12-31T23:59:60Z", "2027-01-01 00:00:00.0"),
        ("2026-12-31T23:59:60.5Z", "2027-01-01 00:00:00.5"),
        ("2026-12-31T18:59:60-05:00", "2027-01-01 00:00:00.0"),
        ("2028-02-29T23:59:60", "2028-03-01 00:00:00.0"),
        # far away
        ("1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999"),
        ("0002-01-01T00:00:00Z", "0002-01-01 00:00:00.0"),
        ("9998-12-31T23:59:59Z", "9998-12-31 23:59:59.0"),
    ],
    ids=ascii,
)
def test_iso_times_are_read(value: str, moment: str) -> None:
    """Any form that ISO 8601 knows, to the microsecond (R8)."""
    assert at(moment) == micros(value)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        # seconds, milliseconds, microseconds, nanoseconds
        (1772454896, "2026-03-02 12:34:56.0"),
        (1772454896789, "2026-03-02 12:34:56.789"),
        (1772454896789012, "2026-03-02 12:34:56.789012"),
        (1772454896789012345, "2026-03-02 12:34:56.789012"),
        # with a fraction
        (1772454896.789, "2026-03-02 12:34:56.789"),
        (1772454896789.012, "2026-03-02 12:34:56.789012"),
        (1772454896.0, "2026-03-02 12:34:56.0"),
        # as texts
        ("1772454896", "2026-03-02 12:34:56.0"),
        ("1772454896789", "2026-03-02 12:34:56.789"),
        ("1772454896789012", "2026-03-02 12:34:56.789012"),
        ("1772454896789012345", "2026-03-02 12:34:56.789012"),
        ("1772454896.789012", "2026-03-02 12:34:56.789012"),
        (" 1772454896789 ", "2026-03-02 12:34:56.789"),
        # a text of digits that Python alone would read as a day of the year 1712
        ("171201012", "1975-06-05 11:50:12.0"),
        # the first and the last second
        (10**8, "1973-03-03 09:46:40.0"),
        (10**10 - 1, "2286-11-20 17:46:39.0"),
        # the first and the last millisecond
        (10**11, "1973-03-03 09:46:40.0"),
        (10**13 - 1, "2286-11-20 17:46:39.999"),
    ],
)
def test_epochs_are_read(value: object, moment: str) -> None:
    """The unit is the one that gives a time since 1973 and before 2300 (R8)."""
    assert at(moment) == micros(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        b"2026-03-02T12:34:56Z",
        [],
        {},
        datetime(2026, 3, 2, tzinfo=UTC),
        "",
        " ",
        "yesterday",
        "null",
        "03/02/2026",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-03-02T25:00:00Z",
        "2026-03-02T24:00:30Z",
        "2026-03-02T24:01:00Z",
        "2026-03-02T24:00:00.5Z",
        "2026-03-02T12:34:61Z",
        "2026-03-02T12:34:56+25:00",
        "2026-03-02T12:34:56 Europe/Vienna",
        "2026-03-02T12:34:56Z and more",
        "\ud83d2026-03-02",
        "\u0662\u0660\u0662\u0666-03-02T00:00:00Z",
        # years in which a day or week of another zone may lie beyond the calendar
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "0001-12-31",
        "9999-01-01",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
        "9998-12-31T24:00:00Z",
        "9999-12-31T24:00:00Z",
        "9999-12-31T23:59:60Z",
        # no epoch
        0,
        -1772454896,
        10**8 - 1,
        10**10,
        10**19,
        10**400,
        1e300,
        math.nan,
        math.inf,
        -math.inf,
        "0",
        "99999999",
        "-1772454896",
        "17724548967890123456",
        "1772454896.",
        "1.772454896e9",
        "\u0661772454896",
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_time_has_none(value: object) -> None:
    """It is not guessed at: the response stays without a day (R8)."""
    assert micros(value) is None


@given(TIMES)
@example("2026-03-02T24:00:00+99:99")
@example("9999-W53-7")
@example(10**400)
def test_any_text_or_number_is_a_time_or_none(value: Any) -> None:
    """Nothing that a line can hold makes the reading fail."""
    assert isinstance(micros(value), int | None)


@given(OTHERS)
def test_any_other_value_is_no_reason_to_fail(value: object) -> None:
    """Lists, objects and the like are no times, but no errors either."""
    assert isinstance(micros(value), int | None)


@given(MOMENTS)
def test_iso_times_make_the_round_trip(moment: datetime) -> None:
    """With any offset, extended or basic, with a blank or a T, as a date of the week."""
    utc = moment.astimezone(UTC)
    year, week, weekday = moment.isocalendar()
    clock = moment.timetz().isoformat()

    assert [in_micros(moment)] * 7 == [
        micros(moment.isoformat()),
        micros(moment.isoformat(" ")),
        micros(utc.isoformat().replace("+00:00", "Z")),
        micros(utc.replace(tzinfo=None).isoformat()),
        micros(moment.strftime("%Y%m%dT%H%M%S.%f%z")),
        micros(f"{year:04}-W{week:02}-{weekday}T{clock}"),
        micros(f"\t{moment.isoformat()} "),
    ]


@given(MOMENTS)
def test_coarser_iso_times_are_cut_to_their_form(moment: datetime) -> None:
    """What a form does not write is zero."""
    utc = moment.astimezone(UTC)
    second, minute, day = (
        utc.replace(microsecond=0),
        utc.replace(second=0, microsecond=0),
        utc.replace(hour=0, minute=0, second=0, microsecond=0),
    )

    assert in_micros(second) == micros(utc.isoformat(timespec="seconds"))
    assert in_micros(minute) == micros(utc.isoformat(timespec="minutes"))
    assert in_micros(day) == micros(utc.date().isoformat())


@given(IN_EPOCH_RANGE, st.integers(0, 10**9 - 1))
def test_epochs_make_the_round_trip(second: int, nano: int) -> None:
    """In each unit, as a number and as a text; what is finer than a microsecond is cut."""
    milli, micro = nano // 10**6, nano // 10**3
    whole = second * 10**6

    assert whole == micros(second) == micros(str(second))
    assert whole + milli * 1000 == micros(second * 10**3 + milli)
    assert whole + micro == micros(second * 10**6 + micro)
    assert whole + micro == micros(second * 10**9 + nano)
    assert whole + micro == micros(str(second * 10**9 + nano))


@given(st.integers(10**8, 2**32), st.integers(0, 999))
def test_epochs_with_a_fraction_make_the_round_trip(second: int, milli: int) -> None:
    """Up to the year 2106 a float is near enough to each millisecond, and so is its text."""
    exact = second * 10**6 + milli * 1000

    assert exact == micros(second + milli / 1000)
    assert exact == micros(f"{second}.{milli:03}")


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (None, None, None),
        (5, None, 5),
        (None, 0, 0),
        (5, 3, 3),
        (0, 5, 0),
    ],
)
def test_r8_the_earlier_of_two_times_counts(
    one: int | None, other: int | None, found: int | None
) -> None:
    """What has no time takes none from another."""
    assert earlier(one, other) == found


@given(st.none() | TIMES.map(str), st.none() | TIMES.map(str))
@example("2026-03-02T09:00:00.000Z", "2026-03-02T08:59:60.999Z")
@example("2026-03-02T09:00:00.001Z", "2026-03-02T10:00:00+02:00")
@example("2026-99-02T09:00:00.000Z", "2026-03-02T09:00:00.000Z")
def test_r8_the_earlier_as_written_is_the_earlier_as_read(
    one: str | None, other: str | None
) -> None:
    """Whatever its form: the two that are told by their texts alone too."""
    assert micros(earlier_written(one, other)) == earlier(micros(one), micros(other))
