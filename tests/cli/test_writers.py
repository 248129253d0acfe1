"""Every writer under faults: whichever step on disk fails or is the last, nothing is lost or half there."""

import errno
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from calls import run
from faults import failing, faulty
from processes import unmeasured
from statuslines import told
from steps import KILL
from transcripts_builder import reply, session_file, write

Capture = pytest.CaptureFixture[str]
_MOST_STEPS = 60


class Writer(NamedTuple):
    """A command that writes, and how what it has written is read."""

    argv: list[str]
    read: Callable[[Capture, Path], Any]
    codes: frozenset[int] = frozenset({0, 2})
    """With which it may end where a step has failed."""


def rows(capfd: Capture, *argv: str) -> Any:
    code, out, err = run(capfd, *argv)
    assert (code, err) == (0, ""), err
    return json.loads(out)["rows"]


def of_store(capfd: Capture, home: Path) -> Any:
    kept = ["--root", str(home / "claude"), "--store", str(home / "store")]
    assert run(capfd, "store", "verify", *kept)[0] == 0
    return rows(capfd, "export", *kept, "--json")


def of_report(_: Capture, home: Path) -> Any:
    return json.loads((home / "usage.json").read_bytes())["rows"]


def of_lake(capfd: Capture, home: Path) -> Any:
    found = rows(capfd, "rollup", str(home / "lake"), "project", "--json")
    assert not [part for part in (home / "lake").rglob("*.parquet") if not part.stat().st_size]
    return found


def of_database(_: Capture, home: Path) -> Any:
    with sqlite3.connect(home / "usage.db") as database:
        return database.execute(
            "SELECT response_id, output_tokens, cost_usd FROM responses ORDER BY 1"
        ).fetchall()


def of_metrics(_: Capture, home: Path) -> Any:
    lines = (home / "usage.prom").read_text().splitlines()
    return [line for line in lines if "cost" in line or "tokens" in line]


def of_status_line(capfd: Capture, home: Path) -> Any:  # noqa: ARG001 - as the others
    done, _ = faulty(10**6, KILL, ["statusline"], environ=environ(home), told=told())
    assert (done.returncode, done.stderr) == (0, b"")
    return [
        json.loads(each.read_bytes())["total_cost_usd"]
        for each in (home / "data" / "tokenaudit" / "evidence").glob("*.json")
    ]


def of_settings(_: Capture, home: Path) -> Any:
    return json.loads((home / "claude" / "settings.json").read_bytes())["statusLine"]["command"]


WRITERS = {
    "store": Writer(["daily", "--store", "store", "--root", "claude"], of_store),
    "report": Writer(["export", "--no-store", "--root", "claude", "-o", "usage.json"], of_report),
    "lake": Writer(["export", "--no-store", "--root", "claude", "--to", "lake"], of_lake),
    "database": Writer(
        ["export", "--no-store", "--root", "claude", "--to", "sqlite:///usage.db"], of_database
    ),
    "metrics": Writer(
        ["export", "--no-store", "--root", "claude", "--to", "usage.prom"], of_metrics
    ),
    "status line": Writer(["statusline"], of_status_line, frozenset({0})),
    "settings": Writer(["statusline", "--install", "--write"], of_settings),
}


def environ(home: Path) -> Mapping[str, str]:
    return {
        **unmeasured(),
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / "claude"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all is written, with a history of two responses."""
    home = tmp_path / "home"
    for name, value in environ(home).items():
        monkeypatch.setenv(name, value)
    fill(home)
    return home


def fill(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    os.chdir(home)
    write(session_file(home / "claude"), reply("msg_1", "req_1"), reply("msg_2", "req_2", at=60))
    (home / "claude" / "settings.json").write_text('{"model": "opus"}')


def call(capfd: Capture, writer: Writer) -> None:
    """Run *writer* where nothing disturbs it."""
    if writer.argv == ["statusline"]:
        return  # reading does so
    code, _, err = run(capfd, *writer.argv)
    assert (code, err) == (0, ""), err


def in_a_process(
    _: Capture, home: Path, writer: Writer, step: int, number: int
) -> tuple[int, str, str]:
    """Run *writer* as a process; return how it ended, which call its *step* was, and what it said."""
    done, failed = faulty(step, number, writer.argv, environ=environ(home), told=told())
    return done.returncode, failed, done.stderr.decode()


def in_this_one(
    capfd: Capture, _: Path, writer: Writer, step: int, number: int
) -> tuple[int, str, str]:
    """Run *writer* here, which takes a fifth of the time that a process takes to start."""
    with failing(step, number) as steps:
        code, _out, said = run(capfd, *writer.argv)
    return code, steps.failed, said


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("number", [KILL, errno.EACCES])
def test_whichever_step_fails_or_is_the_last(
    capfd: Capture, home: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """One line at most says so, an error leaves no temporary file, and the next run is right."""
    monkeypatch.chdir(home)
    writer = WRITERS[name]
    call(capfd, writer)
    expected = writer.read(capfd, home)
    for step in range(1, _MOST_STEPS):
        fill(home)
        ended = in_a_process if number == KILL or name == "status line" else in_this_one
        code, failed, said = ended(capfd, home, writer, step, number)
        if not failed:
            break
        if number == KILL:
            assert code == -signal.SIGKILL
        else:
            assert code in writer.codes, (step, said)
            assert said.count("\n") <= 2, (step, said)  # and a hint
            assert "Traceback" not in said
            left = [*home.rglob(".tokenaudit-*.tmp")]
            assert not left or failed == "os.remove", (step, left)
        call(capfd, writer)
        assert writer.read(capfd, home) == expected, (step, said)
    assert 2 < step < _MOST_STEPS
