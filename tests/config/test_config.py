"""Settings from a file and from the environment, and what is wrong with them."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from tokenaudit.config.settings import FILE_NAME, Settings, load
from tokenaudit.model.errors import ConfigError

VARIABLES = st.one_of(
    st.sampled_from([f"TOKENAUDIT_{entry.name.upper()}" for entry in fields(Settings)]),
    st.text().map("TOKENAUDIT_{}".format).filter(lambda name: name != "TOKENAUDIT_CONFIG"),
)
FULL = """\
root = ["~/one", "/two"]
timezone = "Europe/Vienna"
start_of_week = "sunday"
jobs = 3
store = "~/kept"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


def write(folder: Path, text: str) -> Path:
    path = folder / FILE_NAME
    path.write_text(text, "utf-8")
    return path


def failure(folder: Path, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, environ)
    return caught.value


# precedence


def test_without_a_file_or_variables_the_defaults_hold(folder: Path) -> None:
    """All roots of Claude Code, the system's zone, weeks from Monday."""
    assert Settings(root=(), timezone=None, start_of_week="monday", jobs=None) == load(folder, {})


def test_a_folder_that_is_not_there_is_no_error(folder: Path) -> None:
    """Most users never write a configuration."""
    blocked = folder / "file"
    blocked.touch()

    assert Settings() == load(folder / "nowhere", {})
    assert Settings() == load(blocked, {})


def test_a_file_overrides_the_defaults(folder: Path) -> None:
    """Every setting can be written there."""
    write(folder, FULL)

    assert Settings(("~/one", "/two"), "Europe/Vienna", "sunday", 3, "~/kept") == load(folder, {})


def test_an_empty_file_changes_nothing(folder: Path) -> None:
    """Neither does one of comments."""
    write(folder, "# nothing yet\n")

    assert Settings() == load(folder, {})


def test_variables_override_the_file(folder: Path) -> None:
    """Each its own setting; the others stay."""
    write(folder, FULL)
    environ = {"TOKENAUDIT_TIMEZONE": "UTC", "TOKENAUDIT_JOBS": "8"}

    assert Settings(("~/one", "/two"), "UTC", "sunday", 8, "~/kept") == load(folder, environ)


def test_every_setting_has_a_variable(folder: Path) -> None:
    """Its name is the key's in capitals."""
    environ = {
        "TOKENAUDIT_ROOT": "/one, /two",
        "TOKENAUDIT_TIMEZONE": "Asia/Tokyo",
        "TOKENAUDIT_START_OF_WEEK": "saturday",
        "TOKENAUDIT_JOBS": "2",
        "TOKENAUDIT_STORE": "/three",
        "TOKENAUDIT_BUDGET": "25/day, shop=10/month",
    }

    assert Settings(
        ("/one", "/two"), "Asia/Tokyo", "saturday", 2, "/three", ("25/day", "shop=10/month")
    ) == load(folder, environ)
    assert len(environ) == len(fields(Settings))


def test_an_empty_variable_counts_as_not_set(folder: Path) -> None:
    """So a setting can be taken back for one command."""
    write(folder, FULL)
    environ = dict.fromkeys(("TOKENAUDIT_ROOT", "TOKENAUDIT_JOBS", "TOKENAUDIT_CONFIG"), "")

    assert load(folder, {}) == load(folder, environ)


def test_other_variables_are_none_of_its_business(folder: Path) -> None:
    """Only those that begin with its name."""
    environ = {"PATH": "/bin", "TOKENAUDIT": "x", "MY_TOKENAUDIT_JOBS": "x", "JOBS": "x"}

    assert Settings() == load(folder, environ)


def test_a_real_environment_can_be_read(folder: Path) -> None:
    """It is a mapping like any other."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("TOKENAUDIT_")
    }

    assert Settings() == load(folder, environ)


@pytest.mark.parametrize(
    ("value", "roots"),
    [
        ("/one", ("/one",)),
        ("/one,/two", ("/one", "/two")),
        (" /one , ,/two,", ("/one", "/two")),
        ("/with space", ("/with space",)),
        (",", ()),
    ],
)
def test_roots_in_a_variable_are_cut_at_commas(
    folder: Path, value: str, roots: tuple[str, ...]
) -> None:
    """As those of Claude Code itself are."""
    assert roots == load(folder, {"TOKENAUDIT_ROOT": value}).root


@pytest.mark.parametrize(
    ("value", "roots"),
    [
        ('"/one"', ("/one",)),
        ('"/one,/two"', ("/one,/two",)),
        ('["/one", "", "/two"]', ("/one", "/two")),
        ("[]", ()),
    ],
)
def test_roots_in_a_file_are_one_text_or_several(
    folder: Path, value: str, roots: tuple[str, ...]
) -> None:
    """A file has lists of its own, so a comma is a part of the name."""
    write(folder, f"root = {value}")

    assert roots == load(folder, {}).root


def test_another_file_can_be_named(folder: Path, tmp_path: Path) -> None:
    """It stands instead of the usual one, and variables still override it."""
    write(folder, FULL)
    other = tmp_path / "other.toml"
    other.write_text('timezone = "UTC"\njobs = 1\n')
    environ = {"TOKENAUDIT_CONFIG": str(other), "TOKENAUDIT_JOBS": "2"}

    assert Settings(timezone="UTC", jobs=2) == load(folder, environ)


# what is wrong


def test_a_named_file_must_be_there(folder: Path) -> None:
    """Who names a file means it."""
    missing = folder / "missing.toml"

    assert f"{missing}: cannot be read: No such file or directory" == str(
        failure(folder, TOKENAUDIT_CONFIG=str(missing))
    )


def test_a_file_that_cannot_be_read_is_not_passed_over(folder: Path) -> None:
    """Settings that silently do nothing are worse than none."""
    path = folder / FILE_NAME
    path.mkdir()

    assert str(failure(folder)).startswith(f"{path}: cannot be read: ")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("timezon", "Did you mean timezone?"),
        ("time-zone", "Did you mean timezone?"),
        ("Jobs", "Did you mean jobs?"),
        ("roots", "Did you mean root?"),
        ("start-of-week", "Did you mean start_of_week?"),
        ("xyz", "There are: root, timezone, start_of_week, jobs, store, budget."),
    ],
)
def test_an_unknown_key_names_the_nearest(folder: Path, key: str, hint: str) -> None:
    """Or all there are, where none is near."""
    path = write(folder, f'{key} = "x"')
    error = failure(folder)

    assert f"{path}: unknown key {key}" == str(error)
    assert hint == error.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TOKENAUDIT_TIMEZON", "Did you mean TOKENAUDIT_TIMEZONE?"),
        ("TOKENAUDIT_ROOTS", "Did you mean TOKENAUDIT_ROOT?"),
        (
            "TOKENAUDIT_XYZ",
            (
                "There are: TOKENAUDIT_ROOT, TOKENAUDIT_TIMEZONE, TOKENAUDIT_START_OF_WEEK,"
                " TOKENAUDIT_JOBS, TOKENAUDIT_STORE, TOKENAUDIT_BUDGET."
            ),
        ),
    ],
)
def test_an_unknown_variable_names_the_nearest(folder: Path, name: str, hint: str) -> None:
    """As it would have to be written there."""
    error = failure(folder, **{name: "x"})

    assert f"environment: unknown key {name}" == str(error)
    assert hint == error.hint


def test_a_table_is_an_unknown_key_too(folder: Path) -> None:
    """Settings stand at the top of the file."""
    path = write(folder, "[reports]\njobs = 3\n")

    assert f"{path}: unknown key reports" == str(failure(folder))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("root = 1", "root must be a text or a list of texts"),
        ("root = ['/one', 2]", "root must be a text or a list of texts"),
        ("root = [['/one']]", "root must be a text or a list of texts"),
        ("root = {path = '/one'}", "root must be a text or a list of texts"),
        ("timezone = 1", "timezone must be a text"),
        ("timezone = ['UTC']", "timezone must be a text"),
        ("timezone = true", "timezone must be a text"),
        ("start_of_week = 1", "start_of_week must be a text"),
        ("start_of_week = 2026-03-02", "start_of_week must be a text"),
        ("jobs = 0", "jobs must be a whole number from 1"),
        ("jobs = -2", "jobs must be a whole number from 1"),
        ("jobs = 1.5", "jobs must be a whole number from 1"),
        ("jobs = 2.0", "jobs must be a whole number from 1"),
        ("jobs = true", "jobs must be a whole number from 1"),
        ("jobs = 'many'", "jobs must be a whole number from 1"),
        ("jobs = [2]", "jobs must be a whole number from 1"),
    ],
)
def test_a_value_of_another_type_is_an_error(folder: Path, line: str, message: str) -> None:
    """It names the file and the key, and what would do."""
    path = write(folder, line)

    assert f"{path}: {message}" == str(failure(folder))


@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5", " ", "\u0663", "1_000", "9" * 5000])
def test_a_variable_that_is_no_number_is_an_error(folder: Path, value: str) -> None:
    """It names the variable."""
    error = failure(folder, TOKENAUDIT_JOBS=value)

    assert str(error) == "environment: TOKENAUDIT_JOBS must be a whole number from 1"


@pytest.mark.parametrize(
    "data",
    [
        b"timezone",
        b"timezone = UTC",
        b'timezone = "UTC',
        b"jobs = 1\njobs = 2",
        b'timezone = "\xff"',
        b"\x00",
        b"jobs = " + b"9" * 5000,
        b"root = " + b"[" * 100_000,
    ],
    ids=lambda data: ascii(data)[:24],
)
def test_a_file_that_is_not_toml_is_an_error(folder: Path, data: bytes) -> None:
    """Also where the parser itself gives up: on long numbers and deep nesting."""
    path = folder / FILE_NAME
    path.write_bytes(data)

    assert str(failure(folder)).startswith(f"{path}: not TOML: ")


def test_the_place_of_a_mistake_is_told(folder: Path) -> None:
    """Line and column come from the parser."""
    write(folder, "jobs = 2\ntimezone = UTC\n")

    assert "at line 2, column 12" in str(failure(folder))


@given(st.dictionaries(VARIABLES, st.text(min_size=1) | st.integers().map(str)))
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    """Whatever the variables hold, the answer is settings or that one error."""
    refused = None
    try:
        load(Path("nowhere"), environ)
    except ConfigError as error:
        refused = str(error)

    assert refused is None or refused.startswith("environment: ")
