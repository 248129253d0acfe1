"""`cron`: lines that each scheduler reads as they were meant."""

import plistlib
import shlex
import subprocess
from pathlib import Path

import pytest

from tokenaudit.__main__ import main


def printed(capfd: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["cron", *argv]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    return out


def test_a_line_of_a_crontab_runs(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What cron hands to the shell is an export to that folder, blanks, quotes and `%` and all."""
    lake = tmp_path / "o'the 100% lake"
    line = printed(capfd, "--to", str(lake), "--at", "23:05", "--demo", "--host", "a b")

    assert line.startswith("5 23 * * * /")
    assert line.count("\n") == 1
    command = line.split(" ", 5)[5].replace(r"\%", "%")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(lake.rglob("*.parquet"))


def test_a_timer_of_systemd(capfd: pytest.CaptureFixture[str]) -> None:
    """Two units; what has a meaning in a unit file is escaped."""
    text = printed(capfd, "--to", "/mnt/a b%", "--for", "systemd", "--at", "3:07")
    (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert start.endswith(' export --to "/mnt/a b%%"')
    assert "OnCalendar=*-*-* 03:07:00\n" in text


def test_a_plist_of_launchd(capfd: pytest.CaptureFixture[str]) -> None:
    """It parses, and says the same."""
    text = printed(capfd, "--to", "/mnt/<a & b>", "--for", "launchd", "--at", "00:00")
    found = plistlib.loads(text.encode())
    assert found["ProgramArguments"][1:] == ["export", "--to", "/mnt/<a & b>"]
    assert found["StartCalendarInterval"] == {"Hour": 0, "Minute": 0}


def test_places_are_absolute(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job runs in another folder."""
    monkeypatch.chdir(tmp_path)
    line = printed(capfd, "--to", "lake", "--root", "here", "--redact", "--secret-file", "secret")
    argv = shlex.split(line.split(" ", 5)[5])
    assert argv[2:] == [
        *("--to", f"{tmp_path}/lake", "--root", f"{tmp_path}/here"),
        *("--redact", "--secret-file", f"{tmp_path}/secret"),
    ]


@pytest.mark.parametrize("at", ["24:00", "3", "03:60", "x:y", "-1:00", ""])
def test_what_is_no_time_is_refused(capfd: pytest.CaptureFixture[str], at: str) -> None:
    """One line says so."""
    assert main(["cron", "--to", "lake", "--at", at]) == 2
    assert "--at: not a time of day" in capfd.readouterr().err


def test_a_line_break_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """It would be a second line of a crontab."""
    assert main(["cron", "--to", "lake\n* * * * * rm"]) == 2
    assert "cannot hold a line break" in capfd.readouterr().err
