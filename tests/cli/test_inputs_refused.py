"""Whatever a user names as an input: no pipe is waited for, no device read until memory is full."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import FORK, refused, run

RULE = '[[rule]]\nname = "many"\nexpression = "count(*)"\nlimit = 1000\n'
DEVICE = "it is a device, not a file"
PIPE = "it is a pipe, not a file"
PLACES: dict[str, Callable[[str], list[str]]] = {
    "rates": lambda path: ["daily", "--root", FORK, "--rates", path],
    "rules": lambda path: ["check", "--root", FORK, "--rules", path],
    "claim": lambda path: ["reconcile", path, "--root", FORK],
    "export": lambda path: ["verify", path],
    "groups": lambda path: ["rollup", ".", "--groups", path],
    "feed": lambda path: ["prices", "update", "--from-file", path],
    "secret": lambda path: [
        *("export", "--root", FORK, "--to", "new-lake"),
        *("--redact", "--secret-file", path),
    ],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what nobody should read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/zero")
    Path("folder").mkdir()
    with Path("huge").open("wb") as file:
        file.truncate(1 << 40)
    return tmp_path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("path", "words"), [("pipe", PIPE), ("device", DEVICE), ("huge", "it is larger than")]
)
def test_only_files_are_read(
    capfd: pytest.CaptureFixture[str], place: str, path: str, words: str
) -> None:
    """One line says what is wrong, at once."""
    said = refused(capfd, *PLACES[place](path))

    assert f"{path}: cannot be read: {words}" in said
    assert said.count("\n") <= 2


@pytest.mark.parametrize(
    ("path", "words"), [("pipe", PIPE), ("device", DEVICE), ("huge", "it is larger than 1 MiB")]
)
def test_settings_are_a_file(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    """Wherever the environment says that they are."""
    monkeypatch.setenv("TOKENAUDIT_CONFIG", path)

    assert f"{path}: cannot be read: {words}" in refused(capfd, "daily", "--root", FORK)


def test_the_null_device_says_that_there_is_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As users are used to."""
    monkeypatch.setenv("TOKENAUDIT_CONFIG", os.devnull)

    assert run(capfd, "daily", "--root", FORK, "--rates", os.devnull)[0] == 0


@pytest.mark.parametrize("odd", ["pipe", "device", "huge", "folder"])
def test_state_is_a_file(capfd: pytest.CaptureFixture[str], here: Path, odd: str) -> None:
    """The store is read anew, the id of the host is asked for; nothing waits."""
    argv = ["export", "--root", FORK, "--json", "--store", "store"]
    expected = run(capfd, *argv)
    (here / "store" / "index.json").unlink()
    (here / "store" / "index.json").symlink_to(here / odd)
    code, out, err = run(capfd, *argv)
    assert (code, out[out.index('"rows"') :]) == (0, expected[1][expected[1].index('"rows"') :])
    assert "index.json: cannot be read: it is a link, which is not followed here" in err

    (here / "data" / "tokenaudit").mkdir(parents=True)
    (here / "data" / "tokenaudit" / "host.json").symlink_to(here / odd)
    assert "host.json: cannot be read: " in refused(capfd, "export", "--root", FORK, "--to", "lake")


def test_files_beside_transcripts_are_files(capfd: pytest.CaptureFixture[str], here: Path) -> None:
    """A pipe or a device there costs a label, or is no transcript; the rest is counted."""
    folder = here / "claude" / "projects" / "-work" / "0a" / "subagents"
    folder.mkdir(parents=True)
    (folder / "agent-1.jsonl").write_bytes(b"{}\n")
    os.mkfifo(folder / "agent-1.meta.json")
    os.mkfifo(here / "claude" / "settings.json")
    (folder / "agent-2.jsonl").symlink_to("/dev/zero")
    os.mkfifo(folder / "agent-3.jsonl")

    assert run(capfd, "daily", "--root", "claude", "--no-store")[0] == 0
    assert run(capfd, "doctor", "--root", "claude", "--no-store")[0] in {0, 1}
