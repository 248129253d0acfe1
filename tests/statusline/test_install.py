"""The status line gets into Claude Code's settings, which lose nothing."""

import json
from pathlib import Path

import pytest

from tokenaudit.__main__ import main
from tokenaudit.model.errors import ConfigError
from tokenaudit.statusline import install


def test_installing_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is added to the settings, the former ones stand beside; twice changes nothing."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    path = tmp_path / "config" / "settings.json"
    assert "statusLine" in install.install()
    assert install.write().startswith(f"Wrote the status line into {path}.")
    path.write_text('{"theme": "dark"}')
    install.write()
    found = json.loads(path.read_text())
    backups = sorted(path.parent.glob("settings.json.before-tokenaudit-*"))

    assert found["theme"] == "dark"
    assert found["statusLine"]["command"].endswith("statusline")
    assert [backup.read_text() for backup in backups] == ['{"theme": "dark"}']
    assert "already" in install.write()
    path.write_text("[1]")
    with pytest.raises(ConfigError, match="not a JSON object"):
        install.write()
    path.write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        install.write()


def test_the_command_line_installs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--install shows, --write does."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    assert main(["statusline", "--install"]) == 0
    assert str(tmp_path / "settings.json") in capfd.readouterr().out
    assert main(["statusline", "--write"]) == 0
    assert (tmp_path / "settings.json").exists()
