"""`export --to`: what cron and a person meet."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from calls import FORK, refused, run
from processes import unmeasured

from tokenaudit.cli.commands import export as exports
from tokenaudit.export.lake.dedupe import deduplicate
from tokenaudit.export.lake.parts import find, read
from tokenaudit.export.lake.storage import Folder
from tokenaudit.transcripts import DEMO


def held(lake: Path) -> pl.DataFrame:
    folder = Folder(lake)
    parts, foreign = find(folder)
    assert not foreign
    return deduplicate(pl.concat([read(folder, [part]).rows for part in parts]))


def test_silent_on_success_and_one_line_of_json(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A job that did its work says nothing, unless it is asked what it wrote."""
    lake = tmp_path / "lake"
    assert run(capfd, "export", "--root", FORK, "--to", str(lake), "--host", "desk") == (0, "", "")

    code, out, err = run(capfd, "export", "--root", FORK, "--to", str(lake), "--json")

    assert (code, err, out.count("\n")) == (0, "", 1)
    line = json.loads(out)
    assert (line["host_label"], line["responses"], line["rejects"]) == ("desk", 5, 0)
    assert (line["written"], line["removed"], line["damages"]) == ([], [], [])


def test_a_database_is_added_to_in_silence(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And says in one line of JSON, if asked, what it holds."""
    place = f"sqlite:///{tmp_path}/usage.db"
    assert run(capfd, "export", "--root", FORK, "--to", place) == (0, "", "")
    code, out, err = run(capfd, "export", "--root", FORK, "--to", place, "--json")
    line = json.loads(out)
    assert (code, err, line["responses"], line["added"]) == (0, "", 5, 0)
    assert line["tables"]["responses"] == 5


def test_days_chosen_are_the_only_ones_that_are_added(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`--since` beyond all days adds nothing."""
    code, out, _ = run(
        capfd, "export", "--demo", "--to", str(tmp_path), "--since", "2026-11-13", "--json"
    )
    assert code == 0
    days = sorted(part["part"].partition("/")[0] for part in json.loads(out)["written"])
    assert days == ["date=2026-11-13", "date=2026-11-19"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["daily", "--to", "lake"], "--to takes the responses themselves, not daily"),
        (["--to", "lake", "-o", "x.csv"], "--to and --output exclude each other"),
        (["--host", "desk"], "need --to"),
        (["--to", "gs://bucket"], "gs://: not a place that is known"),
        (["--to", "sqlite:///x", "--redact"], "--redact is for a lake"),
        (["--to", "sqlite:////does/not/exist/x"], "cannot be written: unable to open"),
        (["--to", "lake", "--redact"], "a secret of at least 16 characters"),
        (["--to", "lake", "--secret-file", "x"], "--secret-file needs --redact"),
        (["--to", "lake", "--redact", "--secret-file", "nowhere"], "nowhere: cannot be read"),
        (["--to", "a-file"], "a-file: not a folder"),
        (["--to", "a-file/lake"], "a-file/lake: cannot be written: Not a directory"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    words: str,
) -> None:
    """Nothing is written, and the reason is said."""
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    code, out, err = run(capfd, "export", "--demo", *argv)
    assert (code, out) == (2, "")
    assert err.startswith("tokenaudit: error: ")
    assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]


def test_redaction_with_the_secret_of_a_file(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """No name of a project leaves the machine."""
    secret = tmp_path / "secret"
    secret.write_text("of the whole organisation\n")
    lake = tmp_path / "lake"
    argv = ["export", "--demo", "--to", str(lake), "--redact", "--secret-file", str(secret)]
    assert run(capfd, *argv) == (0, "", "")
    assert held(lake)["project"].str.starts_with("hmac:").all()
    assert not any(b"webshop" in path.read_bytes() for path in lake.rglob("*.parquet"))


def test_twenty_at_once_of_which_half_are_killed(tmp_path: Path) -> None:
    """What stands afterwards is what one clean run writes; nothing half-written is a part."""
    lake, clean = tmp_path / "lake", tmp_path / "clean"
    environ = {**unmeasured(), "TOKENAUDIT_HOST_ID": "h1"}

    def start(target: Path) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "tokenaudit", "export", "--root", FORK, "--to", str(target)]
        return subprocess.Popen(argv, env=environ)

    assert start(clean).wait() == 0
    runs = [start(lake) for _ in range(20)]
    for number, process in enumerate(runs):
        if number % 2:
            process.send_signal(signal.SIGKILL)
    codes = [process.wait() for process in runs]
    assert codes[::2] == [0] * 10

    assert sorted(Folder(lake).names()) == sorted(Folder(clean).names())
    assert held(lake).equals(held(clean))


HOLDER = """
import sys
from tokenaudit.cli.commands.export import alone
with alone(sys.argv[1], "h1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_dies_with_its_owner(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run holds it others wait; once that is killed with -9, they go on without waiting."""
    monkeypatch.setenv("TOKENAUDIT_HOST_ID", "h1")
    monkeypatch.setattr(exports, "_PATIENCE_S", 0)
    lake = tmp_path / "lake"
    argv = ["export", "--root", FORK, "--to", str(lake)]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lake)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        waiting = subprocess.Popen([sys.executable, "-m", "tokenaudit", *argv])
        assert "another export of this host has been writing for long" in refused(capfd, *argv)
        assert waiting.poll() is None
        assert Folder(lake).names() == []
        holder.send_signal(signal.SIGKILL)

    assert holder.returncode == -signal.SIGKILL
    assert waiting.wait(60) == 0
    names = Folder(lake).names()
    assert held(lake).height == 5
    assert run(capfd, *argv) == (0, "", "")
    assert Folder(lake).names() == names


def digest_and_days(
    capfd: pytest.CaptureFixture[str], lake: Path
) -> tuple[str, list[dict[str, object]]]:
    code, out, _ = run(capfd, "rollup", str(lake), "daily", "--json")
    found = json.loads(out)
    assert (code, found["meta"]["lake"]["damages"]) == (0, [])
    return found["meta"]["lake"]["digest"], found["rows"]


@pytest.mark.parametrize("store", [[], ["--no-store"]])
def test_transcripts_that_are_gone_take_nothing_away(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, store: list[str]
) -> None:
    """Half of them deleted, or the other half, and exported again: every day is as it was."""
    root, lake = tmp_path / "root", tmp_path / "lake"
    shutil.copytree(DEMO, root)
    argv = ["export", "--root", str(root), *store, "--to"]
    assert run(capfd, *argv, str(lake)) == (0, "", "")
    published = digest_and_days(capfd, lake)
    assert sum(int(str(day["responses"])) for day in published[1]) == 92

    for first in (0, 1):
        for path in sorted(root.rglob("*.jsonl"))[first::2]:
            path.unlink()
        assert run(capfd, *argv, str(lake)) == (0, "", "")
        assert digest_and_days(capfd, lake) == published
        less = tmp_path / f"less-{first}"
        assert run(capfd, *argv, str(less), "--no-store") == (0, "", "")
        assert held(less).height < 92
        shutil.copytree(DEMO, root, dirs_exist_ok=True)


def test_a_home_that_is_not_there_is_no_reason_to_stop(tmp_path: Path) -> None:
    """A container's job has a host id and no home: it exports, in silence, and nothing twice."""
    environ = {"HOME": "/proc/no/home", "TOKENAUDIT_HOST_ID": "job"}
    command = [sys.executable, "-m", "tokenaudit", "export", "--root", FORK, "--no-store"]
    command += ["--to", str(tmp_path)]
    for _ in range(2):
        done = subprocess.run(command, env=environ, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert held(tmp_path).height == 5
    assert len(Folder(tmp_path).names()) == held(tmp_path)["time"].dt.date().n_unique()


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from tokenaudit.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def test_a_full_disk_leaves_whole_files_and_a_repeat_mends_it(tmp_path: Path) -> None:
    """One line, exit code 2, no half-written part and no temporary file; then all of it."""
    lake = tmp_path / "lake"
    argv = ["export", "--root", FORK, "--no-store", "--to", str(lake)]
    environ = {**unmeasured(), "TOKENAUDIT_HOST_ID": "h1"}

    full = subprocess.run(
        [sys.executable, "-c", FULL_DISK, "4096", *argv],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (full.returncode, full.stdout) == (2, "")
    (line,) = full.stderr.splitlines()
    assert line.startswith("tokenaudit: error: ")
    assert "cannot be written: larger than a file may be here" in line
    left = [path for path in lake.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []

    again = [sys.executable, "-m", "tokenaudit", *argv]
    assert subprocess.run(again, env=environ, check=True, capture_output=True).stderr == b""
    assert held(lake).height == 5
