"""Options and settings that all tests share."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["lakes", "statuslines"]

# No property has a deadline: how fast a machine is proves nothing. Each run of `ci` takes the same
# examples, so that what fails is what a change broke; `pytest --hypothesis-profile=long` seeks others.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[
        *(HealthCheck.too_slow, HealthCheck.data_too_large),
        HealthCheck.function_scoped_fixture,  # each example writes anew what it reads
    ],
)
settings.register_profile(
    "long", settings.get_profile("ci"), derandomize=False, max_examples=20 * 100
)
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the expected outputs of the stories anew, to be reviewed as a diff",
    )


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield folders for homes, not made yet: numbering each among thousands would take longer than most tests."""
    place = tmp_path_factory.mktemp("homes")
    return (place / str(number) for number in count())


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path]) -> None:
    """Keep the user's own history, settings and terminal out of every test."""
    home = next(homes)
    home.mkdir(mode=0o700)
    for name in (
        "CLAUDE_CONFIG_DIR",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "NO_COLOR",
        "FORCE_COLOR",
        "TOKENAUDIT_CONFIG",
        "TOKENAUDIT_STORE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
