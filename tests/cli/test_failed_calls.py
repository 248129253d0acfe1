"""Calls that the system refuses: whoever made them, and wherever, the end is one line and exit code 2."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from calls import FORK
from processes import unmeasured

STRACE = shutil.which("strace")
IS_ALLOWED = (
    STRACE is not None
    and not subprocess.run([STRACE, "-o", "/dev/null", "true"], check=False).returncode
)
HINT = "  Is there room for threads and files?\n"


def refused(call: str, error: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run tokenaudit; every *call* fails with *error*."""
    assert STRACE is not None
    faults = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}"]
    command = [STRACE, "-f", "-qq", "-o", "/dev/null", *faults, sys.executable, "-m", "tokenaudit"]
    environ = {name: value for name, value in unmeasured().items() if name != "RUST_BACKTRACE"}
    return subprocess.run(
        [*command, *argv], check=False, capture_output=True, text=True, env=environ
    )


@pytest.mark.skipif(not IS_ALLOWED, reason="calls are made to fail by strace")
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("eventfd2", "EMFILE", "tokenaudit: error: a library cannot go on: "),
        ("uname", "EPERM", "tokenaudit: error: the system: Operation not permitted\n"),
    ],
)
def test_what_the_system_refuses_is_one_line(call: str, error: str, words: str) -> None:
    """A panic of a library too, whatever it has said itself; no traceback, and no backtrace."""
    done = refused(call, error, "daily", "--root", FORK, "--no-store", "--jobs", "1")
    own = done.stderr[done.stderr.index("tokenaudit: ") :]

    assert done.returncode == 2
    assert own.startswith(words)
    assert own.count("\n") == 1 + own.endswith(HINT)
    assert "Traceback" not in done.stderr
    assert "stack backtrace" not in done.stderr


@pytest.mark.skipif(not IS_ALLOWED, reason="calls are made to fail by strace")
def test_a_store_without_locks_is_kept(tmp_path: Path) -> None:
    """A file stands in for the lock, with a note; the next run finds what was kept."""
    argv = ["daily", "--root", FORK, "--store", str(tmp_path / "store")]
    first = refused("flock", "ENOLCK", *argv)
    second = refused("flock", "ENOLCK", *argv)

    note = "tokenaudit: the store's file system has no locks; a file `lock.held` in it stands in for one\n"
    assert (first.returncode, first.stderr) == (0, note)
    assert (second.returncode, second.stderr, second.stdout) == (0, "", first.stdout)
    assert not (tmp_path / "store" / "lock.held").exists()
