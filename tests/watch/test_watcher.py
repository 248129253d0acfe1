"""Waiting for changes: where it waits, what it says has changed, and what it does where it cannot wait."""

from pathlib import Path

import pytest

from tokenaudit.watch.watcher import ALL, Watcher, _mounts, _remote, places

SESSION = "11111111-1111-4111-8111-111111111111"


class Never:
    def is_set(self) -> bool:
        return False


class Now:
    def is_set(self) -> bool:
        return True


def test_places_are_the_folders_below_which_transcripts_stand(tmp_path: Path) -> None:
    """Of a configuration folder its projects; of a file and of a session the folder around it."""
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    folder = tmp_path / "folder"
    (folder / SESSION).mkdir(parents=True)
    (folder / f"{SESSION}.jsonl").touch()
    roots = [tmp_path / "claude", folder, folder / f"{SESSION}.jsonl", folder / SESSION]

    assert [str(tmp_path / "claude" / "projects"), str(folder)] == places([*map(str, roots)])


def test_the_first_wait_says_that_all_may_have_changed(tmp_path: Path) -> None:
    """For nobody watched while what is known was read."""
    with Watcher([str(tmp_path)]) as watcher:
        assert ALL in watcher.wait(60, Never())


def test_a_file_that_is_written_is_named(tmp_path: Path) -> None:
    """By the path at which discovery finds it."""
    path = tmp_path / "a.jsonl"
    path.touch()
    with Watcher([str(tmp_path)]) as watcher:
        watcher.wait(60, Never())
        path.write_text("{}\n")
        found: frozenset[str] = frozenset()
        while str(path) not in found:
            found = watcher.wait(60, Never())

        assert not watcher.is_polling


def test_a_folder_that_appears_lets_all_be_looked_at_soon(tmp_path: Path) -> None:
    """What was written in it before it was watched has made no event."""
    with Watcher([str(tmp_path)]) as watcher:
        watcher.wait(60, Never())
        (tmp_path / "new").mkdir()
        while ALL not in watcher.wait(5, Never()):
            pass


@pytest.mark.parametrize("poll", [True, False])
def test_the_ending_is_not_waited_for(tmp_path: Path, *, poll: bool) -> None:
    """Though there is a minute left."""
    with Watcher([str(tmp_path)], poll=poll) as watcher:
        watcher.wait(60, Now())
        assert not watcher.wait(60, Now()) - {ALL}


def test_where_there_are_no_events_it_looks_and_says_why(tmp_path: Path) -> None:
    """What cannot be watched ends nothing."""
    with Watcher([str(tmp_path / "no" / "such" / "root")]) as watcher:
        assert watcher.is_polling
        assert watcher.why is not None
        assert "cannot be had" in watcher.why
        assert ALL in watcher.wait(60, Never())
        assert ALL in watcher.wait(60, Never())


def test_network_mounts_are_looked_at() -> None:
    """The nearest mount above a folder decides."""
    mounts = {"/": "ext4", "/mnt/share": "nfs4", "/mnt/share/local": "tmpfs"}

    assert _remote(["/mnt/share/local/projects", "/home"], mounts) is None
    assert "/mnt/share/x is on nfs4" in str(_remote(["/mnt/share/x"], mounts))


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="no list of mounts here")
def test_mounts_are_those_of_this_machine() -> None:
    """There is at least the root."""
    assert "/" in _mounts()
