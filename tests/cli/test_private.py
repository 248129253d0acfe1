"""What is kept and exported is for the user alone, and no link or open folder leads it elsewhere."""

import os
import stat
from pathlib import Path
from subprocess import CompletedProcess
from subprocess import run as run_process

import pytest
from calls import FORK, run
from statuslines import PROGRAM, environment, told

WRITERS = {
    "store": ["daily", "--root", FORK, "--store", "data/store"],
    "report": ["export", "--root", FORK, "--no-store", "-o", "usage.json"],
    "lake": ["export", "--root", FORK, "--no-store", "--to", "lake"],
    "database": ["export", "--root", FORK, "--no-store", "--to", "sqlite:///usage.db"],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which only the user may write to."""
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def modes(folder: Path) -> dict[str, int]:
    return {
        str(each.relative_to(folder)): stat.S_IMODE(each.lstat().st_mode)
        for each in folder.rglob("*")
    }


@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_written_is_for_the_user_alone(
    capfd: pytest.CaptureFixture[str], here: Path, writer: str
) -> None:
    """Store, report, lake, database, locks and the id of the host, whatever the umask lets through."""
    before = os.umask(0)
    try:
        assert run(capfd, *WRITERS[writer])[0] == 0
    finally:
        os.umask(before)
    found = modes(here)

    assert found
    for name, mode in found.items():
        assert mode == (0o700 if (here / name).is_dir() else 0o600), name


def test_the_state_of_the_status_line_is_for_the_user_alone(here: Path) -> None:
    """Its counts, its last line, and what Claude Code told it of limits."""
    run_process(PROGRAM, input=told(), check=True, env=environment(here), umask=0)
    found = modes(here)

    assert {".local/share/tokenaudit/evidence/settled.jsonl", ".cache/tokenaudit/statusline.db"} < {
        *found
    }
    for name, mode in found.items():
        assert mode == (0o700 if (here / name).is_dir() else 0o600), name


def test_a_lake_is_read_by_whom_its_folder_lets(
    capfd: pytest.CaptureFixture[str], here: Path
) -> None:
    """Hosts that share one give its folder the mode by which they do."""
    (here / "lake").mkdir()
    (here / "lake").chmod(0o750)
    assert run(capfd, *WRITERS["lake"])[0] == 0
    shared = {name: mode for name, mode in modes(here / "lake").items() if "date=" in name}

    assert {*shared.values()} == {0o750, 0o640}


def test_metrics_are_read_by_a_collector(capfd: pytest.CaptureFixture[str], here: Path) -> None:
    """Which is another user: they have the mode that the umask leaves."""
    argv = ["export", "--root", FORK, "--no-store", "--to", "usage.prom"]
    before = os.umask(0o022)
    try:
        assert run(capfd, *argv)[0] == 0
    finally:
        os.umask(before)
    assert modes(here)["usage.prom"] == 0o644


def test_a_store_that_any_user_could_replace_is_refused(
    capfd: pytest.CaptureFixture[str], here: Path
) -> None:
    """A report goes on without it; a command about the store says why it cannot."""
    (here / "open").mkdir()
    (here / "open").chmod(0o777)
    argv = ["--root", FORK, "--store", "open/store"]
    code, out, err = run(capfd, "daily", *argv)
    assert (code, out[:10]) == (0, run(capfd, "daily", "--root", FORK, "--no-store")[1][:10])
    assert err == (
        f"tokenaudit: open/store: refused, for any user may write to {here}/open;"
        " going on without it\n"
    )
    code, out, err = run(capfd, "store", "verify", *argv)
    assert (code, out) == (2, "")
    assert "open/store: refused, for any user may write to" in err
    assert "chmod o-w" in err
    assert [*(here / "open").iterdir()] == []


@pytest.mark.parametrize("name", ["index.json", "lock"])
def test_no_link_in_the_store_is_followed(
    capfd: pytest.CaptureFixture[str], here: Path, name: str
) -> None:
    """What it leads to is neither read nor changed."""
    (here / "precious").write_bytes(b"precious")
    (here / "data" / "store").mkdir(parents=True)
    (here / "data" / "store" / name).symlink_to(here / "precious")
    code, _, err = run(capfd, *WRITERS["store"])

    assert (code, err.count("\n")) == (0, 1)
    assert (here / "precious").read_bytes() == b"precious"


def status_line(home: Path) -> CompletedProcess[bytes]:
    return run_process(
        PROGRAM, check=False, input=told(), env=environment(home), capture_output=True
    )


@pytest.mark.parametrize(
    "name",
    [
        ".cache/tokenaudit/statusline.db",
        ".cache/tokenaudit/statusline.json",
        ".cache/tokenaudit/statusline.txt",
        ".local/share/tokenaudit/evidence/settled.jsonl",
    ],
)
@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
def test_no_link_in_the_state_is_followed(here: Path, name: str, kind: str) -> None:
    """Nor is a pipe or a device there waited for; the line is the same."""
    expected = status_line(here / "elsewhere")
    (here / "precious").write_bytes(b"precious")
    path = here / name
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(here / "precious" if kind == "link" else "/dev/zero")
    done = status_line(here)

    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, b"")
    assert (here / "precious").read_bytes() == b"precious"
