"""Numbers that are too large and zones that are none: one line, or what was meant."""

import pytest
from calls import FORK, refused, run

from tokenaudit.config.settings import find_zone, system_zone

DIGITS = "9" * 50


@pytest.mark.parametrize(
    "argv",
    [
        ["daily", "--limit", DIGITS],
        ["daily", "--last", DIGITS],
        ["monthly", "--last", "1000000001"],
        ["daily", "--jobs", DIGITS],
        ["query", "SELECT 1 AS one", "--limit", DIGITS],
    ],
)
def test_a_number_of_many_digits_is_refused(
    capfd: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    """With the option and the most that it takes."""
    said = refused(capfd, *argv, "--root", FORK, "--no-store")

    assert f"Invalid value for '{next(each for each in argv if each.startswith('--'))}'" in said
    assert "larger than 1,000,000,000" in said


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("number", ["1000000000", "800000"])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_more_periods_than_the_calendar_has_are_all(
    capfd: pytest.CaptureFixture[str], period: str, number: str, zone: str
) -> None:
    """Whoever asks for the last million years gets what there is."""
    argv = [period, "--root", FORK, "--no-store", "--json", "-z", zone]
    _, whole, _ = run(capfd, *argv)
    code, out, _ = run(capfd, *argv, "--last", number)

    assert code == 0
    assert out[out.index('"rows"') :] == whole[whole.index('"rows"') :]


@pytest.mark.parametrize(
    "name",
    ["posixrules", "localtime", "Factory", "right/UTC", "posix/Europe/Berlin", "leapseconds"],
)
def test_files_of_the_database_that_are_no_zones_are_refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """On the command line and in the settings."""
    argv = ["daily", "--root", FORK, "--no-store"]
    assert f"--timezone: no such time zone: {name}" in refused(capfd, *argv, "--timezone", name)
    monkeypatch.setenv("TOKENAUDIT_TIMEZONE", name)
    assert f"timezone: no such time zone: {name}" in refused(capfd, *argv)


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("posix/Europe/Berlin", "Europe/Berlin"),
        ("right/Europe/Berlin", "Europe/Berlin"),
        ("Factory", "UTC"),
        ("posixrules", "UTC"),
        ("no/such", "UTC"),
        ("", "UTC"),
    ],
)
def test_the_system_may_name_such_a_file(
    monkeypatch: pytest.MonkeyPatch, named: str, meant: str
) -> None:
    """Leap seconds change no day; what names no place is UTC."""
    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: named)

    assert system_zone().key == meant


def test_zones_are_found() -> None:
    """By their names, and by nothing that leads elsewhere."""
    assert find_zone("Europe/Berlin") is not None
    assert [find_zone(name) for name in ("", "../etc/passwd", "/etc", "Europe", "a\0b")] == [
        None
    ] * 5
