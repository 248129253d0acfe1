"""New files are the user's alone, and what killed runs have left goes after a day."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from tokenaudit.files import atomic


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize(("umask", "expected"), [(0o000, 0o600), (0o022, 0o600), (0o277, 0o400)])
def test_new_files_are_for_the_user_alone(tmp_path: Path, umask: int, expected: int) -> None:
    """Unless the umask is stricter; one that is there keeps its mode."""
    before = os.umask(umask)
    try:
        atomic.replace(tmp_path / "new", b"new")
        atomic.create(tmp_path / "made", b"made")
    finally:
        os.umask(before)
    assert (mode(tmp_path / "new"), mode(tmp_path / "made")) == (expected, expected)
    (tmp_path / "new").chmod(0o644)
    atomic.replace(tmp_path / "new", b"newer")
    assert mode(tmp_path / "new") == 0o644


def test_new_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    """All that are missing; those that are there stay as they are."""
    tmp_path.chmod(0o755)
    atomic.make_folder(tmp_path / "a" / "b")
    atomic.make_folder(tmp_path / "a" / "b")

    assert [mode(each) for each in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [
        *(0o755, 0o700, 0o700)
    ]
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        atomic.make_folder(tmp_path / "file")


def test_what_killed_runs_left_goes_after_a_day(tmp_path: Path) -> None:
    """Not before, for it may be that of a run that still writes; and nothing else goes."""
    names = (".tokenaudit-0123456789abcdef.tmp", ".tokenaudit-h1.lock", "notes.tmp")
    for age, folder in ((25 * 3600, tmp_path / "old"), (23 * 3600, tmp_path / "new")):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
            os.utime(folder / name, (time.time() - age,) * 2)
        atomic.replace(folder / "target", b"data")

    assert {each.name for each in (tmp_path / "old").iterdir()} == {*names[1:], "target"}
    assert {each.name for each in (tmp_path / "new").iterdir()} == {*names, "target"}


def test_of_several_that_create_the_first_one_holds(tmp_path: Path) -> None:
    """Also where a link that leads nowhere has the name."""
    assert atomic.create(tmp_path / "id", b"first")
    assert not atomic.create(tmp_path / "id", b"second")
    (tmp_path / "link").symlink_to("nowhere")
    assert not atomic.create(tmp_path / "link", b"third")

    assert (tmp_path / "id").read_bytes() == b"first"
    assert names(tmp_path) == ["id", "link"]


def test_a_file_system_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file gets its name another way."""

    def denied(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", denied)
    assert atomic.create(tmp_path / "id", b"first")
    assert not atomic.create(tmp_path / "id", b"second")
    assert (tmp_path / "id").read_bytes() == b"first"
    assert names(tmp_path) == ["id"]


def test_an_unlink_that_is_denied_hides_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What made the write fail is said, not what made the cleaning fail."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "unlink", denied)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.replace(tmp_path / "folder", b"data")
    assert atomic.create(tmp_path / "id", b"first")
