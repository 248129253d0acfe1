"""Standard streams that are closed, full, or no longer read: one line or none, and an exit code that tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from calls import FORK
from processes import unmeasured

COMMANDS = {
    "version": ["--version"],
    "help": ["--help"],
    "help of a command": ["daily", "--help"],
    "help of the status line": ["statusline", "--help"],
    "completion": ["--show-completion", "bash"],
    "table": ["daily", "--root", FORK, "--no-store"],
    "json": ["export", "--root", FORK, "--no-store", "--json"],
    "cron": ["cron", "--root", FORK, "--to", "lake"],
}


def environment() -> dict[str, str]:
    """No shell need stand above the tests: the one whose completion is shown is named."""
    return {**unmeasured(), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


def shell(words: list[str], streams: str) -> subprocess.CompletedProcess[str]:
    """Run tokenaudit as a shell does, with *streams* redirected."""
    script = f'exec "$@" {streams}' if "|" not in streams else f'"$@" {streams}'
    command = ["bash", "-c", script, "bash", sys.executable, "-m", "tokenaudit", *words]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment(), timeout=120
    )


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("streams", "reason"), [(">&-", "it is closed"), (">/dev/full", "the disk is full")]
)
def test_an_output_that_takes_nothing_is_one_line(name: str, streams: str, reason: str) -> None:
    """And the exit code of what could not be done."""
    done = shell(COMMANDS[name], streams)

    said = f"tokenaudit: error: standard output: cannot be written: {reason}\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pipe_that_nobody_reads_ends_quietly(name: str) -> None:
    """As other programs end then: with 141, and without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tokenaudit", *COMMANDS[name]]
    done = subprocess.run(
        command, check=False, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment()
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
def test_other_streams_cost_nothing_but_what_they_would_say(streams: str) -> None:
    """The report is written; an error is told by the exit code alone."""
    whole = shell(COMMANDS["json"], "")
    done = shell(COMMANDS["json"], streams)
    failed = shell(["daily", "--root", "nowhere"], streams)

    assert (whole.returncode, done.returncode, done.stderr) == (0, 0, "")
    assert done.stdout.partition('"rows"')[2] == whole.stdout.partition('"rows"')[2]
    assert (failed.returncode, failed.stdout) == (2, "")


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """What is opened first would else get its number, and what is meant for it."""
    words = ["export", "--root", FORK, "--store", str(tmp_path / "store"), "-o"]
    target = tmp_path / "rows.json"
    done = shell([*words, str(target)], "<&- >&- 2>&-")

    assert done.returncode == 0
    assert shell([*words, str(tmp_path / "again.json")], "").stderr == ""
    assert (tmp_path / "again.json").stat().st_size == target.stat().st_size
