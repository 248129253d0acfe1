"""Locks, and what stands in for them where the file system has none."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest
from filelock import FileLock

from tokenaudit.files.locks import held


def test_a_lock_is_the_systems_and_the_users_alone(tmp_path: Path) -> None:
    """Another waits, and no longer than it has patience."""
    with held(tmp_path / "lock", 1) as is_native:
        assert is_native
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
        with pytest.raises(TimeoutError), held(tmp_path / "lock", 0.05):
            pass
    with held(tmp_path / "lock", 1):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_stands_in_for_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where the file system has none; it too keeps others out, and it is gone afterwards."""

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with held(tmp_path / "lock", 1), pytest.raises(TimeoutError), held(tmp_path / "lock", 0.05):
        pass
    with held(tmp_path / "lock", 1):
        pass
    assert not (tmp_path / "lock.held").exists()


def test_no_link_is_followed_to_another_file(tmp_path: Path) -> None:
    """A lock empties the file that it is."""
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "lock").symlink_to("precious")
    with pytest.raises(OSError, match="lock"), held(tmp_path / "lock", 0.05):
        pass
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_lock_of_earlier_versions_is_the_same(tmp_path: Path) -> None:
    """Both may run beside each other."""
    with (
        FileLock(tmp_path / "lock"),
        pytest.raises(TimeoutError),
        held(tmp_path / "lock", 0.05),
    ):
        pass
