"""Options and settings that all tests share."""

import pytest

pytest_plugins = ["lakes", "statuslines"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the expected outputs of the stories anew, to be reviewed as a diff",
    )


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's own history, settings and terminal out of every test."""
    home = tmp_path_factory.mktemp("home")
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
