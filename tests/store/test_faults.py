"""The store under faults: a run may be killed at any moment, meet a full disk, another run or a damaged store."""

import io
import json
import random
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from processes import unmeasured
from transcripts_builder import FORK, OTHER, encoded, prompt, reply, session_file, write

from tokenaudit.__main__ import main
from tokenaudit.store.index import FORMAT

KILLED = """
import os, signal, sys
from tokenaudit import __main__

left = int(sys.argv[1])

def counted(event, args):
    # every step by which a run changes the disk
    global left
    changes = event in {"os.rename", "os.remove", "os.mkdir"}
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if changes or writes:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(counted)
sys.exit(__main__.main(sys.argv[2:]))
"""
"""Runs tokenaudit, and kills it without warning before the step on disk whose number is given."""

LIMITED = """
import resource, signal, sys
from tokenaudit import __main__

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(__main__.main(sys.argv[2:]))
"""
"""Runs tokenaudit where no file can grow beyond so many bytes, as on a full disk."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A history of two sessions."""
    root = tmp_path / "claude"
    write(session_file(root), prompt(), reply("msg_1", "req_1"), reply("msg_2", "req_2", at=60))
    write(session_file(root, OTHER), prompt(at=100), reply("msg_4", "req_4", at=101))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "data" / "store"


def argv(root: Path, folder: Path | None) -> list[str]:
    where = ["--no-store"] if folder is None else ["--store", str(folder)]
    return ["export", "--json", "--root", str(root), *where]


def outcome(done: subprocess.CompletedProcess[str]) -> tuple[list[Any], str]:
    """The rows that a run has written, and what it has said."""
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)["rows"], done.stderr


def run(root: Path, folder: Path | None) -> tuple[list[Any], str]:
    """Run tokenaudit in this process, where nothing disturbs it."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(argv(root, folder))
    out.seek(0)
    return outcome(subprocess.CompletedProcess([], code, out.read(), err.getvalue()))


def run_apart(root: Path, folder: Path | None, *before: str) -> tuple[list[Any], str]:
    """Run tokenaudit as *before* tells Python to, in a process of its own."""
    command = [sys.executable, *before, *argv(root, folder)]
    return outcome(
        subprocess.run(command, capture_output=True, text=True, check=False, env=unmeasured())
    )


def ids(rows: list[Any]) -> set[str]:
    return {row["response_id"] for row in rows}


def add(path: Path, number: int) -> None:
    with path.open("ab") as file:
        file.write(encoded(reply(f"new_{number}", f"nreq_{number}", at=1000 + number)) + b"\n")


def test_a_run_may_be_killed_at_any_step(root: Path, folder: Path) -> None:
    """Before each step on disk in turn: what was known stays known, and the next run is right."""
    gone = session_file(root, FORK)
    write(gone, prompt(), reply("msg_gone", "req_gone", at=500))
    run(root, folder)
    gone.unlink()
    for step in range(1, 100):
        add(session_file(root), step)
        command = [sys.executable, "-c", KILLED, str(step), *argv(root, folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=unmeasured()
        )
        rows, said = run(root, folder)

        assert ids(run(root, None)[0]) | {"msg_gone"} == ids(rows), step
        assert "" == said
        if done.returncode == 0:
            break
        assert -signal.SIGKILL == done.returncode
    assert 6 < step < 100
    assert [] == [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_a_first_run_may_be_killed_at_any_step(root: Path, folder: Path) -> None:
    """Whatever it leaves is a store, or nothing."""
    expected, _ = run(root, None)
    for step in range(1, 100):
        command = [sys.executable, "-c", KILLED, str(step), *argv(root, folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=unmeasured()
        )
        rows, said = run(root, folder)

        assert (expected, "") == (rows, said), step
        if done.returncode == 0:
            break
        shutil.rmtree(folder.parent)
    assert 5 < step < 100


def test_two_runs_at_once(root: Path, folder: Path) -> None:
    """Ten rounds of two: both are right, and so is what they leave."""
    for number in range(10):
        add(session_file(root, OTHER if number % 2 else FORK), number)
        command = [sys.executable, "-m", "tokenaudit", *argv(root, folder)]
        both = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=unmeasured(),
            )
            for _ in range(2)
        ]
        expected, _ = run(root, None)
        for one in both:
            out, err = one.communicate()
            found = outcome(subprocess.CompletedProcess(command, one.returncode, out, err))
            assert (expected, "") == found
    assert run(root, None) == run(root, folder)
    assert 0 == main(["store", "verify", "--root", str(root), "--store", str(folder)])


@pytest.mark.parametrize("most", [0, 100, 1000, 8000])
@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are Unix's")
def test_a_full_disk_costs_nothing_but_the_store(root: Path, folder: Path, most: int) -> None:
    """The report is written, one line says why nothing was kept, and nothing half-written stays."""
    expected, _ = run(root, None)
    rows, said = run_apart(root, folder, "-c", LIMITED, str(most))

    assert expected == rows
    assert 1 == said.count("\n")
    assert "nothing was kept of this run" in said
    assert {"lock"} >= {path.name for path in folder.iterdir()}
    assert (expected, "") == run(root, folder)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are Unix's")
def test_a_full_disk_leaves_an_older_store_as_it_was(root: Path, folder: Path) -> None:
    """What it kept can still be used."""
    gone = session_file(root, FORK)
    write(gone, prompt(), reply("msg_gone", "req_gone", at=500))
    run(root, folder)
    gone.unlink()
    add(session_file(root), 1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rows, _ = run_apart(root, folder, "-c", LIMITED, "10")

    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {"msg_gone", "new_1"} < ids(rows)


def test_a_store_of_a_newer_format_is_left_alone(root: Path, folder: Path) -> None:
    """A newer tokenaudit can use it still; this run goes on without."""
    expected, _ = run(root, folder)
    index = folder / "index.json"
    index.write_bytes(
        index.read_bytes().replace(
            b'"tokenaudit_store": %d' % FORMAT, b'"tokenaudit_store": %d' % (FORMAT + 1)
        )
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rows, said = run(root, folder)

    assert expected == rows
    assert f"has format {FORMAT + 1}" in said
    assert "going on without it" in said
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("content", [b"", b"{}", b"garbage", b"\x00" * 99, b'{"a":1}\n{}'])
def test_a_foreign_index_is_set_aside(root: Path, folder: Path, content: bytes) -> None:
    """With a message that says where; nothing of it is lost."""
    folder.mkdir(parents=True)
    (folder / "index.json").write_bytes(content)
    rows, said = run(root, folder)
    aside = [path for path in folder.parent.iterdir() if path != folder]

    assert run(root, None)[0] == rows
    assert [content] == [(path / "index.json").read_bytes() for path in aside]
    assert f"set aside as {aside[0]}" in said
    assert (rows, "") == run(root, folder)


def test_a_store_that_is_no_folder_is_no_store(root: Path) -> None:
    """The run says so, and goes on."""
    for place in (session_file(root), session_file(root) / "below"):
        rows, said = run(root, place)

        assert run(root, None)[0] == rows
        assert 1 == said.count("\n"), said


def test_any_flipped_byte_costs_no_figure(root: Path, folder: Path) -> None:
    """Of index or rows: what is still on disk is read again, and a line says so."""
    dice = random.Random(7)
    expected, _ = run(root, folder)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    flipped = 0
    for name, data in whole.items():
        for at in dice.sample(range(len(data)), min(12, len(data))):
            shutil.rmtree(folder.parent)
            folder.mkdir(parents=True)
            for other, content in whole.items():
                (folder / other).write_bytes(content)
            changed = bytearray(data)
            changed[at] ^= 1 << dice.randrange(8)
            (folder / name).write_bytes(changed)
            rows, said = run(root, folder)

            assert expected == rows, (name, at)
            assert (expected, "") == run(root, folder), (name, at, said)
            flipped += 1
    assert 24 <= flipped


def test_a_lost_segment_costs_only_what_is_gone(root: Path, folder: Path) -> None:
    """What is on disk is read again, what another segment holds is still known."""
    run(root, folder)
    (first,) = folder.glob("rows-*.zip")
    size = first.stat().st_size
    for number in range(30):
        add(session_file(root, FORK), number)
    gone = session_file(root, OTHER)
    write(gone, prompt(), reply("msg_late", "req_late", at=5000))
    run(root, folder)
    gone.unlink()
    largest = max(folder.glob("rows-*.zip"), key=lambda path: path.stat().st_size)
    assert largest.stat().st_size > size
    largest.unlink()
    rows, said = run(root, folder)

    assert ids(run(root, None)[0]) <= ids(rows)
    assert "is missing; what it held is read again" in said
    assert (rows, "") == run(root, folder)


def test_a_lock_that_is_held_costs_only_the_keeping(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a while a run goes on, and says that nothing was kept."""
    from filelock import FileLock

    from tokenaudit.store import store

    monkeypatch.setattr(store, "_PATIENCE_S", 0.1)
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"):
        code = main(argv(root, folder))
        out, err = capfd.readouterr()

    assert (0, run(root, None)[0]) == (code, json.loads(out)["rows"])
    assert "is in use; nothing was kept of this run" in err
    assert not (folder / "index.json").exists()
